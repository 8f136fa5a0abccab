"""Which account an address belongs to: the nearest domain that any account has, and the names of the operator.

A rule or a catch-all has an effect only while its domain (its zone) is the nearest one to the address. A report host in
use, its parents, its sub-domains and public suffixes belong to the operator's account: other accounts' domains with
such a name count for nothing here. `View` decides and is pure; `Zones` reads what it decides on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from dmarcworks.bindings.contracts import KV, Database
from dmarcworks.catalogue import addresses, tables
from dmarcworks.catalogue.names import chain, reserved

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["OwnedDomain", "View", "Zones"]

# How long a report host that another process has begun to use may be unknown to this one. An address for reports is
# recognised by itself, so this delays only the check of rules on that host.
_HOSTS_SECONDS = 60.0
_TOGETHER = 500
# KV entries of hosts whose addresses were given out and removed since.
_USED = "report-host:"


@dataclass(frozen=True, slots=True)
class OwnedDomain:
    """A domain that an account has."""

    domain_id: str
    account_id: str
    account: str
    name: str


@dataclass(frozen=True, slots=True)
class View:
    """The domains in question by name, the report hosts in use, and the name of the operator's account ("": none)."""

    held: Mapping[str, OwnedDomain]
    hosts: frozenset[str]
    operator: str

    def barred(self, held: OwnedDomain) -> str:
        """Why the account may not have this domain; "" when it may."""
        return "" if self.operator and held.account == self.operator else reserved(held.name, self.hosts)

    def nearest(self, mail_domain: str) -> OwnedDomain | None:
        """The domain that is responsible for addresses at `mail_domain`; one that is barred is not looked at."""
        zones = (self.held[name] for name in chain(mail_domain) if name in self.held)
        return next((zone for zone in zones if not self.barred(zone)), None)

    def zone(self, account_id: str, domain_id: str, mail_domain: str) -> OwnedDomain | None:
        """The account's domain with this id, if addresses at `mail_domain` belong to it."""
        zones = (self.held[name] for name in chain(mail_domain) if name in self.held)
        return next((zone for zone in zones if zone.domain_id == domain_id and zone.account_id == account_id), None)

    def objection(self, account_id: str, domain_id: str, mail_domain: str) -> str:
        """Why a rule of this domain has no effect on addresses at `mail_domain`; "" when it has."""
        if not domain_id:
            return "" if mail_domain in self.hosts else f"{mail_domain} is no report host in use"
        mine = self.zone(account_id, domain_id, mail_domain)
        if mine is None:
            return f"its account has no domain that {mail_domain} is in"
        if reason := self.barred(mine):
            return f"{reason}, which only the operator's account may have"
        nearest = self.nearest(mail_domain)
        if nearest is None or nearest.domain_id != domain_id:
            return f"another domain than {mine.name} is responsible for addresses at {mail_domain}"
        return ""


class Zones:
    """Reads which account has which domain, and which report hosts are in use."""

    def __init__(
        self,
        database: Database,
        kv: KV,
        hostname: str,
        operator_account: str,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.operator = operator_account
        self._database = database
        self._kv = kv
        self._hostname = hostname.lower().rstrip(".")
        self._clock = clock
        self._hosts: tuple[float, frozenset[str]] | None = None

    async def hosts(self) -> frozenset[str]:
        """The report host and every other host with an address for reports that some domain has or had.

        Reporters keep sending to the address of a removed domain for as long as its DMARC record in DNS names it.
        """
        now = self._clock()
        if self._hosts is None or not 0 <= now - self._hosts[0] < _HOSTS_SECONDS:
            async with self._database.read() as connection:
                names = await addresses.hosts(connection)
            used = await self._kv.list(prefix=_USED)
            names |= {key.name.removeprefix(_USED) for key in used.keys}
            self._hosts = now, frozenset({self._hostname, *names} - {""})
        return self._hosts[1]

    async def keep_host(self, rua: str) -> None:
        """The host of an address that is about to be removed, or such a host's name itself, stays the operator's."""
        if host := addresses.host_of(rua):
            await self._kv.put(_USED + host, "", create_only=True)

    async def view(self, mail_domains: Iterable[str], connection: AsyncConnection | None = None) -> View:
        """What decides about addresses at these domains; read in a transaction of the caller's when it is given."""
        hosts = await self.hosts()
        wanted = sorted({name for domain in mail_domains for name in chain(domain)})
        if connection is not None:
            return View(await self._held(connection, wanted), hosts, self.operator)
        async with self._database.read() as own:
            return View(await self._held(own, wanted), hosts, self.operator)

    async def whole(self) -> View:
        """The same about every domain of the system."""
        hosts = await self.hosts()
        async with self._database.read() as connection:
            rows = (await connection.execute(_HELD)).all()
        return View({row.name: OwnedDomain(*row) for row in rows}, hosts, self.operator)

    async def report_address(self, address: str) -> bool | None:
        """Whether an address for reports accepts mail now; None when no domain has this address."""
        async with self._database.read() as connection:
            domain_id = await addresses.owner(connection, address)
            statement = select(tables.domains.c.enabled).where(tables.domains.c.id == domain_id)
            enabled = (await connection.execute(statement)).scalar_one_or_none()
        return None if enabled is None else bool(enabled)

    async def _held(self, connection: AsyncConnection, names: list[str]) -> dict[str, OwnedDomain]:
        held: dict[str, OwnedDomain] = {}
        for start in range(0, len(names), _TOGETHER):
            mine = tables.domains.c.name.in_(names[start : start + _TOGETHER])
            rows = (await connection.execute(_HELD.where(mine))).all()
            held.update((row.name, OwnedDomain(*row)) for row in rows)
        return held


_HELD = select(
    tables.domains.c.id, tables.domains.c.account_id, tables.accounts.c.name.label("account"), tables.domains.c.name
).join(tables.accounts, tables.accounts.c.id == tables.domains.c.account_id)
