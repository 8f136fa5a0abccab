"""Reads the set-up of a domain: its newest check, the policy in force, its reports and its relatives."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.addresses import host_of
from dmarcworks.catalogue.arrivals import Arrivals
from dmarcworks.catalogue.domain_setup import DomainSetups, StoredSetup
from dmarcworks.policy.in_force import PolicyInForce
from dmarcworks.policy.reader import PolicyReader
from dmarcworks.policy.setup.model import DomainSetup
from dmarcworks.policy.setup.plan import domain_setup
from dmarcworks.policy.setup.published import PublishedRecords

__all__ = ["SetupReader", "record_tags_of"]


def record_tags_of(force: PolicyInForce | None) -> str:
    """The policy in force as tags of a record; "" for none."""
    return "" if force is None else force.policy.text.replace(",", "; ")


class SetupReader:
    """Reads; `policies` is None for a command, which has no figures. Without `background` nobody does what is due."""

    def __init__(
        self,
        setups: DomainSetups,
        arrivals: Arrivals,
        policies: PolicyReader | None = None,
        *,
        background: bool = True,
    ) -> None:
        self._setups = setups
        self._arrivals = arrivals
        self._policies = policies
        self._background = background

    async def of(self, domain: Domain) -> DomainSetup:
        """The set-up of a domain as of its newest check."""
        stored = await self._stored(domain)
        received = await self._arrivals.received(domain.account_id, domain.id)
        force = await self.in_force(domain)
        others = await self._setups.relatives(domain.account_id, domain.name)
        return domain_setup(
            domain,
            host_of(domain.rua),
            stored,
            tags=record_tags_of(force),
            reports=received.total,
            last_report=received.last,
            others=others,
        )

    async def in_force(self, domain: Domain, newest: date | None = None) -> PolicyInForce | None:
        """The domain's policy as the newest reports found it published."""
        newest = newest or await self._arrivals.newest_day(domain.account_id, domain.id)
        if self._policies is None or newest is None:
            return None
        return await self._policies.in_force(domain, newest, newest)

    async def checked(self, domain: Domain) -> tuple[datetime | None, bool]:
        """When DNS was last looked up for the domain, and whether that is requested or running."""
        stored = await self._stored(domain)
        return stored.checked, stored.checking

    async def published(self, domain: Domain) -> PublishedRecords | None:
        """What the newest check saw; None before the first one."""
        return PublishedRecords.from_json((await self._setups.of(domain.id)).answers)

    async def _stored(self, domain: Domain) -> StoredSetup:
        stored = await self._setups.of(domain.id)
        return stored if self._background else replace(stored, checking=False, due=None)

    async def request(self, domain: Domain) -> None:
        """Have the domain checked in the background, now."""
        await self._setups.request(domain.id)
