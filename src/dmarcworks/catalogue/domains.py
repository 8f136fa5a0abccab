"""Domains: which account receives reports for which name, and the address that they are sent to.

A name is held once on a server. A tenant gets the same refusal whether another account has the name, has routing rules
at or below it, or the name is reserved for the operator (`names.reserved`): nothing reveals what others have.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Row

from dmarcworks.bindings.contracts import KV, Database
from dmarcworks.catalogue import addresses, audit, names, tables, tokens, zone_rules
from dmarcworks.catalogue.addresses import HostChange
from dmarcworks.catalogue.names import normal_domain
from dmarcworks.catalogue.zones import OwnedDomain, Zones
from dmarcworks.errors import ConflictError, DeniedError, DmarcworksError, NotFoundError, StoreError, UsageError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["HOSTNAME", "Domain", "Domains"]

# The KV entry with the host name of the server that ran last, for commands that run without it.
HOSTNAME = "system:hostname"
NOT_HERE = "{} cannot be added: the name is in use or reserved on this server; contact its operator"


@dataclass(frozen=True, slots=True)
class Domain:
    """A policy domain and the address that its reports are sent to; mail for it is refused while not `enabled`.

    `earlier` are its addresses at names that the report host had before; they accept mail as well.
    """

    id: str
    account_id: str
    name: str
    rua: str
    created: datetime
    enabled: bool = True
    earlier: tuple[str, ...] = ()


class _OwnError(ConflictError):
    """The account has the domain itself, so the error may state it."""


class _Owner(Protocol):
    """An account, as much as is needed of it."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...


