"""The DNS records that make reports arrive: from a domain, its rua address and our host name. Pure.

RFC 9989 §4.7 (the `_dmarc` record), RFC 9990 "Verifying External Destinations" (the `_report._dmarc` record).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """A record to publish; `name` without trailing dot."""

    name: str
    type: str
    value: str


def records(domain: str, rua: str, hostname: str) -> list[DnsRecord]:
    """What to publish: the domain's DMARC record, the report host's MX, and its statement that it accepts such
    reports."""
    return [policy_record(domain, rua), *host_records(hostname)]


def policy_record(domain: str, rua: str) -> DnsRecord:
    """The domain's DMARC record, for a domain that has none yet."""
    return DnsRecord(f"_dmarc.{domain}", "TXT", f"v=DMARC1; p=none; rua=mailto:{rua}")


def host_records(hostname: str) -> list[DnsRecord]:
    """The records of the report host: its MX, and that it accepts reports about other domains."""
    return [
        DnsRecord(hostname, "MX", f"10 {hostname}"),
        DnsRecord(f"*._report._dmarc.{hostname}", "TXT", "v=DMARC1"),
    ]
