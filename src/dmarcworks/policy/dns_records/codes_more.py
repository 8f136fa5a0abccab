"""Every finding about DKIM keys, BIMI, DNSSEC and our own report host."""

from __future__ import annotations

from dmarcworks.policy.dns_records.codes import code_table
from dmarcworks.policy.dns_records.finding import RecordCheck, Severity

__all__ = ["BIMI_CODES", "DKIM_CODES", "DNSSEC_CODES", "REPORT_HOST_CODES"]

_ERROR, _WARNING, _NOTICE, _GOOD = Severity.error, Severity.warning, Severity.notice, Severity.good
_KEY, _ALGORITHMS = "RFC 6376 section 3.6.1", "RFC 8301 section 3.2"
_INDICATOR, _PROFILE = "draft-brand-indicators-for-message-identification", "draft-svg-tiny-ps-abrotman"
_EXTERNAL = "RFC 9990, Verifying External Destinations"

DKIM_CODES = code_table(
    RecordCheck.dkim,
    {
        "key-good": (_GOOD, "The key {selector} is a valid {kind} key of {bits} bits.", _KEY),
        "no-selector": (_NOTICE, "DKIM keys can only be checked by selector; name one with --selector.", _KEY),
        "selector-invalid": (_ERROR, "{selector} cannot be a selector.", "RFC 6376 section 3.1"),
        "key-missing": (_ERROR, "There is no key at {name}.", "RFC 6376 section 3.6.2"),
        "key-missing-seen": (
            _WARNING,
            "Reports show signatures with {selector}, but there is no key at {name}. "
            "Publish it if the sender is yours; otherwise it is forged.",
            "RFC 6376 section 3.6.2",
        ),
        "several-records": (_ERROR, "There are {count} records at {name}; verifiers may use any or none.", _KEY),
        "cname": (_NOTICE, "{name} is an alias (CNAME) for {target}. The key is maintained there.", _KEY),
        "syntax": (_ERROR, "The record at {name} is not a list of tags: {reason}.", "RFC 6376 section 3.2"),
        "version": (_ERROR, "v={value} is not a version of DKIM; it must be DKIM1 and the first tag.", _KEY),
        "key-absent": (_ERROR, "The record at {name} has no tag p, so it is not a key.", _KEY),
        "key-revoked": (_WARNING, "The key {selector} is revoked (empty p). Mail signed with it fails.", _KEY),
        "key-type": (_ERROR, "k={value} is not a known type of key; use rsa or ed25519.", _KEY),
        "key-broken": (_ERROR, "p of {selector} is not a {kind} key: {reason}.", _KEY),
        "key-too-short": (_ERROR, "The key {selector} has {bits} bits. Verifiers refuse fewer than 1024.", _ALGORITHMS),
        "key-short": (_WARNING, "The key {selector} has {bits} bits; 2048 are recommended.", _ALGORITHMS),
        "key-too-long": (
            _WARNING,
            "The key {selector} has {bits} bits; some verifiers stop at 4096.",
            _ALGORITHMS,
        ),
        "testing": (
            _WARNING,
            "t=y marks the key {selector} as a test: verifiers may ignore it.",
            _KEY,
        ),
        "strict": (_NOTICE, "t=s: the key {selector} is not for mail in the name of subdomains.", _KEY),
        "hash": (_ERROR, "h={value} does not allow sha256, which every signature needs.", _ALGORITHMS),
        "service": (_ERROR, "s={value} does not allow email, so the key is not used for mail.", _KEY),
        "granularity": (_NOTICE, "The tag g of {selector} is obsolete and can be removed.", "RFC 6376 appendix C"),
        "unknown-tag": (_NOTICE, "{tag} is not a tag of DKIM keys. Verifiers ignore it.", _KEY),
        "no-answer": (_WARNING, "DNS did not answer about {name}, so the key could not be checked.", _KEY),
    },
)

