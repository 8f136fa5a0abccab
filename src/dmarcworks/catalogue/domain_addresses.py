"""A domain and its rua addresses: the KV gate by which they accept mail, and the report host's change of name."""

from __future__ import annotations

import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import delete

from dmarcworks.bindings.contracts import KV, Database
from dmarcworks.catalogue import addresses, audit, domain_setup, tables
from dmarcworks.catalogue.addresses import HostChange
from dmarcworks.catalogue.zones import Zones
from dmarcworks.errors import ConflictError, NotFoundError, StoreError

__all__ = ["HOSTNAME", "Domain", "DomainAddresses"]

# The KV entry with the host name of the server that ran last, for commands that run without it.
HOSTNAME = "system:hostname"


@dataclass(frozen=True, slots=True)
class Domain:
    """A policy domain and the address that its reports are sent to; mail for it is refused while not `enabled`.

    `earlier` are its addresses at names that the report host had before; they accept mail as well. `proven` is when DNS
    proved that the domain is the account's, None until then; `parked` is a domain that neither sends nor receives mail.
    """

    id: str
    account_id: str
    name: str
    rua: str
    created: datetime
    enabled: bool = True
    earlier: tuple[str, ...] = ()
    proven: datetime | None = None
    parked: bool = False

    @property
    def token(self) -> str:
        """The local part of its addresses, which proves the domain when it is in the domain's DNS."""
        return self.rua.partition("@")[0]


class DomainAddresses(ABC):
    """The addresses of the domains of `Accounts`, with their KV gate."""

    zones: Zones
    _database: Database
    _kv: KV
    hostname: str
    _clock: Callable[[], float]

    @abstractmethod
    async def domains(self, account_id: str | None = None) -> list[Domain]:
        """The account's domains by name; of all accounts when None."""

    @abstractmethod
    async def domain(self, account_id: str | None, name_or_id: str) -> Domain | None:
        """The account's domain by name or id; of any account when `account_id` is None."""

    async def open_gate(self, domain: Domain) -> None:
        """Put the KV entries `dmarc:{rua address}`, by which mail for the domain's rua addresses is accepted."""
        for address in (domain.rua, *domain.earlier):
            await self._open(domain, address)

    async def open_gates(self) -> None:
        """Put every entry that is missing: a crash between the two writes of `add_domain` heals at start."""
        for domain in await self.domains():
            for address in (domain.rua, *domain.earlier) if domain.enabled else ():
                if await self._kv.get(f"dmarc:{address}") is None:
                    await self._open(domain, address)

    async def _open(self, domain: Domain, address: str) -> None:
        entry = {"account_id": domain.account_id, "domain_id": domain.id, "domain": domain.name}
        await self._kv.put(f"dmarc:{address}", json.dumps(entry))

    async def _close_gate(self, domain: Domain) -> set[str]:
        """Refuse mail for the domain's addresses, which are returned."""
        async with self._database.read() as connection:
            closed = {domain.rua, *domain.earlier, *await addresses.of_domain(connection, domain.id)}
        for address in closed:
            await self._kv.delete(f"dmarc:{address}")
        return closed

    async def settle_hostname(self) -> HostChange | None:
        """At the start of a server: every domain gets its address at the host's current name; what changed, or None.

        The addresses of before still accept mail.
        """
        async with self._database.read() as connection:
            elsewhere = await addresses.elsewhere(connection, self.hostname)
        change = await self._move() if elsewhere else None
        if await self._kv.get(HOSTNAME) != self.hostname:
            # Not essential: an ordinary start succeeds on a full disk too.
            with contextlib.suppress(StoreError):
                await self._kv.put(HOSTNAME, self.hostname)
        return change

    async def _move(self) -> HostChange | None:
        async with self._database.write() as connection:
            now = self._clock()
            change = await addresses.move(connection, self.hostname, now)
            if change is not None:
                # Each domain must publish another address: what DNS showed of the old one is obsolete.
                await domain_setup.recheck_all(connection, now)
                detail = {"before": list(change.before), "domains": change.domains}
                await audit.note(connection, now, "system.hostname", self.hostname, account_id=None, detail=detail)
        return change

    async def remove_address(self, address: str) -> Domain:
        """Refuse mail for an earlier address from now on; its domain. `NotFoundError` when no domain has it."""
        wanted, table = address.strip().lower(), tables.rua_addresses
        async with self._database.read() as connection:
            owner = await addresses.owner(connection, wanted)
        domain = None if owner is None else await self.domain(None, owner)
        if domain is None:
            raise NotFoundError(f"no domain has the address {address}; `dmarcworks domain show NAME` lists addresses")
        if wanted == domain.rua:
            raise ConflictError(
                f"{wanted} is the current address of {domain.name}; `dmarcworks domain disable {domain.name}` rejects"
                " its mail"
            )
        await self._kv.delete(f"dmarc:{wanted}")
        await self.zones.keep_host(wanted)
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(table.c.address == wanted))
            action, detail = "domain.remove-address", {"rua": wanted}
            account_id = domain.account_id
            await audit.note(connection, self._clock(), action, domain.name, account_id=account_id, detail=detail)
        return replace(domain, earlier=tuple(one for one in domain.earlier if one != wanted))
