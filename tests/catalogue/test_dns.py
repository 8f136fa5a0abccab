"""The records that make reports arrive."""

from __future__ import annotations

from dmarcworks.catalogue.setup_records import DnsRecord, records


def test_the_records_to_publish() -> None:
    """The domain's policy with its rua address, the report host's MX, and its word that it takes such reports."""
    assert records("example.com", "ab@reports.example.net", "reports.example.net") == [
        DnsRecord("_dmarc.example.com", "TXT", "v=DMARC1; p=none; rua=mailto:ab@reports.example.net"),
        DnsRecord("reports.example.net", "MX", "10 reports.example.net"),
        DnsRecord("*._report._dmarc.reports.example.net", "TXT", "v=DMARC1"),
    ]
