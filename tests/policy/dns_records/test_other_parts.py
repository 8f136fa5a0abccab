"""The report host, the certificate of BIMI, and the rest that the test domains do not have."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from dmarcworks.enrich.resolver import Dns
from dmarcworks.errors import UsageError
from dmarcworks.policy.dns_records.all_codes import ALL_CODES
from dmarcworks.policy.dns_records.bimi import bimi_findings
from dmarcworks.policy.dns_records.bimi_logo import certificate_findings, logo_findings
from dmarcworks.policy.dns_records.finding import DnsFinding, RecordCheck
from dmarcworks.policy.dns_records.mta_sts import mx_matches
from dmarcworks.policy.dns_records.names import domain_to_check
from dmarcworks.policy.dns_records.report_card import CardRequest, ReportCard, make_report_card
from dmarcworks.policy.dns_records.tls_rpt import tls_rpt_findings
from tests.support.dns_cases import SVG
from tests.support.dns_server import Records, dns_server

HOST = "reports.example.net"
DOMAIN = {
    ("_dmarc.a.example", "TXT"): [f'"v=DMARC1; p=none; rua=mailto:x@{HOST}"'],
    ("a.example", "TXT"): ['"v=spf1 -all"'],
    ("a.example", "MX"): ["0 ."],
}
READY = {
    (HOST, "MX"): [f"10 {HOST}."],
    (HOST, "A"): ["192.0.2.5"],
    (HOST, "TXT"): ['"v=spf1 -all"'],
    (f"*._report._dmarc.{HOST}", "TXT"): ['"v=DMARC1"'],
    ("5.2.0.192.in-addr.arpa", "PTR"): [f"{HOST}."],
}


def card(records: Records, request: CardRequest) -> ReportCard:
    async def made(port: int) -> ReportCard:
        dns = Dns(f"127.0.0.1:{port}")
        try:
            return await make_report_card(dns, request)
        finally:
            dns.close()

    with dns_server(records) as port:
        return asyncio.run(made(port))


def codes(findings: tuple[DnsFinding, ...] | list[DnsFinding], check: RecordCheck | None = None) -> set[str]:
    return {finding.code for finding in findings if check in (None, finding.check)}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {"reachable", "authorises", "ptr", "spf"}),
        ({(HOST, "MX"): None, (HOST, "A"): None}, {"unreachable", "authorises", "spf"}),
        ({(f"*._report._dmarc.{HOST}", "TXT"): None}, {"reachable", "not-authorising", "ptr", "spf"}),
        ({("5.2.0.192.in-addr.arpa", "PTR"): None}, {"reachable", "authorises", "ptr-missing", "spf"}),
        ({("5.2.0.192.in-addr.arpa", "PTR"): ["a.example."]}, {"reachable", "authorises", "ptr-missing", "spf"}),
        ({(HOST, "TXT"): None}, {"reachable", "authorises", "ptr", "spf-missing"}),
        ({(HOST, "SERVFAIL"): ["x"]}, {"no-answer"}),
    ],
)
def test_the_report_host(change: dict[tuple[str, str], list[str] | None], expected: set[str]) -> None:
    """Each of its records; it is checked because the domain sends its reports there."""
    records = {key: values for key, values in {**DOMAIN, **READY, **change}.items() if values is not None}
    result = card(records, CardRequest("a.example", report_host=HOST))
    assert codes(result.findings, RecordCheck.report_host) == {f"report-host-{code}" for code in expected}


def test_a_report_host_that_the_domain_does_not_name_is_not_checked() -> None:
    """Another domain's card is not about our host."""
    result = card({**DOMAIN, **READY}, CardRequest("a.example", report_host="other.example.net"))
    assert codes(result.findings, RecordCheck.report_host) == set()


