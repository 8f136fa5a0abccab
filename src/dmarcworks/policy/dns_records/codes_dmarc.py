"""Every finding about a DMARC record. The sections of RFC 9989 are those of draft-ietf-dmarc-dmarcbis-41."""

from __future__ import annotations

from dmarcworks.policy.dns_records.codes import code_table
from dmarcworks.policy.dns_records.finding import RecordCheck, Severity

__all__ = ["DMARC_CODES"]

_ERROR, _WARNING, _NOTICE, _GOOD = Severity.error, Severity.warning, Severity.notice, Severity.good
_FORMAT, _FORMAL, _WALK = "RFC 9989 section 4.7", "RFC 9989 section 4.8", "RFC 9989 section 4.10"
_DISCOVERY, _EXTERNAL = "RFC 9989 section 4.10.1", "RFC 9990, Verifying External Destinations"
_REMOVED = "RFC 9989 appendix C.5.2"

DMARC_CODES = code_table(
    RecordCheck.dmarc,
    {
        # Whether there is a record.
        "missing": (
            _ERROR,
            "No DMARC record applies to {domain}. Anyone can send mail in its name, and nobody reports it.",
            _DISCOVERY,
        ),
        "several-records": (
            _ERROR,
            "There are {count} DMARC records at {name}. Receivers discard all of them; publish exactly one.",
            _WALK,
        ),
        "version-case": (_ERROR, "The version must be written DMARC1, in capitals. Receivers ignore {value}.", _FORMAT),
        "version-unknown": (_ERROR, "The version is {value}; the only version is DMARC1.", _FORMAT),
        "version-not-first": (_ERROR, "v=DMARC1 must be the first tag. Receivers ignore the record.", _FORMAT),
        "version-missing": (_ERROR, "v=DMARC1 is missing. Receivers ignore the record.", _FORMAT),
        "version-separator": (
            _ERROR,
            "A semicolon must follow v=DMARC1. Receivers ignore the record.",
            _FORMAL,
        ),
        "quotes": (
            _ERROR,
            "The record begins with a quotation mark that is part of the text. Receivers ignore the record.",
            _FORMAL,
        ),
        "leading-space": (
            _ERROR,
            "The record begins with a space. Receivers that follow the standard ignore it.",
            _FORMAL,
        ),
        "unrelated-text": (
            _NOTICE,
            "Another text is published at {name}. Receivers ignore it.",
            _WALK,
        ),
        "wildcard": (
            _NOTICE,
            "The text at {name} comes from a wildcard record: any name below {domain} has it.",
            "RFC 4592 section 2.1",
        ),
        "cname": (
            _NOTICE,
            "{name} is an alias (CNAME) for {target}. The record is maintained there.",
            "RFC 1034 section 3.6.2",
        ),
        "inherited": (
            _NOTICE,
            "{domain} has no DMARC record of its own. The policy {policy} comes from tag {tag} of {record_domain}.",
            _DISCOVERY,
        ),
        "no-answer": (
            _WARNING,
            "DNS did not answer about {name}, so this could not be checked. Try again later.",
            _DISCOVERY,
        ),
        # The policy.
        "policy-reject": (_GOOD, "Receivers are requested to reject mail that fails DMARC.", _FORMAT),
        "policy-quarantine": (
            _GOOD,
            "Receivers are requested to treat mail that fails DMARC as suspicious (quarantine).",
            _FORMAT,
        ),
        "policy-none": (
            _NOTICE,
            "The policy is none: mail that fails DMARC is reported but delivered as before.",
            _FORMAT,
        ),
        "policy-missing": (
            _WARNING,
            "The tag p is missing. Receivers treat the record as p=none because rua has an address.",
            _DISCOVERY,
        ),
        "policy-missing-ignored": (
            _ERROR,
            "The tag p is missing and rua has no valid address. Receivers apply no DMARC at all.",
            _DISCOVERY,
        ),
        "policy-invalid": (
            _ERROR,
            "{tag}={value} is not a policy; use none, quarantine or reject. "
            "Receivers treat the whole record as p=none.",
            _DISCOVERY,
        ),
        "policy-invalid-ignored": (
            _ERROR,
            "{tag}={value} is not a policy; use none, quarantine or reject. "
            "As rua has no valid address, receivers apply no DMARC at all.",
            _DISCOVERY,
        ),
        "subdomains-weaker": (
            _WARNING,
            "{tag}={value} is weaker than p={policy}: mail in the name of subdomains is less protected.",
            _FORMAT,
        ),
        "subdomain-tag-without-effect": (
            _NOTICE,
            "{tag} has no effect here: receivers read it only at the organizational domain, {organizational}.",
            _FORMAT,
        ),
        "testing": (
            _WARNING,
            "t=y is set: receivers apply the policy one step weaker ({applied} instead of {policy}).",
            _FORMAT,
        ),
        "testing-without-effect": (_NOTICE, "t=y has no effect, because every policy is none.", _FORMAT),
        "public-suffix": (
            _WARNING,
            "psd=y declares {domain} a public suffix, under which others register domains. "
            "Each name below it then counts as a separate organizational domain.",
            _FORMAT,
        ),
        # Other tags.
        "value-invalid": (_WARNING, "{tag}={value} is not valid. Receivers use the default, {default}.", _FORMAT),
        "pct": (
            _WARNING,
            "pct={value} is obsolete: receivers that follow RFC 9989 ignore it and apply the policy to all mail. "
            "Use t=y while testing.",
            "RFC 9989 appendix A.6",
        ),
        "pct-obsolete": (_NOTICE, "pct is obsolete and can be removed; 100 was its default.", _REMOVED),
        "pct-invalid": (
            _WARNING,
            "pct={value} is not a number up to 100, and pct is obsolete. Remove it.",
            _REMOVED,
        ),
        "rf-obsolete": (_NOTICE, "rf (format of failure reports) is obsolete and can be removed.", _REMOVED),
        "ri-obsolete": (
            _NOTICE,
            "ri (interval of reports) is obsolete and can be removed. Reports come about once a day.",
            _REMOVED,
        ),
        "fo-without-ruf": (_NOTICE, "fo has no effect without ruf.", _FORMAT),
        "unknown-tag": (_NOTICE, "{tag} is not a tag of DMARC. Receivers ignore it.", _FORMAT),
        "misspelt-tag": (_WARNING, "{tag} is not a tag of DMARC; {meant} may be meant. Receivers ignore it.", _FORMAT),
        "duplicate-tag": (
            _ERROR,
            "The tag {tag} occurs more than once. Receivers differ in which they use, or ignore the record.",
            "RFC 6376 section 3.2",
        ),
        "not-a-tag": (_WARNING, '"{value}" is not a tag: it has no =. Receivers ignore it.', _FORMAL),
        "separator": (
            _ERROR,
            "A semicolon is missing before {tag}, which receivers read as part of the tag before it.",
            _FORMAL,
        ),
        "characters": (
            _ERROR,
            "The record has characters outside ASCII or control characters, such as typographic quotation marks. "
            "Receivers ignore the tags that contain them.",
            _FORMAL,
        ),
        "too-long": (_WARNING, "The record has {count} characters; only the first 4,096 were read.", ""),
        # Addresses for reports.
        "rua-missing": (_WARNING, "There is no rua: nobody sends aggregate reports about the domain.", _FORMAT),
        "rua-present": (_GOOD, "Aggregate reports are requested at {address}.", _FORMAT),
        "uri-empty": (_WARNING, "{tag} has no address.", _FORMAL),
        "uri-without-mailto": (_ERROR, "{tag} has {value}, which is not a URI. Write mailto:{value}.", _FORMAL),
        "uri-invalid": (_ERROR, "{tag} has {value}, which is not a valid URI.", _FORMAL),
        "uri-address": (_ERROR, "{tag} has {value}, which has no valid mail address.", _FORMAL),
        "uri-scheme": (
            _WARNING,
            "{tag} has {value}. Receivers need to support only mailto and ignore other schemes.",
            _FORMAT,
        ),
        "uri-separator": (
            _ERROR,
            "The addresses of {tag} must be separated by commas; {value} is lost.",
            _FORMAL,
        ),
        "uri-size": (
            _NOTICE,
            "The size limit of {value} is obsolete. Receivers may ignore it, or send no report above it.",
            "RFC 9989 appendix C.4",
        ),
        "uri-size-invalid": (
            _ERROR,
            "The part after the exclamation mark in {value} is not a size such as 10m. Write %21 for a literal one.",
            _FORMAL,
        ),
        "uri-many": (
            _NOTICE,
            "{tag} has {count} addresses. Some receivers send to the first two only.",
            "RFC 7489 section 6.2",
        ),
        "uri-duplicate": (_NOTICE, "{tag} has {value} more than once.", _FORMAL),
        "reports-authorised": (
            _GOOD,
            "{target} accepts reports about {domain}.",
            _EXTERNAL,
        ),
        "reports-not-authorised": (
            _ERROR,
            "{tag} sends reports to {target}, which does not accept reports about {domain}. Receivers send none there.",
            _EXTERNAL,
        ),
        "reports-no-mail": (
            _WARNING,
            "{tag} names {target}, which cannot receive mail.",
            "RFC 5321 section 5.1",
        ),
        "reports-unknown": (
            _NOTICE,
            "DNS did not answer whether {target} accepts reports about {domain}.",
            _EXTERNAL,
        ),
    },
)