BIMI_CODES = code_table(
    RecordCheck.bimi,
    {
        "missing": (_NOTICE, "{domain} has no BIMI record: mailbox providers show no logo.", _INDICATOR),
        "several-records": (_ERROR, "There are {count} BIMI records at {name}. Receivers ignore all.", _INDICATOR),
        "record-invalid": (_ERROR, "The text at {name} is not a BIMI record: it must begin with v=BIMI1;.", _INDICATOR),
        "record-valid": (_GOOD, "The logo is published at {url}.", _INDICATOR),
        "declined": (_NOTICE, "The record declines to show a logo (empty l).", _INDICATOR),
        "logo-missing": (_ERROR, "The record has no tag l with the address of the logo.", _INDICATOR),
        "logo-url": (_ERROR, "{tag}={value} is not an https URL.", _INDICATOR),
        "logo-name": (_WARNING, "{value} does not end with .svg.", _INDICATOR),
        "policy": (
            _ERROR,
            "BIMI needs the DMARC policy quarantine or reject; {policy} applies to {domain}.",
            _INDICATOR,
        ),
        "subdomain-policy": (_ERROR, "BIMI needs an sp that is not none at the organizational domain.", _INDICATOR),
        "testing": (_ERROR, "BIMI needs a policy that applies to all mail; {tag}={value} limits it.", _INDICATOR),
        "certificate-missing": (
            _NOTICE,
            "The record names no certificate (a); some providers require one.",
            _INDICATOR,
        ),
        "duplicate-tag": (_ERROR, "The tag {tag} occurs more than once.", _INDICATOR),
        "unknown-tag": (_NOTICE, "{tag} is not a tag of BIMI. Receivers ignore it.", _INDICATOR),
        "fetch": (_WARNING, "{url} cannot be fetched: {reason}.", _INDICATOR),
        "status": (_ERROR, "{url} answers with HTTP status {status}; only 200 counts.", _INDICATOR),
        "svg-broken": (_ERROR, "The logo is not well-formed XML: {reason}.", _PROFILE),
        "svg-profile": (
            _ERROR,
            'The logo needs version="1.2" and baseProfile="tiny-ps".',
            _PROFILE,
        ),
        "svg-title": (_ERROR, "The logo has no title element.", _PROFILE),
        "svg-element": (_ERROR, "The logo has the element {value}, which SVG Tiny PS does not allow.", _PROFILE),
        "svg-attribute": (_ERROR, "The logo has the attribute {value}, which SVG Tiny PS does not allow.", _PROFILE),
        "svg-reference": (_ERROR, "The logo refers to {value}; references to the outside are not allowed.", _PROFILE),
        "svg-size": (_WARNING, "The logo has {octets} bytes; providers accept up to 32 kB.", _PROFILE),
        "svg-square": (_WARNING, "The logo is not square: its viewBox is {value}.", _PROFILE),
        "svg-valid": (_GOOD, "The logo keeps to SVG Tiny PS.", _PROFILE),
        "certificate-broken": (_ERROR, "{url} has no certificate: {reason}.", _INDICATOR),
        "certificate-expired": (_ERROR, "The certificate was valid until {day}.", _INDICATOR),
        "certificate-domain": (_ERROR, "The certificate is for {names}, not for {domain}.", _INDICATOR),
        "certificate": (_GOOD, "A certificate of {issuer} confirms the logo for {names} until {day}.", _INDICATOR),
        "no-answer": (_WARNING, "DNS did not answer about {name}, so BIMI could not be checked.", _INDICATOR),
    },
)

DNSSEC_CODES = code_table(
    RecordCheck.dnssec,
    {
        "signed": (_GOOD, "The zone {zone} is signed with DNSSEC.", "RFC 9364"),
        "unsigned": (_NOTICE, "The zone {zone} is not signed with DNSSEC: answers could be forged.", "RFC 9364"),
        "broken": (
            _ERROR,
            "{zone} has a DS record but no DNSKEY: validating resolvers refuse it.",
            "RFC 4035 section 2.4",
        ),
        "no-answer": (_NOTICE, "DNS did not answer whether {domain} is signed.", "RFC 9364"),
    },
)

REPORT_HOST_CODES = code_table(
    RecordCheck.report_host,
    {
        "reachable": (_GOOD, "Mail to {host} can be delivered.", "RFC 5321 section 5.1"),
        "unreachable": (_ERROR, "{host} has no MX record and no address: no report arrives.", "RFC 5321 section 5.1"),
        "authorises": (_GOOD, "{host} accepts reports about other domains.", _EXTERNAL),
        "not-authorising": (
            _ERROR,
            "{host} does not accept reports about other domains, so their reporters send none.",
            _EXTERNAL,
        ),
        "ptr": (_GOOD, "The address {address} resolves to {name} and back.", "RFC 1912 section 2.1"),
        "ptr-missing": (
            _WARNING,
            "The address {address} has no PTR name that leads back to it. Mail that it forwards may be refused.",
            "RFC 1912 section 2.1",
        ),
        "spf": (_GOOD, "{host} has an SPF record.", "RFC 7208 section 10.1.2"),
        "spf-missing": (
            _NOTICE,
            "{host} has no SPF record. As it sends no mail in its own name, it can declare that.",
            "RFC 7208 section 10.1.2",
        ),
        "no-answer": (_WARNING, "DNS did not answer about the report host {host}.", ""),
    },
)
