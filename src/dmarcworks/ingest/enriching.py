"""The rows of reports get what is known of their sources when they are published; nothing is waited for.

IP data and identification are in process, names of addresses come from the catalogue. A name that is not known
yet is looked up later, and the stored rows get it then (`upkeep.names`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Protocol

from dmarcworks.analytics.enrichment import Enrichment, Identify
from dmarcworks.analytics.rows import Placed
from dmarcworks.catalogue.senders import OwnName, SenderDecision
from dmarcworks.enrich.network.addresses import AddressName
from dmarcworks.enrich.network.ip_data import IpData
from dmarcworks.enrich.network.setup import ip_data
from dmarcworks.ingest.identifying import own_names_first, representatives, sender_names
from dmarcworks.reports.aggregate.records import Records
from dmarcworks.reports.model import AggregateReport
from dmarcworks.settings import Settings

__all__ = ["Enricher", "KnownNames", "OwnNames", "enricher"]


class KnownNames(Protocol):
    """The names of addresses that were looked up before."""

    async def known(self, addresses: Collection[str]) -> Mapping[str, AddressName]:
        """Those of these addresses; the others are noted, to be looked up."""


class OwnNames(Protocol):
    """The names that accounts give to their own systems, and what they decided about senders."""

    async def own_names_of(self, accounts: Collection[str] | None = None) -> Mapping[str, Sequence[OwnName]]:
        """Those of these accounts, or of all, by account."""

    async def decisions_of(
        self, domains: Collection[tuple[str, str]]
    ) -> Mapping[tuple[str, str], Mapping[str, SenderDecision]]:
        """The decisions on senders of these domains, by (account, domain) and by the sender's id."""


@dataclass(frozen=True, slots=True)
class Enricher:
    """What enriches rows: each part may be absent, and its columns are NULL then.

    `by_block`: of an address identification looks only at the blocks that it is in and at its confirmed name.
    """

    ip_data: IpData | None = None
    names: KnownNames | None = None
    identify: Identify | None = None
    own: OwnNames | None = None
    by_block: bool = False

    async def prepared(self, placed: Sequence[Placed[Any]]) -> Enrichment:
        """The enrichment of these reports' rows."""
        names: Mapping[str, AddressName] = {}
        if self.names is not None:
            records = [Records.of(one.report.records) for one in placed if isinstance(one.report, AggregateReport)]
            if addresses := set(chain.from_iterable(some.source_ips for some in records)):
                names = await self.names.known(addresses)
        enrichment = await self.enrichment(names, {one.account_id for one in placed})
        if self.own is None:
            return enrichment
        domains = {(one.account_id, one.domain_id) for one in placed}
        return replace(enrichment, decisions=await self.own.decisions_of(domains))

    async def enrichment(self, names: Mapping[str, AddressName], accounts: Collection[str] | None = None) -> Enrichment:
        """The enrichment with these names of addresses and the own names of these accounts, or of all."""
        enrichment = self.with_names(names)
        if enrichment.identify is None:
            return enrichment
        own = {} if self.own is None else await self.own.own_names_of(accounts)
        blocks = representatives(own) if self.by_block else None
        return replace(enrichment, identify=own_names_first(enrichment.identify, own), representatives=blocks)

    def with_names(self, names: Mapping[str, AddressName]) -> Enrichment:
        """The enrichment with these names of addresses."""
        return Enrichment(None if self.ip_data is None else self.ip_data.current(), names, self.identify)


def enricher(settings: Settings, names: KnownNames | None = None, own: OwnNames | None = None) -> Enricher:
    """What the settings allow, the sender catalogue, and the accounts' own names."""
    return Enricher(ip_data(settings), names, sender_names(settings.sender_file), own, by_block=True)
