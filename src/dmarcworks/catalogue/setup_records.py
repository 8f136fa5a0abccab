"""The DNS records that make reports arrive: from a domain, its rua address and our host name. Pure.

RFC 9989 §4.7 (the `_dmarc` record), RFC 9990 "Verifying External Destinations" (the `_report._dmarc` record),
RFC 8460 §3 (the `_smtp._tls` record), RFC 9991 (failure reports).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dmarcworks.catalogue.addresses import host_of


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """A record to publish; `name` without trailing dot."""

    name: str
    type: str
    value: str
    purpose: str = ""


def records(domain: str, rua: str, hostname: str, policy: str = "p=none") -> list[DnsRecord]:
    """What to publish; `policy` is the domain's DMARC policy as tags, so that the record does not weaken it."""
    return [
        policy_record(domain, rua, policy),
        *host_records(hostname),
        DnsRecord(
            f"_smtp._tls.{domain}",
            "TXT",
            f"v=TLSRPTv1; rua=mailto:{rua}",
            "requests reports about TLS on the way to this domain's mail servers",
        ),
    ]


def policy_record(domain: str, rua: str, policy: str = "p=none") -> DnsRecord:
    """The domain's DMARC record, with these tags as its policy."""
    value = f"v=DMARC1; {policy}; rua=mailto:{rua}"
    return DnsRecord(f"_dmarc.{domain}", "TXT", value, "requests DMARC reports about this domain")


def host_records(hostname: str) -> list[DnsRecord]:
    """The records of the report host: its MX, and that it accepts reports about other domains."""
    return [
        DnsRecord(hostname, "MX", f"10 {hostname}", "routes report mail here (needed once)"),
        DnsRecord(
            f"*._report._dmarc.{hostname}",
            "TXT",
            "v=DMARC1",
            "authorises this host to receive reports for other domains (needed once)",
        ),
    ]


def earlier_records(rua: str, earlier: Iterable[str]) -> list[DnsRecord]:
    """The records to keep for the host names of earlier addresses, other than the current address's."""
    hosts = {host_of(address) for address in earlier} - {host_of(rua)}
    return [record for host in sorted(hosts) for record in host_records(host)]


def failure_tag(rua: str) -> str:
    """The tag to add to the DMARC record for reports about single messages that failed, where they are wished."""
    return f"ruf=mailto:{rua}"