def test_the_most_serious_findings_come_first() -> None:
    """Then in the order of the checks."""
    result = card({}, CardRequest("nothing.example", ("s",)))
    order = ["error", "warning", "notice", "good"]
    severities = [order.index(finding.severity) for finding in result.findings]
    assert severities == sorted(severities)
    assert [finding.code for finding in result.findings][:3] == ["dmarc-missing", "spf-no-record", "dkim-key-missing"]


def certificate(*names: str, days: int = 100) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example Authority")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, now, now + timedelta(days=days))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_the_certificate_of_a_logo() -> None:
    """Named with its issuer; expired, for another domain, or none."""
    url, now = "https://a.example/c.pem", datetime(2026, 2, 1, tzinfo=UTC)

    def of(data: bytes, domain: str = "a.example") -> list[tuple[str, str]]:
        return [(finding.code, finding.message) for finding in certificate_findings(data, url, domain, now)]

    named = "A certificate of CN=Example Authority confirms the logo for a.example until 2026-04-11."
    assert of(certificate("a.example")) == [("bimi-certificate", named)]
    assert of(certificate("a.example"), "mail.a.example") == [("bimi-certificate", named)]
    assert of(certificate("a.example"), "ba.example")[0][0] == "bimi-certificate-domain"
    assert of(certificate())[0][0] == "bimi-certificate-domain"
    assert of(certificate("a.example", days=9)) == [
        ("bimi-certificate-expired", "The certificate was valid until 2026-01-10.")
    ]
    for data in (b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        assert of(data)[0][0] == "bimi-certificate-broken"


def test_a_logo_causes_no_look_up() -> None:
    """Entities are not resolved, and a large logo is named."""
    entity = b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + SVG.replace("Example", "&x;").encode()
    assert "bimi-svg-title" in codes(logo_findings(entity))
    assert codes(logo_findings(SVG.replace("<rect", f"<!--{'x' * 33_000}--><rect").encode())) == {"bimi-svg-size"}


def test_the_rest_of_bimi_and_tls_rpt() -> None:
    """Tags that are unknown or twice there, and a logo of another name."""
    found = codes(bimi_findings("v=BIMI1; l=https://a.example/logo.png; l=x; zz=1; a=https://a.example/c.pem"))
    assert found == {"bimi-duplicate-tag", "bimi-unknown-tag", "bimi-logo-name", "bimi-record-valid"}
    found = codes(tls_rpt_findings(["v=TLSRPTv1; rua=mailto:a@b.example; rua=x; hello"], "a.example"))
    assert found == {"tls-rpt-duplicate-tag", "tls-rpt-not-a-tag", "tls-rpt-present"}


@pytest.mark.parametrize(
    ("pattern", "host", "matches"),
    [
        ("mail.example.com", "mail.example.com", True),
        ("mail.example.com", "MAIL.example.com.", True),
        ("*.example.com", "mail.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "a.mail.example.com", False),
        ("example.com", "mail.example.com", False),
        ("*.example.com", "mailexample.com", False),
    ],
)
def test_matching_of_mail_hosts(pattern: str, host: str, matches: bool) -> None:
    """A wildcard is exactly one label (RFC 8461 section 4.1)."""
    assert mx_matches(pattern, host) is matches


def test_names_of_domains() -> None:
    """As people type them."""
    assert domain_to_check(" Example.COM. ") == "example.com"
    assert domain_to_check("bücher。example") == "xn--bcher-kva.example"
    for wrong in (
        "",
        ".",
        "a..b",
        "a b",
        "x" * 64,
        "-a.example",
        "a\x00.example",
        "a/b.example",
        "💥.example",
        "a" * 300,
    ):
        with pytest.raises(UsageError):
            domain_to_check(wrong)


def test_codes_are_of_their_check_and_messages_are_sentences() -> None:
    """A code begins with its check; a message ends with a full stop, or with what it is about."""
    for code, row in ALL_CODES.items():
        assert code == row.code
        assert code.startswith(f"{row.check}-")
        assert row.message.endswith((".", "}"))
