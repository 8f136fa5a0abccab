"""Domains for the checks of DNS records: good ones, and ones that are broken in one way each, with what is found.

Each domain begins as a good one; a case replaces some of its records. `codes` are all findings of the case's own check;
those of the other checks are the good domain's. docs/dns-checks.md shows the table.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dmarcworks.policy.dns_records.https_fetch import FetchedDocument, FetchError
from tests.support.spf_zones import SpfDomain

__all__ = ["CASES", "DnsCase", "all_records", "expected_codes", "spf_zone"]

Published = Mapping[tuple[str, str], list[str] | None]
# What is found at a good domain, by check.
GOOD = {
    "dmarc": {"policy-reject", "rua-present"},
    "spf": {"valid"},
    "dkim": {"no-selector"},
    "mx": {"present"},
    "mta-sts": {"missing"},
    "tls-rpt": {"missing"},
    "bimi": {"missing"},
    "dnssec": {"unsigned"},
}


@dataclass(frozen=True)
class DnsCase:
    """A domain below `example`: what its case is, the records that differ ("@" is the domain, None removes), and what
    is found. `effective`: domain, organizational domain, policy and tag, where the case is about them."""

    name: str
    meaning: str
    check: str
    codes: set[str]
    records: Published = field(default_factory=dict)
    selectors: tuple[str, ...] = ()
    documents: Mapping[str, FetchedDocument | FetchError] = field(default_factory=dict)
    others: Mapping[str, set[str]] = field(default_factory=dict)
    effective: tuple[str | None, str | None, str | None, str | None] | None = None

    @property
    def domain(self) -> str:
        return f"{self.name}.example"


def text(value: str) -> list[str]:
    """A TXT record in zone form, in pieces of 200 characters."""
    escaped = [value[start : start + 200] for start in range(0, len(value), 200)] or [""]
    return [" ".join(f'"{_escaped(piece)}"' for piece in escaped)]


def _escaped(piece: str) -> str:
    return "".join(
        f"\\{octet:03d}" if octet in b'"\\' or octet < 32 or octet > 126 else chr(octet) for octet in piece.encode()
    )


def dmarc(name: str, meaning: str, record: str, codes: str, policy: str | None = None, tag: str = "p") -> DnsCase:
    """A case of one DMARC record; `policy` is what applies."""
    domain = f"{name}.example"
    record = record.replace("§", domain)
    effective = (domain, domain, policy, tag) if policy else (None, None, None, None)
    return DnsCase(name, meaning, "dmarc", set(codes.split()), {("_dmarc", "TXT"): text(record)}, effective=effective)


_R = "rua=mailto:d@§"
_DMARC = [
    DnsCase("good", "reject, with reports", "dmarc", GOOD["dmarc"], effective=("good.example",) * 2 + ("reject", "p")),
    dmarc("quarantine", "quarantine", f"v=DMARC1; p=quarantine; {_R}", "policy-quarantine rua-present", "quarantine"),
    dmarc("monitoring", "none, with reports", f"v=DMARC1;p=none;{_R}", "policy-none rua-present", "none"),
    dmarc("spaces", "spaces around =", f"v = DMARC1 ; p = reject ; {_R} ;", "policy-reject rua-present", "reject"),
    dmarc("capitals", "values in capitals", f"V=DMARC1; P=REJECT; {_R}", "policy-reject rua-present", "reject"),
    dmarc(
        "every-tag",
        "every tag of RFC 9989",
        f"v=DMARC1; p=reject; sp=reject; np=reject; adkim=s; aspf=s; fo=1:d:s; psd=n; t=n; {_R}; ruf=mailto:f@§",
        "policy-reject rua-present",
        "reject",
    ),
    dmarc("no-rua", "no address for reports", "v=DMARC1; p=reject", "policy-reject rua-missing", "reject"),
    dmarc("empty-rua", "an empty rua", "v=DMARC1; p=reject; rua=", "policy-reject uri-empty", "reject"),
    dmarc("only-version", "nothing but the version", "v=DMARC1", "policy-missing-ignored rua-missing"),
    dmarc("no-p", "p is missing, rua is valid", f"v=DMARC1; {_R}", "policy-missing rua-present", "none"),
    dmarc("p-typo", "a misspelt policy", f"v=DMARC1; p=quarentine; {_R}", "policy-invalid rua-present", "none"),
    dmarc("p-typo-no-rua", "a misspelt policy without rua", "v=DMARC1; p=rejct", "policy-invalid-ignored rua-missing"),
    dmarc("sp-typo", "a misspelt sp", f"v=DMARC1; p=reject; sp=nune; {_R}", "policy-invalid rua-present", "none"),
    dmarc("np-typo", "a misspelt np", f"v=DMARC1; p=reject; np=yes; {_R}", "policy-invalid rua-present", "none"),
    dmarc("sp-empty", "an empty sp", f"v=DMARC1; p=reject; sp=; {_R}", "policy-invalid rua-present", "none"),
    dmarc("v-case", "the version in lower case", f"v=dmarc1; p=reject; {_R}", "version-case"),
    dmarc("v-two", "an unknown version", f"v=DMARC2; p=reject; {_R}", "version-unknown"),
    dmarc("v-last", "the version is not first", f"p=reject; v=DMARC1; {_R}", "version-not-first"),
    dmarc("v-none", "no version", f"p=reject; {_R}", "version-missing"),
    dmarc("v-bare", "the version without v=", f"DMARC1; p=reject; {_R}", "version-missing"),
    dmarc("v-no-semicolon", "no semicolon after the version", f"v=DMARC1 p=reject; {_R}", "version-separator"),
    dmarc("v-comma", "a comma after the version", f"v=DMARC1, p=reject, {_R}", "version-separator"),
    dmarc("quoted", "quotation marks in the text", f'"v=DMARC1; p=reject; {_R}"', "quotes"),
    dmarc("smart-quoted", "typographic quotation marks", f"“v=DMARC1; p=reject; {_R}”", "quotes"),
    dmarc("leading-space", "a space at the start", f" v=DMARC1; p=reject; {_R}", "leading-space"),
    dmarc(
        "smart-inside",
        "typographic quotation marks in a value",
        f"v=DMARC1; p=“reject”; {_R}",
        "characters policy-invalid rua-present",
        "none",
    ),
    dmarc("no-separator", "a semicolon is missing", f"v=DMARC1; p=reject {_R}", "separator rua-missing"),
    dmarc("comma", "a comma between tags", f"v=DMARC1; p=reject, {_R}", "separator rua-missing"),
    dmarc(
        "comma-after-rua",
        "a comma after rua",
        f"v=DMARC1; p=reject; {_R}, sp=none",
        "separator policy-reject rua-present",
        "reject",
    ),
    dmarc(
        "garbage",
        "text that is no tag",
        f"v=DMARC1; p=reject; {_R}; hello",
        "not-a-tag policy-reject rua-present",
        "reject",
    ),
    dmarc("empty-tags", "empty tags", f"v=DMARC1;; p=reject;; {_R};;", "policy-reject rua-present", "reject"),
    dmarc(
        "unknown",
        "an unknown tag",
        f"v=DMARC1; p=reject; x-y=1; {_R}",
        "unknown-tag policy-reject rua-present",
        "reject",
    ),
    dmarc(
        "misspelt",
        "a misspelt tag",
        "v=DMARC1; p=reject; ruaa=mailto:d@§",
        "misspelt-tag policy-reject rua-missing",
        "reject",
    ),
    dmarc("twice", "p twice", f"v=DMARC1; p=reject; p=none; {_R}", "duplicate-tag policy-reject rua-present", "reject"),
    dmarc("pct-50", "pct below 100", f"v=DMARC1; p=reject; pct=50; {_R}", "pct policy-reject rua-present", "reject"),
    dmarc(
        "pct-100", "pct=100", f"v=DMARC1; p=reject; pct=100; {_R}", "pct-obsolete policy-reject rua-present", "reject"
    ),
    dmarc(
        "pct-odd", "pct=all", f"v=DMARC1; p=reject; pct=all; {_R}", "pct-invalid policy-reject rua-present", "reject"
    ),
    dmarc(
        "rf-ri",
        "rf and ri",
        f"v=DMARC1; p=reject; rf=afrf; ri=86400; {_R}",
        "rf-obsolete ri-obsolete policy-reject rua-present",
        "reject",
    ),
    dmarc("testing", "t=y", f"v=DMARC1; p=reject; t=y; {_R}", "testing policy-reject rua-present", "reject"),
    dmarc(
        "testing-none",
        "t=y without a policy",
        f"v=DMARC1; p=none; t=y; {_R}",
        "testing-without-effect policy-none rua-present",
        "none",
    ),
    dmarc(
        "sp-weaker",
        "sp weaker than p",
        f"v=DMARC1; p=reject; sp=none; {_R}",
        "subdomains-weaker policy-reject rua-present",
        "reject",
    ),
    dmarc(
        "adkim",
        "adkim=strict",
        f"v=DMARC1; p=reject; adkim=strict; {_R}",
        "value-invalid policy-reject rua-present",
        "reject",
    ),
    dmarc(
        "fo",
        "fo=0:1",
        f"v=DMARC1; p=reject; {_R}; ruf=mailto:f@§; fo=0:1",
        "value-invalid policy-reject rua-present",
        "reject",
    ),
    dmarc(
        "fo-alone",
        "fo without ruf",
        f"v=DMARC1; p=reject; {_R}; fo=1",
        "fo-without-ruf policy-reject rua-present",
        "reject",
    ),
    dmarc("psd", "psd=y", f"v=DMARC1; p=reject; psd=y; {_R}", "public-suffix policy-reject rua-present", "reject"),
    dmarc(
        "bare-address",
        "rua without mailto",
        "v=DMARC1; p=reject; rua=d@§",
        "uri-without-mailto policy-reject",
        "reject",
    ),
    dmarc(
        "no-mail-address",
        "mailto without an address",
        "v=DMARC1; p=reject; rua=mailto:d",
        "uri-address policy-reject",
        "reject",
    ),
    dmarc(
        "bad-escape",
        "a broken percent escape",
        "v=DMARC1; p=reject; rua=mailto:d%2@§",
        "uri-invalid policy-reject",
        "reject",
    ),
    dmarc(
        "escaped",
        "a percent escape",
        "v=DMARC1; p=reject; rua=mailto:d%2Br@§",
        "policy-reject rua-present",
        "reject",
    ),
    dmarc("https-rua", "rua with https", "v=DMARC1; p=reject; rua=https://§/r", "uri-scheme policy-reject", "reject"),
    dmarc("size", "a size limit", f"v=DMARC1; p=reject; {_R}!10m", "uri-size policy-reject rua-present", "reject"),
    dmarc(
        "bad-size",
        "a broken size limit",
        f"v=DMARC1; p=reject; {_R}!big",
        "uri-size-invalid policy-reject rua-present",
        "reject",
    ),
    dmarc(
        "three",
        "three addresses",
        f"v=DMARC1; p=reject; {_R},mailto:e@§,mailto:f@§",
        "uri-many policy-reject rua-present",
        "reject",
    ),
    dmarc("two", "two addresses", f"v=DMARC1; p=reject; {_R}, mailto:e@§", "policy-reject rua-present", "reject"),
    dmarc(
        "same-twice",
        "an address twice",
        f"v=DMARC1; p=reject; {_R},mailto:d@§",
        "uri-duplicate policy-reject rua-present",
        "reject",
    ),
    dmarc(
        "semicolon-list",
        "a semicolon between addresses",
        f"v=DMARC1; p=reject; {_R};mailto:e@§",
        "uri-separator policy-reject rua-present",
        "reject",
    ),
    dmarc(
        "space-list",
        "a space between addresses",
        f"v=DMARC1; p=reject; {_R} mailto:e@§",
        "uri-separator policy-reject",
        "reject",
    ),
    dmarc(
        "outside",
        "reports to another domain that refuses",
        "v=DMARC1; p=reject; rua=mailto:d@good.example",
        "reports-not-authorised policy-reject rua-present",
        "reject",
    ),
    dmarc(
        "authorised",
        "reports to another domain that accepts",
        "v=DMARC1; p=reject; rua=mailto:d@reports.example",
        "reports-authorised policy-reject rua-present",
        "reject",
    ),
    dmarc(
        "no-mail",
        "reports to a host without mail",
        "v=DMARC1; p=reject; rua=mailto:d@nowhere.§",
        "reports-no-mail policy-reject rua-present",
        "reject",
    ),
    dmarc(
        "silent-target",
        "reports to a domain whose DNS is silent",
        "v=DMARC1; p=reject; rua=mailto:d@silent.invalid",
        "reports-unknown policy-reject rua-present",
        "reject",
    ),
    dmarc("unrelated", "another text at _dmarc", "some-verification=1", "unrelated-text missing"),
    DnsCase("missing", "no DMARC record", "dmarc", {"missing"}, {("_dmarc", "TXT"): None}, effective=(None,) * 4),
    DnsCase(
        "several",
        "two DMARC records",
        "dmarc",
        {"several-records"},
        {("_dmarc", "TXT"): ['"v=DMARC1; p=reject"', '"v=DMARC1; p=none"']},
        effective=(None,) * 4,
    ),
    DnsCase(
        "with-other",
        "another text next to the record",
        "dmarc",
        {"unrelated-text", "policy-reject", "rua-present"},
        {("_dmarc", "TXT"): ['"v=DMARC1; p=reject; rua=mailto:d@with-other.example"', '"hello"']},
        effective=("with-other.example", "with-other.example", "reject", "p"),
    ),
    DnsCase(
        "alias",
        "_dmarc is an alias",
        "dmarc",
        {"cname", "policy-reject", "rua-present", "reports-not-authorised"},
        {("_dmarc", "TXT"): None, ("_dmarc", "CNAME"): ["_dmarc.good.example."]},
        effective=("alias.example", "alias.example", "reject", "p"),
    ),
    DnsCase(
        "wildcard",
        "a wildcard answers for _dmarc",
        "dmarc",
        {"wildcard", "unrelated-text", "missing"},
        {("_dmarc", "TXT"): None, ("*", "TXT"): ['"hello"']},
        effective=(None,) * 4,
    ),
    DnsCase(
        "silent",
        "DNS is silent about _dmarc",
        "dmarc",
        {"no-answer"},
        {("_dmarc", "SERVFAIL"): [], ("_dmarc", "TXT"): None},
    ),
    DnsCase(
        "sub.sp-weaker",
        "a subdomain inherits sp",
        "dmarc",
        {"inherited"},
        {("_dmarc", "TXT"): None},
        effective=("sp-weaker.example", "sp-weaker.example", "none", "sp"),
    ),
    DnsCase(
        "own.good",
        "a subdomain with a record of its own",
        "dmarc",
        {"policy-reject", "rua-present", "subdomain-tag-without-effect"},
        {("_dmarc", "TXT"): ['"v=DMARC1; p=reject; sp=reject; rua=mailto:d@good.example"']},
        effective=("own.good.example", "good.example", "reject", "p"),
    ),
]


def other(check: str, name: str, meaning: str, codes: str, records: Published, **more: object) -> DnsCase:
    """A case of another check."""
    return DnsCase(name, meaning, check, set(codes.split()), records, **more)  # type: ignore[arg-type]


_MX = [
    other(
        "mx",
        "mx-null",
        "a null MX",
        "null",
        {("@", "MX"): ["0 ."]},
        others={"dmarc": GOOD["dmarc"] | {"reports-no-mail"}},
    ),
    other(
        "mx",
        "mx-null-ten",
        "a null MX with a preference",
        "null null-preference",
        {("@", "MX"): ["10 ."]},
        others={"dmarc": GOOD["dmarc"] | {"reports-no-mail"}},
    ),
    other("mx", "mx-mixed", "a null MX with another", "null-mixed", {("@", "MX"): ["0 .", "10 mx.mx-mixed.example."]}),
    other(
        "mx",
        "mx-none",
        "no MX and no address",
        "missing",
        {("@", "MX"): None},
        others={"dmarc": GOOD["dmarc"] | {"reports-no-mail"}},
    ),
    other("mx", "mx-implicit", "an address without MX", "implicit", {("@", "MX"): None, ("@", "A"): ["192.0.2.1"]}),
    other("mx", "mx-ip", "an address as MX", "host-is-address", {("@", "MX"): ["10 192.0.2.1."]}),
    other(
        "mx",
        "mx-alias",
        "an alias as MX",
        "host-is-alias",
        {("mx", "A"): None, ("mx", "CNAME"): ["mx.good.example."]},
    ),
    other("mx", "mx-lost", "an MX without an address", "host-missing", {("mx", "A"): None}),
    other("mx", "mx-localhost", "localhost as MX", "host-local", {("@", "MX"): ["10 localhost."]}),
    other("mx", "mx-loopback", "an MX on loopback", "host-local", {("mx", "A"): ["127.0.0.1"]}),
    other(
        "mx",
        "mx-two",
        "two mail hosts",
        "present",
        {("@", "MX"): ["10 mx.mx-two.example.", "20 mx.good.example."]},
    ),
    other("mx", "mx-silent", "DNS is silent about MX", "no-answer", {("mx", "SERVFAIL"): []}),
]


def key(bits: int) -> str:
    """The p of an RSA key."""
    public = rsa.generate_private_key(65537, bits).public_key()
    return base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


_LONG, _SHORT = key(2048), key(1024)
# A key of 512 bits, which the library does not make any more.
_TINY = (
    "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALqbHeRLCyOdykC5SDLqI49ArYGYG1mqaH9/GnWjGavZM02fos4lc2w6"
    "tCchcUBNtJvGqKwhC5JEnx3RYoSX2ucCAwEAAQ=="
)


def dkim(name: str, meaning: str, record: str | None, codes: str) -> DnsCase:
    """A case of one key at the selector s."""
    records = {("s._domainkey", "TXT"): None if record is None else text(record)}
    return DnsCase(name, meaning, "dkim", set(codes.split()), records, ("s",))


_DKIM = [
    dkim("dkim-rsa", "an RSA key of 2048 bits", f"v=DKIM1; k=rsa; p={_LONG}", "key-good"),
    dkim("dkim-plain", "a key with p only", f"p={_LONG}", "key-good"),
    dkim("dkim-ed", "an Ed25519 key", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "key-good"),
    dkim("dkim-1024", "an RSA key of 1024 bits", f"v=DKIM1; p={_SHORT}", "key-short"),
    dkim("dkim-512", "an RSA key of 512 bits", f"v=DKIM1; p={_TINY}", "key-too-short"),
    dkim("dkim-revoked", "a revoked key", "v=DKIM1; p=", "key-revoked"),
    dkim("dkim-absent", "a record without p", "v=DKIM1; k=rsa", "key-absent"),
    dkim("dkim-lost", "no record at the selector", None, "key-missing"),
    dkim("dkim-testing", "t=y", f"v=DKIM1; t=y; p={_LONG}", "testing key-good"),
    dkim("dkim-strict", "t=s", f"v=DKIM1; t=s; p={_LONG}", "strict key-good"),
    dkim("dkim-sha1", "h=sha1", f"v=DKIM1; h=sha1; p={_LONG}", "hash key-good"),
    dkim("dkim-service", "s=tlsrpt", f"v=DKIM1; s=tlsrpt; p={_LONG}", "service key-good"),
    dkim("dkim-version", "an unknown version", f"v=DKIM2; p={_LONG}", "version"),
    dkim("dkim-v-last", "the version is not first", f"p={_LONG}; v=DKIM1", "version"),
    dkim("dkim-kind", "an unknown type of key", f"v=DKIM1; k=dsa; p={_LONG}", "key-type"),
    dkim("dkim-base64", "p is no base64", "v=DKIM1; p=***", "key-broken"),
    dkim("dkim-cut", "a key that was cut off", f"v=DKIM1; p={_LONG[:200]}", "key-broken"),
    dkim("dkim-ed-long", "an RSA key as Ed25519", f"v=DKIM1; k=ed25519; p={_LONG}", "key-broken"),
    dkim("dkim-twice", "a tag twice", f"v=DKIM1; p={_LONG}; p={_LONG}", "syntax"),
    dkim("dkim-unknown", "an unknown tag", f"v=DKIM1; zz=1; p={_LONG}", "unknown-tag key-good"),
    dkim("dkim-g", "the obsolete tag g", f"v=DKIM1; g=*; p={_LONG}", "granularity key-good"),
    DnsCase(
        "dkim-several",
        "two records at a selector",
        "dkim",
        {"several-records"},
        {("s._domainkey", "TXT"): ['"v=DKIM1; p="', '"v=DKIM1; p=x"']},
        ("s",),
    ),
    DnsCase(
        "dkim-alias",
        "a key behind an alias",
        "dkim",
        {"cname", "key-good"},
        {("s._domainkey", "CNAME"): ["s._domainkey.dkim-rsa.example."]},
        ("s",),
    ),
    DnsCase("dkim-odd", "no selector at all", "dkim", {"selector-invalid"}, {}, ("a b",)),
]
POLICY = "version: STSv1\nmode: enforce\nmx: *.{domain}\nmax_age: 604800\n"


def sts(name: str, meaning: str, codes: str, policy: str | FetchedDocument | FetchError = POLICY) -> DnsCase:
    """A case of an MTA-STS policy."""
    domain = f"{name}.example"
    document = policy
    if isinstance(policy, str):
        document = FetchedDocument(200, "text/plain; charset=utf-8", policy.replace("{domain}", domain).encode())
    url = f"https://mta-sts.{domain}/.well-known/mta-sts.txt"
    records = {("_mta-sts", "TXT"): text("v=STSv1; id=20260101;")}
    documents: Mapping[str, FetchedDocument | FetchError] = {url: document}  # type: ignore[dict-item]
    return DnsCase(name, meaning, "mta-sts", {"record-valid", *codes.split()}, records, documents=documents)


def sts_record(name: str, meaning: str, record: str, codes: str = "record-invalid") -> DnsCase:
    """A case of a record that announces no policy."""
    return DnsCase(name, meaning, "mta-sts", set(codes.split()), {("_mta-sts", "TXT"): text(record)})


_STS = [
    sts("sts", "an enforced policy", "mode-enforce"),
    sts("sts-crlf", "lines that end with CRLF", "mode-enforce", POLICY.replace("\n", "\r\n")),
    sts("sts-testing", "a policy in testing", "mode-testing", POLICY.replace("enforce", "testing")),
    sts("sts-none", "mode none", "mode-none", "version: STSv1\nmode: none\nmax_age: 86400\n"),
    sts(
        "sts-other",
        "an MX without a match",
        "mode-enforce mx-unmatched",
        POLICY.replace("*.{domain}", "mx.good.example"),
    ),
    sts("sts-deep", "a wildcard for one label only", "mode-enforce mx-unmatched", POLICY.replace("*.", "*.deep.")),
    sts(
        "sts-testing-other",
        "an MX without a match in testing",
        "mode-testing mx-unmatched-testing",
        POLICY.replace("enforce", "testing").replace("*.{domain}", "mx.good.example"),
    ),
    sts("sts-mode", "an unknown mode", "mode-invalid", POLICY.replace("enforce", "on")),
    sts("sts-version", "no version", "version mode-enforce", POLICY.replace("version: STSv1\n", "")),
    sts("sts-age", "no max_age", "mode-enforce max-age-invalid", POLICY.replace("max_age: 604800\n", "")),
    sts("sts-age-long", "max_age too long", "mode-enforce max-age-invalid", POLICY.replace("604800", "31557601")),
    sts("sts-age-short", "max_age of an hour", "mode-enforce max-age-short", POLICY.replace("604800", "3600")),
    sts("sts-no-mx", "no mx", "mode-enforce mx-missing", POLICY.replace("mx: *.{domain}\n", "")),
    sts("sts-bad-mx", "an mx that is no name", "mode-enforce mx-invalid", POLICY + "mx: m*.{domain}\n"),
    sts("sts-line", "a line that is none", "mode-enforce line-invalid", POLICY + "hello\n"),
    sts("sts-twice", "mode twice", "mode-enforce duplicate-key", POLICY + "mode: none\n"),
    sts("sts-404", "no policy", "status", FetchedDocument(404, "text/html", b"")),
    sts("sts-redirect", "a redirect", "redirect", FetchedDocument(301, "text/html", b"")),
    sts(
        "sts-html",
        "another media type",
        "mode-enforce media-type",
        FetchedDocument(200, "text/html", POLICY.replace("{domain}", "sts-html.example").encode()),
    ),
    sts("sts-down", "no web server", "unreachable", FetchError("unreachable", "connection refused")),
    sts("sts-cert", "a wrong certificate", "certificate", FetchError("certificate", "self-signed certificate")),
    sts("sts-private", "a private address", "private-address", FetchError("private-address", "no public address")),
    sts("sts-large", "a large policy", "too-large", FetchError("too-large", "it is too large")),
    sts_record("sts-no-id", "no id", "v=STSv1;"),
    sts_record("sts-bad-id", "an id with a hyphen", "v=STSv1; id=2026-01-01;"),
    sts_record("sts-case", "the version in lower case", "v=stsv1; id=1;"),
    DnsCase(
        "sts-several",
        "two records",
        "mta-sts",
        {"several-records"},
        {("_mta-sts", "TXT"): ['"v=STSv1; id=1"', '"v=STSv1; id=2"']},
    ),
]


def tls(name: str, meaning: str, record: str, codes: str) -> DnsCase:
    """A case of one TLS-RPT record."""
    return DnsCase(name, meaning, "tls-rpt", set(codes.split()), {("_smtp._tls", "TXT"): text(record)})


_TLS = [
    tls("tls", "reports by mail", "v=TLSRPTv1; rua=mailto:t@tls.example", "present"),
    tls("tls-https", "reports by https", "v=TLSRPTv1;rua=https://tls.example/r,mailto:t@tls.example", "present"),
    tls("tls-no-rua", "no rua", "v=TLSRPTv1;", "rua-missing"),
    tls("tls-bare", "rua without mailto", "v=TLSRPTv1; rua=t@tls.example", "uri-invalid"),
    tls("tls-ftp", "another scheme", "v=TLSRPTv1; rua=ftp://tls.example/", "uri-scheme"),
    tls("tls-case", "the version in lower case", "v=tlsrptv1; rua=mailto:t@tls.example", "record-invalid"),
    tls("tls-unknown", "an unknown tag", "v=TLSRPTv1; rua=mailto:t@tls.example; x=1", "unknown-tag present"),
    DnsCase(
        "tls-several",
        "two records",
        "tls-rpt",
        {"several-records"},
        {("_smtp._tls", "TXT"): ['"v=TLSRPTv1; rua=mailto:a@b.example"', '"v=TLSRPTv1; rua=mailto:c@d.example"']},
    ),
]
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" version="1.2" baseProfile="tiny-ps" viewBox="0 0 9 9">'
    '<title>Example</title><rect width="9" height="9"/></svg>'
)


def bimi(
    name: str, meaning: str, codes: str, logo: str | FetchError = SVG, record: str = "", more: Published | None = None
) -> DnsCase:
    """A case of BIMI; without a certificate, which a notice mentions."""
    domain = f"{name}.example"
    url = f"https://{domain}/logo.svg"
    document = logo if isinstance(logo, FetchError) else FetchedDocument(200, "image/svg+xml", logo.encode())
    records = {("default._bimi", "TXT"): text(record or f"v=BIMI1; l={url}; a="), **(more or {})}
    return DnsCase(name, meaning, "bimi", set(codes.split()), records, documents={url: document})


_BASE = "record-valid certificate-missing"
_BIMI = [
    bimi("bimi", "a valid logo", f"{_BASE} svg-valid"),
    bimi("bimi-declined", "a record that declines", "declined", record="v=BIMI1; l=; a="),
    bimi("bimi-no-l", "no l", "logo-missing", record="v=BIMI1; a="),
    bimi("bimi-http", "a logo over http", "logo-url certificate-missing", record="v=BIMI1; l=http://x.example/l.svg"),
    bimi("bimi-version", "an unknown version", "record-invalid", record="v=BIMI2; l=https://x.example/l.svg"),
    bimi("bimi-down", "no web server", f"{_BASE} fetch", FetchError("unreachable", "connection refused")),
    bimi("bimi-profile", "SVG of another profile", f"{_BASE} svg-profile", SVG.replace("tiny-ps", "full")),
    bimi("bimi-title", "a logo without a title", f"{_BASE} svg-title", SVG.replace("<title>Example</title>", "")),
    bimi("bimi-script", "a logo with a script", f"{_BASE} svg-element", SVG.replace("<rect", "<script/><rect")),
    bimi("bimi-handler", "a logo with a handler", f"{_BASE} svg-attribute", SVG.replace("<rect", '<rect onload="x"')),
    bimi(
        "bimi-link",
        "a logo with a reference",
        f"{_BASE} svg-reference",
        SVG.replace("<rect", '<use href="https://x/"/><rect'),
    ),
    bimi("bimi-wide", "a logo that is not square", f"{_BASE} svg-square", SVG.replace("0 0 9 9", "0 0 9 5")),
    bimi("bimi-broken", "a logo that is not XML", f"{_BASE} svg-broken", "<svg"),
    DnsCase(
        "bimi-none",
        "BIMI at p=none",
        "bimi",
        {"record-valid", "certificate-missing", "policy", "svg-valid"},
        {
            ("default._bimi", "TXT"): text("v=BIMI1; l=https://bimi-none.example/logo.svg"),
            ("_dmarc", "TXT"): text("v=DMARC1; p=none; rua=mailto:d@bimi-none.example"),
        },
        documents={"https://bimi-none.example/logo.svg": FetchedDocument(200, "image/svg+xml", SVG.encode())},
        others={"dmarc": {"policy-none", "rua-present"}},
    ),
]
_DNSSEC = [
    other(
        "dnssec",
        "signed",
        "a signed zone",
        "signed",
        {
            ("@", "SOA"): ["ns.signed.example. h.signed.example. 1 2 3 4 5"],
            ("@", "DS"): ["1 13 2 " + "AB" * 32],
            ("@", "DNSKEY"): ["257 3 13 " + base64.b64encode(bytes(64)).decode()],
        },
    ),
    other("dnssec", "unkeyed", "a DS without a key", "broken", {("@", "DS"): ["1 13 2 " + "AB" * 32]}),
]
CASES = [*_DMARC, *_MX, *_DKIM, *_STS, *_TLS, *_BIMI, *_DNSSEC]


def all_records() -> dict[tuple[str, str], list[str]]:
    """The zone of all cases."""
    zone: dict[tuple[str, str], list[str]] = {
        ("*._report._dmarc.reports.example", "TXT"): ['"v=DMARC1"'],
        ("reports.example", "A"): ["192.0.2.7"],
        ("silent.invalid", "SERVFAIL"): ["x"],
    }
    for case in CASES:
        published: dict[tuple[str, str], list[str] | None] = {
            ("@", "MX"): [f"10 mx.{case.domain}."],
            ("mx", "A"): ["192.0.2.10"],
            ("@", "TXT"): text("v=spf1 ip4:192.0.2.10 -all"),
            ("_dmarc", "TXT"): text(f"v=DMARC1; p=reject; rua=mailto:dmarc@{case.domain}"),
            **case.records,
        }
        for (name, kind), values in published.items():
            if values is not None:
                zone[case.domain if name == "@" else f"{name}.{case.domain}", kind] = values
    return zone


def expected_codes(case: DnsCase) -> set[str]:
    """Every code that is found at the domain of a case."""
    checks = {**GOOD, **case.others, case.check: case.codes}
    return {f"{check}-{code}" for check, codes in checks.items() for code in codes}


def spf_zone(domain: SpfDomain) -> dict[tuple[str, str], list[str]]:
    """The zone of one SPF test domain, `d.example`, in the form of the DNS server."""
    zone: dict[tuple[str, str], list[str]] = {(name, "SERVFAIL"): ["x"] for name in domain.silent}
    for (name, kind), values in {**domain.more, ("d.example", "TXT"): domain.texts}.items():
        zone[name, kind] = [_zone_form(kind, value) for value in values]
    return zone


def _zone_form(kind: str, value: object) -> str:
    if isinstance(value, tuple):
        return f"{value[0]} {value[1]}."
    if isinstance(value, bytes):
        octets = [f"\\{octet:03d}" for octet in value]
        pieces = ("".join(octets[start : start + 200]) for start in range(0, len(octets), 200))
        return " ".join(f'"{piece}"' for piece in pieces)
    if kind == "TXT":
        return text(str(value))[0]
    return f"{value}." if kind in ("CNAME", "PTR") else str(value)
