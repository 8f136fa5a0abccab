"""Whether the zone of a domain is signed with DNSSEC: a DS record at its parent and keys of its own."""

from __future__ import annotations

from dmarcworks.enrich.resolver import NoAnswerError
from dmarcworks.policy.dns_records.codes import finding_from
from dmarcworks.policy.dns_records.codes_more import DNSSEC_CODES
from dmarcworks.policy.dns_records.finding import DnsFinding
from dmarcworks.policy.dns_records.lookup import RecordLookup

__all__ = ["check_dnssec", "zone_of"]

# Names that are looked at for the start of a zone, from the domain upwards.
_NAMES = 6


async def check_dnssec(lookup: RecordLookup, domain: str) -> list[DnsFinding]:
    """Check the zone that holds the domain."""
    try:
        zone = await zone_of(lookup, domain)
        if not await lookup.records(zone, "DS"):
            return [_finding("unsigned", zone=zone)]
        if not await lookup.records(zone, "DNSKEY"):
            fix = "Sign the zone, or remove the DS record at the registrar."
            return [_finding("broken", fix=fix, zone=zone)]
    except NoAnswerError:
        return [_finding("no-answer", domain=domain)]
    return [_finding("signed", zone=zone)]


async def zone_of(lookup: RecordLookup, domain: str) -> str:
    """Where the zone of a domain begins; the domain itself when no SOA record shows it."""
    labels = domain.split(".")
    for start in range(min(len(labels) - 1, _NAMES)):
        name = ".".join(labels[start:])
        if await lookup.records(name, "SOA"):
            return name
    return domain


def _finding(code: str, *, fix: str = "", **values: object) -> DnsFinding:
    return finding_from(DNSSEC_CODES, f"dnssec-{code}", record="", fix=fix, **values)
