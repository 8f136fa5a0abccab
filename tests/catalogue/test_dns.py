"""The records that make reports arrive."""

from __future__ import annotations

from dmarcworks.catalogue.setup_records import failure_tag, records


def test_the_records_to_publish() -> None:
    """The domain's policy with its rua address, the report host's MX, and its word that it takes such reports."""
    found = records("example.com", "ab@reports.example.net", "reports.example.net")
    assert [(record.name, record.type, record.value) for record in found] == [
        ("_dmarc.example.com", "TXT", "v=DMARC1; p=none; rua=mailto:ab@reports.example.net"),
        ("reports.example.net", "MX", "10 reports.example.net"),
        ("*._report._dmarc.reports.example.net", "TXT", "v=DMARC1"),
        ("_smtp._tls.example.com", "TXT", "v=TLSRPTv1; rua=mailto:ab@reports.example.net"),
    ]
    assert all(record.purpose for record in found)
    assert failure_tag("ab@reports.example.net") == "ruf=mailto:ab@reports.example.net"


def test_the_record_keeps_the_policy_in_force() -> None:
    """Publishing it must not weaken a domain that is at enforcement."""
    found = records("example.com", "ab@reports.example.net", "reports.example.net", "p=reject; sp=quarantine; aspf=s")
    assert found[0].value == "v=DMARC1; p=reject; sp=quarantine; aspf=s; rua=mailto:ab@reports.example.net"
