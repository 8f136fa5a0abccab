"""Domains: which account receives reports for which name, and the address that they are sent to.

A name is held once on a server. A tenant gets the same refusal whether another account has the name, has routing rules
at or below it, or the name is reserved for the operator (`names.reserved`): nothing reveals what others have.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from dmarcworks.bindings.contracts import KV, Database
from dmarcworks.catalogue import audit, names, tables, zone_rules
from dmarcworks.catalogue.names import normal_domain
from dmarcworks.catalogue.zones import OwnedDomain, Zones
from dmarcworks.errors import ConflictError, DeniedError, DmarcworksError, NotFoundError, UsageError

__all__ = ["Domain", "Domains"]

NOT_HERE = "{} cannot be added: the name is in use or reserved on this server; contact its operator"


@dataclass(frozen=True, slots=True)
class Domain:
    """A policy domain and the address that its reports are sent to; mail for it is refused while not `enabled`."""

    id: str
    account_id: str
    name: str
    rua: str
    created: datetime
    enabled: bool = True


class _OwnError(ConflictError):
    """The account has the domain itself, so the error may state it."""


class _Owner(Protocol):
    """An account, as much as is needed of it."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...


class Domains:
    """The domains of `Accounts`, with their KV gate."""

    zones: Zones
    _database: Database
    _kv: KV
    _hostname: str
    _clock: Callable[[], float]

    async def _account(self, connection: AsyncConnection, name: str) -> _Owner:
        """The account of that name, made when it is absent: `Accounts` has it."""
        raise NotImplementedError

    async def add_domain(
        self, name: str, account: str = "default", *, operator: bool = False, public_suffix: bool = False
    ) -> Domain:
        """Start to receive reports for a domain: a new rua address, open immediately. `ConflictError` when it cannot be
        added.

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
                id=uuid.uuid4().hex,
                account_id=owner.id,
                name=domain_name,
                rua=f"{uuid.uuid4().hex}@{self._hostname}",
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

    async def open_gate(self, domain: Domain) -> None:
        """Put the KV entry `dmarc:{rua address}`, by which mail for the domain's rua address is accepted."""
        entry = {"account_id": domain.account_id, "domain_id": domain.id, "domain": domain.name}
        await self._kv.put(f"dmarc:{domain.rua}", json.dumps(entry))

    async def open_gates(self) -> None:
        """Put every domain's entry that is missing: a crash between the two writes of `add_domain` heals at start."""
        for domain in await self.domains():
            if domain.enabled and await self._kv.get(f"dmarc:{domain.rua}") is None:
                await self.open_gate(domain)

    async def domains(self, account_id: str | None = None) -> list[Domain]:
        """The account's domains by name; of all accounts when None."""
        statement = select(tables.domains).order_by(tables.domains.c.name)
        if account_id is not None:
            statement = statement.where(tables.domains.c.account_id == account_id)
        async with self._database.read() as connection:
            return [_domain(row) for row in (await connection.execute(statement)).all()]

    async def domain(self, account_id: str | None, name_or_id: str) -> Domain | None:
        """The account's domain by name or id; of any account when `account_id` is None."""
        wanted = name_or_id.strip().rstrip(".").lower()
        statement = select(tables.domains).where((tables.domains.c.name == wanted) | (tables.domains.c.id == wanted))
        if account_id is not None:
            statement = statement.where(tables.domains.c.account_id == account_id)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
        return None if row is None else _domain(row)

    async def remove_domain(self, domain: Domain) -> None:
        """Refuse mail for its address from now on and forget the domain and its routing rules.

        Archived reports and figures stay.
        """
        await self._kv.delete(f"dmarc:{domain.rua}")
        await self.zones.keep_host(domain.rua)
        async with self._database.write() as connection:
            await zone_rules.remove(connection, self._clock(), domain.id)
            await connection.execute(delete(tables.domains).where(tables.domains.c.id == domain.id))
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
            await self._kv.delete(f"dmarc:{domain.rua}")
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


def _domain(row: Row[Any]) -> Domain:
    return Domain(row.id, row.account_id, row.name, row.rua, datetime.fromtimestamp(row.created, UTC), row.enabled)
