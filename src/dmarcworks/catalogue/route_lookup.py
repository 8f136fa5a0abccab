"""The look-up of routing rules for mail that arrives, with a cache of a second.

A rule that forwards works while its destination is verified, and any rule only while its domain is the one that is
responsible for the address (`zones`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Row

from dmarcworks.bindings.contracts import Database
from dmarcworks.bindings.groups import GroupedCalls
from dmarcworks.catalogue import mail_tables
from dmarcworks.catalogue.routes import FORWARD, RoutingRule
from dmarcworks.catalogue.zones import OwnedDomain, Zones

# A change is in effect everywhere within this many seconds.
FRESH_SECONDS = 1.0
_CACHED = 10_000


class RouteLookup:
    """The rules in effect, by the domain of an address."""

    def __init__(self, database: Database, zones: Zones, *, clock: Callable[[], float] = time.time) -> None:
        self.zones = zones
        self._database = database
        self._clock = clock
        self._cache: dict[str, tuple[float, tuple[RoutingRule, ...]]] = {}
        self._reads = GroupedCalls(self._look_up, "routing rules")

    async def effective(self, mail_domain: str) -> tuple[RoutingRule, ...]:
        """The rules that hold now for addresses of the domain; as they were at most a second ago."""
        now = self._clock()
        cached = self._cache.get(mail_domain)
        if cached is not None and now - cached[0] < FRESH_SECONDS:
            return cached[1]
        return await self._reads.call(mail_domain)

    async def _look_up(self, domains: list[str]) -> list[tuple[RoutingRule, ...]]:
        """Many connections look up rules at the same moment, mostly of one domain: each domain is read once."""
        now = self._clock()
        rules = {domain: await self._read(domain) for domain in dict.fromkeys(domains)}
        if len(self._cache) + len(rules) > _CACHED:
            self._cache.clear()
        self._cache.update({domain: (now, held) for domain, held in rules.items()})
        return [rules[domain] for domain in domains]

    async def _read(self, mail_domain: str) -> tuple[RoutingRule, ...]:
        rules, zones, destinations = mail_tables.routing_rules, mail_tables.routing_zones, mail_tables.destinations
        verified = select(destinations.c.account_id, destinations.c.email).where(destinations.c.verified.is_not(None))
        off = select(zones.c.domain_id).where(zones.c.enabled.is_(False))
        view = await self.zones.view([mail_domain])
        zone = view.nearest(mail_domain)
        responsible = [] if zone is None else [zone.domain_id]
        if mail_domain in view.hosts:
            responsible.append("")
        if not responsible:
            return ()
        mine = (rules.c.domain == mail_domain) & rules.c.domain_id.in_(responsible)
        async with self._database.read() as connection:
            statement = select(rules).where(mine, rules.c.enabled.is_(True), rules.c.domain_id.not_in(off))
            rows = (await connection.execute(statement)).all()
            targets = {row.value for row in rows if row.action == FORWARD}
            proven = set()
            if targets:
                chosen = verified.where(destinations.c.email.in_(targets))
                proven = {(row.account_id, row.email) for row in (await connection.execute(chosen)).all()}
        # Every rule is checked once more before mail follows it, however it came into the table.
        held = [row for row in rows if not view.objection(row.account_id, row.domain_id, mail_domain)]
        kept = [row for row in held if row.action != FORWARD or (row.account_id, row.value) in proven]
        return tuple(rule_of(row) for row in kept)

    async def responsible(self, mail_domain: str) -> OwnedDomain | None:
        """The domain, of whichever account, that is responsible for addresses at `mail_domain`."""
        return (await self.zones.view([mail_domain])).nearest(mail_domain)

    async def objections(self, rules: Sequence[RoutingRule]) -> dict[str, str]:
        """Why rules have no effect, by their ids; rules that have one are absent."""
        view = await self.zones.view({rule.domain for rule in rules})
        reasons = {rule.id: view.objection(rule.account_id, rule.domain_id, rule.domain) for rule in rules}
        off = await self.switched_off()
        for rule in rules:
            if rule.domain_id in off:
                reasons[rule.id] = reasons[rule.id] or f"routing is disabled for {rule.domain}"
        return {rule_id: reason for rule_id, reason in reasons.items() if reason}

    async def switched_off(self) -> frozenset[str]:
        """The ids of all domains whose routing is off."""
        table = mail_tables.routing_zones
        statement = select(table.c.domain_id).where(table.c.enabled.is_(False))
        async with self._database.read() as connection:
            return frozenset((await connection.execute(statement)).scalars())

    def forget(self) -> None:
        """Read the rules again at the next look-up: something that they depend on has changed."""
        self._cache.clear()


def rule_of(row: Row[Any]) -> RoutingRule:
    """The rule that a row of `routing_rules` holds."""
    return RoutingRule(**row._mapping)
