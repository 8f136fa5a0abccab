"""Every finding about SPF (RFC 7208): code, severity, message and clause."""

from __future__ import annotations

from dmarcworks.policy.dns_records.finding import DnsFinding, RecordCheck, Severity

__all__ = ["SPF_CODES", "SpfRow", "spf_finding"]

SpfRow = tuple[Severity, str, str]
_ERROR, _WARNING, _NOTICE, _GOOD = Severity.error, Severity.warning, Severity.notice, Severity.good
_SELECT, _SYNTAX, _ALL, _LIMITS = (f"RFC 7208 section {section}" for section in ("4.5", "4.6", "5.1", "4.6.4"))
_INCLUDE, _IP, _MACROS, _MODIFIERS = (f"RFC 7208 section {section}" for section in ("5.2", "5.6", "7", "6"))
_VALUE, _RECORD = 200, 4_096

SPF_CODES: dict[str, SpfRow] = {
    # The record
    "spf-no-answer": (_WARNING, "DNS did not answer about the SPF record of {domain}. Try again later.", _SELECT),
    "spf-no-record": (
        _ERROR,
        "{domain} has no SPF record, so receivers cannot verify which servers may send mail in its name.",
        _SELECT,
    ),
    "spf-wrong-version": (
        _ERROR,
        "A TXT record of {domain} looks like SPF but does not begin with v=spf1 and a space, so it is ignored.",
        _SELECT,
    ),
    "spf-ignored-record": (
        _NOTICE,
        "Another TXT record of {domain} looks like SPF but does not begin with v=spf1 and a space, so it is ignored.",
        _SELECT,
    ),
    "spf-several-records": (_ERROR, "{domain} has {count} SPF records. SPF then ends in permerror.", _SELECT),
    "spf-syntax": (
        _ERROR,
        "The term {term} is wrong: {problem}. One wrong term makes the whole record a permerror.",
        _SYNTAX,
    ),
    "spf-valid": (
        _GOOD,
        "The record is valid and needs {lookups} of at most 10 DNS look-ups. The result for other servers is {rest}.",
        _SYNTAX,
    ),
    "spf-sends-no-mail": (_GOOD, "The record states that {domain} sends no mail.", "RFC 7208 section 10.1.2"),
    "spf-long-record": (
        _WARNING,
        "The record has {bytes} bytes. Over 450 bytes it may not fit into a DNS answer over UDP.",
        "RFC 7208 section 3.4",
    ),
    "spf-large-answer": (
        _NOTICE,
        "All TXT records of {domain} together make an answer of about {bytes} bytes, more than the 512 of plain UDP.",
        "RFC 7208 section 3.4",
    ),
    "spf-obsolete-type": (
        _NOTICE,
        "{domain} also has a record of the obsolete type SPF (99). Nothing reads it; remove it.",
        "RFC 7208 section 3.1",
    ),
    "spf-further-findings": (_NOTICE, "{count} further findings of the kinds listed here are left out.", _SYNTAX),
    # Limits
    "spf-too-many-lookups": (
        _ERROR,
        "The record needs {lookups} DNS look-ups; more than 10 end in permerror. {terms}",
        _LIMITS,
    ),
    "spf-near-lookup-limit": (
        _NOTICE,
        "The record needs {lookups} of at most 10 DNS look-ups. One more include can break it. {terms}",
        _LIMITS,
    ),
    "spf-too-many-void-lookups": (
        _ERROR,
        "{count} DNS look-ups find nothing; more than 2 of these end in permerror.",
        _LIMITS,
    ),
    "spf-mx-hosts": (_ERROR, "The term {term} is a permerror: {problem}.", _LIMITS),
    "spf-not-followed": (_NOTICE, "Not everything was looked up: {problem}.", _LIMITS),
    # What the terms lead to
    "spf-loop": (_ERROR, "The term {term} of {domain} leads in a circle: {problem}.", _LIMITS),
    "spf-include-no-record": (
        _ERROR,
        "The term {term} of {domain} leads to a name without SPF record, which is a permerror.",
        _INCLUDE,
    ),
    "spf-redirect-no-record": (
        _ERROR,
        "{term} of {domain} leads to a name without SPF record, which is a permerror.",
        "RFC 7208 section 6.1",
    ),
    "spf-include-broken": (_ERROR, "The term {term} of {domain} is a permerror: {problem}.", _INCLUDE),
    "spf-include-no-answer": (_WARNING, "The term {term} of {domain} could not be checked: {problem}.", _INCLUDE),
    "spf-include-passes-all": (
        _ERROR,
        "The term {term} of {domain} includes a record that lets every server pass.",
        _ALL,
    ),
    "spf-invalid-name": (_WARNING, "The term {term} of {domain} never matches: {problem}.", "RFC 7208 section 4.8"),
    "spf-unresolved": (_WARNING, "The term {term} of {domain} has no effect: {problem}.", _LIMITS),
    "spf-mail-host": (_WARNING, "The term {term} of {domain} looks up a host in vain: {problem}.", _LIMITS),
    # The terms
    "spf-pass-all": (_ERROR, "{term} lets every server in the world send mail as {domain}.", _ALL),
    "spf-neutral-all": (
        _WARNING,
        "{term} makes no statement about other servers, so the record protects nothing.",
        _ALL,
    ),
    "spf-no-all": (
        _WARNING,
        "The record has neither all nor redirect=, so mail from other servers is neutral.",
        "RFC 7208 section 4.7",
    ),
    "spf-after-all": (_WARNING, "The terms after {term} are never evaluated: {terms}.", _ALL),
    "spf-redirect-ignored": (_WARNING, "{term} has no effect, because the record has an all.", "RFC 7208 section 6.1"),
    "spf-mistaken-modifier": (
        _ERROR,
        "{term} is read as an unknown modifier and ignored, because it is written with an equals sign.",
        _MODIFIERS,
    ),
    "spf-unknown-modifier": (_NOTICE, "{term} is an unknown modifier. Receivers ignore it.", _MODIFIERS),
    "spf-ptr": (
        _WARNING,
        "{term} is deprecated: it is slow and unreliable, and some large receivers ignore it.",
        "RFC 7208 section 5.5",
    ),
    "spf-macro": (_NOTICE, "{term} has macros: {meaning}.", _MACROS),
    "spf-exists": (
        _NOTICE,
        "{term} passes mail if the name {name} has an address; which that is, the owner of the name decides.",
        "RFC 7208 section 5.7",
    ),
    "spf-whole-internet": (_ERROR, "{term} covers all addresses, so every server passes.", _IP),
    "spf-large-range": (_WARNING, "{term} covers {count} addresses, far more than send mail for one domain.", _IP),
    "spf-private-address": (_WARNING, "{term} is not reachable from the Internet, so mail never comes from it.", _IP),
    "spf-duplicate": (_NOTICE, "{term} occurs {count} times. Once is enough.", _SYNTAX),
    "spf-explanation": (
        _WARNING,
        "{term} is ignored: {name} must have exactly one TXT record in ASCII with valid macros.",
        "RFC 7208 section 6.2",
    ),
}


def spf_finding(code: str, *, record: str = "", fix: str = "", **values: object) -> DnsFinding:
    """A finding; what strangers wrote is shortened."""
    severity, message, reference = SPF_CODES[code]
    text = message.format(**{name: _short(str(value)) for name, value in values.items()}).strip()
    return DnsFinding(RecordCheck.spf, code, severity, text, record[:_RECORD], fix[:_RECORD], reference)


def _short(text: str) -> str:
    """Text of a stranger on one line."""
    text = text if len(text) <= _VALUE else f"{text[: _VALUE - 1]}…"
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
