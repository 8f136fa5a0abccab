"""Every finding about SPF (RFC 7208): code, severity, message and clause."""

from __future__ import annotations

from dataclasses import replace

from dmarcworks.policy.dns_records.codes import code_table, finding_from, shortened
from dmarcworks.policy.dns_records.finding import DnsFinding, RecordCheck, Severity

__all__ = ["SPF_CODES", "spf_finding"]

_ERROR, _WARNING, _NOTICE, _GOOD = Severity.error, Severity.warning, Severity.notice, Severity.good
_SELECT, _SYNTAX, _ALL, _LIMITS = (f"RFC 7208 section {section}" for section in ("4.5", "4.6", "5.1", "4.6.4"))
_INCLUDE, _IP, _MACROS, _MODIFIERS = (f"RFC 7208 section {section}" for section in ("5.2", "5.6", "7", "6"))

SPF_CODES = code_table(
    RecordCheck.spf,
    {
        # The record
        "no-answer": (_WARNING, "DNS did not answer about the SPF record of {domain}. Try again later.", _SELECT),
        "no-record": (
            _ERROR,
            "{domain} has no SPF record, so receivers cannot verify which servers may send mail in its name.",
            _SELECT,
        ),
        "wrong-version": (
            _ERROR,
            "A TXT record of {domain} looks like SPF but does not begin with v=spf1 and a space, so it is ignored.",
            _SELECT,
        ),
        "ignored-record": (
            _NOTICE,
            "Another TXT record of {domain} looks like SPF but does not begin with v=spf1 and a space, so it is"
            " ignored.",
            _SELECT,
        ),
        "several-records": (_ERROR, "{domain} has {count} SPF records. SPF then ends in permerror.", _SELECT),
        "syntax": (
            _ERROR,
            "The term {term} is wrong: {problem}. One wrong term makes the whole record a permerror.",
            _SYNTAX,
        ),
        "valid": (
            _GOOD,
            "The record is valid and needs {lookups} of at most 10 DNS look-ups. The result for other servers is"
            " {rest}.",
            _SYNTAX,
        ),
        "sends-no-mail": (_GOOD, "The record states that {domain} sends no mail.", "RFC 7208 section 10.1.2"),
        "long-record": (
            _WARNING,
            "The record has {bytes} bytes. Over 450 bytes it may not fit into a DNS answer over UDP.",
            "RFC 7208 section 3.4",
        ),
        "large-answer": (
            _NOTICE,
            "All TXT records of {domain} together make an answer of about {bytes} bytes, more than the 512 of plain"
            " UDP.",
            "RFC 7208 section 3.4",
        ),
        "obsolete-type": (
            _NOTICE,
            "{domain} also has a record of the obsolete type SPF (99). Nothing reads it; remove it.",
            "RFC 7208 section 3.1",
        ),
        "further-findings": (_NOTICE, "{count} further findings of the kinds listed here are left out.", _SYNTAX),
        # Limits
        "too-many-lookups": (
            _ERROR,
            "The record needs {lookups} DNS look-ups; more than 10 end in permerror. {terms}",
            _LIMITS,
        ),
        "near-lookup-limit": (
            _NOTICE,
            "The record needs {lookups} of at most 10 DNS look-ups. One more include can break it. {terms}",
            _LIMITS,
        ),
        "too-many-void-lookups": (
            _ERROR,
            "{count} DNS look-ups find nothing; more than 2 of these end in permerror.",
            _LIMITS,
        ),
        "mx-hosts": (_ERROR, "The term {term} is a permerror: {problem}.", _LIMITS),
        "not-followed": (_NOTICE, "Not everything was looked up: {problem}.", _LIMITS),
        # What the terms lead to
        "loop": (_ERROR, "The term {term} of {domain} leads in a circle: {problem}.", _LIMITS),
        "include-no-record": (
            _ERROR,
            "The term {term} of {domain} leads to a name without SPF record, which is a permerror.",
            _INCLUDE,
        ),
        "redirect-no-record": (
            _ERROR,
            "{term} of {domain} leads to a name without SPF record, which is a permerror.",
            "RFC 7208 section 6.1",
        ),
        "include-broken": (_ERROR, "The term {term} of {domain} is a permerror: {problem}.", _INCLUDE),
        "include-no-answer": (_WARNING, "The term {term} of {domain} could not be checked: {problem}.", _INCLUDE),
        "include-passes-all": (
            _ERROR,
            "The term {term} of {domain} includes a record that lets every server pass.",
            _ALL,
        ),
        "invalid-name": (_WARNING, "The term {term} of {domain} never matches: {problem}.", "RFC 7208 section 4.8"),
        "unresolved": (_WARNING, "The term {term} of {domain} has no effect: {problem}.", _LIMITS),
        "mail-host": (_WARNING, "The term {term} of {domain} looks up a host in vain: {problem}.", _LIMITS),
        # The terms
        "pass-all": (_ERROR, "{term} lets every server in the world send mail as {domain}.", _ALL),
        "neutral-all": (
            _WARNING,
            "{term} makes no statement about other servers, so the record protects nothing.",
            _ALL,
        ),
        "no-all": (
            _WARNING,
            "The record has neither all nor redirect=, so mail from other servers is neutral.",
            "RFC 7208 section 4.7",
        ),
        "after-all": (_WARNING, "The terms after {term} are never evaluated: {terms}.", _ALL),
        "redirect-ignored": (_WARNING, "{term} has no effect, because the record has an all.", "RFC 7208 section 6.1"),
        "mistaken-modifier": (
            _ERROR,
            "{term} is read as an unknown modifier and ignored, because it is written with an equals sign.",
            _MODIFIERS,
        ),
        "unknown-modifier": (_NOTICE, "{term} is an unknown modifier. Receivers ignore it.", _MODIFIERS),
        "ptr": (
            _WARNING,
            "{term} is deprecated: it is slow and unreliable, and some large receivers ignore it.",
            "RFC 7208 section 5.5",
        ),
        "macro": (_NOTICE, "{term} has macros: {meaning}.", _MACROS),
        "exists": (
            _NOTICE,
            "{term} passes mail if the name {name} has an address; which that is, the owner of the name decides.",
            "RFC 7208 section 5.7",
        ),
        "whole-internet": (_ERROR, "{term} covers all addresses, so every server passes.", _IP),
        "large-range": (_WARNING, "{term} covers {count} addresses, far more than send mail for one domain.", _IP),
        "private-address": (_WARNING, "{term} is not reachable from the Internet, so mail never comes from it.", _IP),
        "duplicate": (_NOTICE, "{term} occurs {count} times. Once is enough.", _SYNTAX),
        "explanation": (
            _WARNING,
            "{term} is ignored: {name} must have exactly one TXT record in ASCII with valid macros.",
            "RFC 7208 section 6.2",
        ),
    },
)


def spf_finding(code: str, *, record: str = "", fix: str = "", **values: object) -> DnsFinding:
    """A finding; terms and names of strangers are shown on one line."""
    shown = {name: _printable(str(value)) for name, value in values.items()}
    finding = finding_from(SPF_CODES, code, record=record, fix=fix, **shown)
    return replace(finding, message=finding.message.strip())


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in shortened(text))