class Domains(ABC):
    """The domains of `Accounts`, with their KV gate."""

    zones: Zones
    _database: Database
    _kv: KV
    hostname: str
    _clock: Callable[[], float]

    @abstractmethod
    async def _account(self, connection: AsyncConnection, name: str) -> _Owner:
        """The account of that name, made when it is absent: `Accounts` has it."""

    async def add_domain(
        self, name: str, account: str = "default", *, operator: bool = False, public_suffix: bool = False
    ) -> Domain:
        """Start to receive reports for a domain: a new rua address, open immediately. `ConflictError` when it cannot be
        added.

        A domain that the account had before gets its id back, and with it its reports and figures.

        A tenant gets the same message whether another account has the name, has rules below it, or the name is the
        operator's (`names.reserved`); with `operator` the reason is named, and rules of others below it stop. Also the
        operator's account gets a public suffix only with `public_suffix`.
        """
        domain_name = normal_domain(name)
        if not public_suffix and names.public_suffix(domain_name):
            hint = "the operator can add it with `dmarcworks domain add --public-suffix`"
            raise UsageError(f"{domain_name} is a public suffix: the domains below it have owners of their own; {hint}")
        await self.zones.hosts()  # read before the transaction begins
        async with self._database.write() as connection:
            owner = await self._account(connection, account)
            refusal = await self._refusal(connection, domain_name, owner, operator)
            if refusal is not None:
                explained = operator or isinstance(refusal, _OwnError)
                raise refusal if explained else ConflictError(NOT_HERE.format(domain_name))
            domain = Domain(
                id=await self._id_of(connection, owner.id, domain_name),
                account_id=owner.id,
                name=domain_name,
                rua=f"{uuid.uuid4().hex}@{self.hostname}",
                created=datetime.fromtimestamp(self._clock(), UTC),
            )
            await connection.execute(
                insert(tables.domains).values(
                    id=domain.id,
                    account_id=domain.account_id,
                    name=domain.name,
                    rua=domain.rua,
                    created=domain.created.timestamp(),
                )
            )
            detail = {"rua": domain.rua}
            await audit.note(
                connection, self._clock(), "domain.add", domain.name, account_id=domain.account_id, detail=detail
            )
            await zone_rules.adopt(connection, self._clock(), domain.id, domain.name, domain.account_id)
        await self.open_gate(domain)
        return domain

    async def _refusal(
        self, connection: AsyncConnection, name: str, owner: _Owner, operator: bool
    ) -> DmarcworksError | None:
        """Why an account cannot have a domain, None when it can."""
        statement = select(tables.domains.c.account_id).where(tables.domains.c.name == name)
        holder = (await connection.execute(statement)).scalar_one_or_none()
        if holder == owner.id:
            return _OwnError(f"{name} is in the account already; `dmarcworks domain show {name}` prints it")
        if holder is not None:
            return ConflictError(f"another account has {name} already; `dmarcworks domain show {name}` prints it")
        view = await self.zones.view([name], connection)
        if reason := view.barred(OwnedDomain("", owner.id, owner.name, name)):
            return DeniedError(f"{reason}: only the operator's account may have it (DMARCWORKS_OPERATOR_ACCOUNT)")
        others = [
            held.domain_id for held in view.held.values() if held.account_id != owner.id and not view.barred(held)
        ]
        if not operator and await zone_rules.at_or_below(connection, name, others):
            return ConflictError(f"another account has routing rules at or below {name}")
        return None

    async def _id_of(self, connection: AsyncConnection, account_id: str, name: str) -> str:
        """The id that the account's domain of this name had when it was removed, else a new one."""
        table = tables.removed_domains
        mine = (table.c.account_id == account_id) & (table.c.name == name)
        statement = select(table.c.id).where(mine).order_by(table.c.removed.desc()).limit(1)
        before: str | None = (await connection.execute(statement)).scalar_one_or_none()
        if before is not None:
            await connection.execute(delete(table).where(table.c.id == before))
        return before or uuid.uuid4().hex

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

    async def domains(self, account_id: str | None = None) -> list[Domain]:
        """The account's domains by name; of all accounts when None."""
        statement = select(tables.domains).order_by(tables.domains.c.name)
        if account_id is not None:
            statement = statement.where(tables.domains.c.account_id == account_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
            before = await addresses.earlier(connection, None)
        return [_domain(row, before.get(row.id, ())) for row in rows]

    async def domain(self, account_id: str | None, name_or_id: str) -> Domain | None:
        """The account's domain by name or id; of any account when `account_id` is None."""
        wanted = name_or_id.strip().rstrip(".").lower()
        statement = select(tables.domains).where((tables.domains.c.name == wanted) | (tables.domains.c.id == wanted))
        if account_id is not None:
            statement = statement.where(tables.domains.c.account_id == account_id)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
            if row is None:
                return None
            before = await addresses.earlier(connection, [row.id])
        return _domain(row, before.get(row.id, ()))

    async def remove_domain(self, domain: Domain) -> None:
        """Refuse mail for its addresses from now on and forget the domain and its routing rules.

        Archived reports and figures stay, and are the domain's again when its account adds it again.
        """
        for address in await self._close_gate(domain):
            await self.zones.keep_host(address)
        async with self._database.write() as connection:
            await zone_rules.remove(connection, self._clock(), domain.id)
            earlier = tables.rua_addresses
            await connection.execute(delete(earlier).where(earlier.c.domain_id == domain.id))
            gone = await connection.execute(delete(tables.domains).where(tables.domains.c.id == domain.id))
            await tokens.forget_domain(connection, domain.account_id, domain.id)
            if gone.rowcount:
                values = {"id": domain.id, "account_id": domain.account_id, "name": domain.name}
                await connection.execute(insert(tables.removed_domains).values(**values, removed=self._clock()))
            await audit.note(
                connection,
                self._clock(),
                "domain.remove",
                domain.name,
                account_id=domain.account_id,
                detail={"rua": domain.rua},
            )

    async def enable_domain(self, domain: Domain, enabled: bool) -> Domain:
        """Accept or refuse mail for the domain's rua address from now on; nothing is deleted."""
        if not enabled:
            # First the gate: once this returns, mail is refused, whatever happens next.
            await self._close_gate(domain)
        async with self._database.write() as connection:
            table = tables.domains
            was = (
                await connection.execute(select(table.c.enabled).where(table.c.id == domain.id))
            ).scalar_one_or_none()
            if was is None:
                raise NotFoundError(f"there is no domain {domain.name}")
            if was != enabled:
                await connection.execute(update(table).where(table.c.id == domain.id).values(enabled=enabled))
                action = "domain.enable" if enabled else "domain.disable"
                await audit.note(connection, self._clock(), action, domain.name, account_id=domain.account_id)
        changed = replace(domain, enabled=enabled)
        if enabled:
            await self.open_gate(changed)
        return changed


def _domain(row: Row[Any], earlier: tuple[str, ...]) -> Domain:
    created = datetime.fromtimestamp(row.created, UTC)
    return Domain(row.id, row.account_id, row.name, row.rua, created, row.enabled, earlier)
