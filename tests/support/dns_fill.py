"""A domain whose records were checked over a real DNS server, and changed in between."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.dns_history import DnsHistory
from dmarcworks.catalogue.dns_schedule import CheckPart, DnsSchedule
from dmarcworks.enrich.resolver import Dns
from dmarcworks.policy.dns_records.https_fetch import DocumentFetcher, FetchedDocument, FetchError
from dmarcworks.policy.dns_records.lookup import RecordLookup
from dmarcworks.upkeep.dns_checks import RecordChecks
from tests.support.catalogue import Clock
from tests.support.dns_server import dns_server

__all__ = ["check_over_days", "published"]

Zone = dict[tuple[str, str], list[str]]
_INTERVALS = {CheckPart.dmarc: 3600.0, CheckPart.records: 86_400.0}


def published(domain: str, rua: str) -> Zone:
    """Records with a finding of each severity."""
    host = rua.partition("@")[2]
    return {
        (f"_dmarc.{domain}", "TXT"): [f'"v=DMARC1; p=none; rua=mailto:{rua}"'],
        (f"{domain}._report._dmarc.{host}", "TXT"): ['"v=DMARC1"'],
        (host, "MX"): [f"10 {host}."],
        (host, "A"): ["192.0.2.25"],
        (domain, "TXT"): ['"v=spf1 include:_spf.google.com include:spf.gone.example ip4:192.0.2.0/24 ~all"'],
        ("_spf.google.com", "TXT"): ['"v=spf1 ip4:203.0.113.0/24 ~all"'],
        (domain, "MX"): [f"10 mx.{domain}."],
        (f"mx.{domain}", "A"): ["192.0.2.1"],
        (f"s1._domainkey.{domain}", "TXT"): ['"v=DKIM1; p="'],
        (f"_smtp._tls.{domain}", "TXT"): [f'"v=TLSRPTv1; rua=mailto:tls@{domain}"'],
    }


async def _nothing(url: str) -> FetchedDocument:
    raise FetchError("unreachable", "nothing is served")


def _fetcher(lookup: RecordLookup) -> DocumentFetcher:
    return _nothing


async def check_over_days(database: Database, domain: Domain, now: datetime, changes: dict[float, Zone]) -> None:
    """Check the domain so many days before `now`, each time after the records became these; an empty list: removed."""
    clock, zone = Clock(), Zone()
    history = DnsHistory(database, clock=clock)
    schedule = DnsSchedule(database, _INTERVALS, clock=clock)
    with dns_server(zone) as port:
        for back in sorted(changes, reverse=True):
            clock.now = (now - timedelta(days=back)).timestamp()
            zone |= changes[back]
            for place in [place for place, values in zone.items() if not values]:
                del zone[place]
            # A resolver of its own: another one remembers answers.
            resolver = Dns(f"127.0.0.1:{port}")
            checks = RecordChecks(
                schedule, history, resolver, scheduled=False, fetcher=_fetcher, resolver_name="system", clock=clock
            )
            await schedule.request(domain.account_id, domain.id, ["s1"])
            await checks.step()
            await asyncio.gather(*checks._running)
            resolver.close()
