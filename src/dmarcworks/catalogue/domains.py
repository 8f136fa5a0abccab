"""Domains: which account receives reports for which name, and the address that they are sent to.

A name is held once on a server. A tenant gets the same refusal whether another account has the name, has routing rules
at or below it, or the name is reserved for the operator (`names.reserved`): nothing reveals what others have.
"""

from __future__ import annotations

import uuid
from abc import abstractmethod
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Row

from dmarcworks.catalogue import addresses, audit, domain_setup, names, notices, tables, tokens, zone_rules
from dmarcworks.catalogue.domain_addresses import Domain, DomainAddresses
from dmarcworks.catalogue.names import normal_domain
from dmarcworks.catalogue.setup_tables import domain_claims, domain_setups
from dmarcworks.catalogue.zones import OwnedDomain
from dmarcworks.errors import ConflictError, DeniedError, DmarcworksError, NotFoundError, UsageError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["NOT_HERE", "Domain", "Domains"]

NOT_HERE = "{} cannot be added: the name is in use or reserved on this server; contact its operator"


class _OwnError(ConflictError):
    """The account has the domain itself, so the error may state it."""


class _Owner(Protocol):
    """An account, as much as is needed of it."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...


class Domains(DomainAddresses):
    """The domains of `Accounts`."""

    @abstractmethod
    async def _account(self, connection: AsyncConnection, name: str) -> _Owner:
        """The account of that name, made when it is absent: `Accounts` has it."""

    async def add_domain(
        self,
        name: str,
        account: str = "default",
        *,
        operator: bool = False,
        public_suffix: bool = False,
        parked: bool = False,
        token: str = "",
        notice: str = "",
    ) -> Domain:
        """Start to receive reports for a domain: a new rua address, open immediately. `ConflictError` when it cannot be
        added.

        A domain that the account had before gets its id back, and with it its reports and figures.

        A tenant gets the same message whether another account has the name, has rules below it, or the name is the
        operator's (`names.reserved`); with `operator` the reason is named, and rules of others below it stop. Also the
        operator's account gets a public suffix only with `public_suffix`. `token` is that of a claim that DNS has
        proven: it becomes the local part of the address, and the claim is settled; `notice` is for the account.
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
                rua=f"{token or uuid.uuid4().hex}@{self.hostname}",
                created=datetime.fromtimestamp(self._clock(), UTC),
                parked=parked,
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
            await domain_setup.begin(connection, domain.id, self._clock(), parked=parked)
            if notice:
                code = notices.DOMAIN_RECEIVED
                await notices.add(connection, self._clock(), domain.account_id, code, domain.name, notice)
            # A claim is settled when the account has the domain, however it got it.
            settled = (domain_claims.c.account_id == owner.id) & (domain_claims.c.name == domain_name)
            await connection.execute(delete(domain_claims).where(settled))
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

    async def domains(self, account_id: str | None = None) -> list[Domain]:
        """The account's domains by name; of all accounts when None."""
        statement = _DOMAINS.order_by(tables.domains.c.name)
        if account_id is not None:
            statement = statement.where(tables.domains.c.account_id == account_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
            before = await addresses.earlier(connection, None)
        return [_domain(row, before.get(row.id, ())) for row in rows]

    async def domain(self, account_id: str | None, name_or_id: str) -> Domain | None:
        """The account's domain by name or id; of any account when `account_id` is None."""
        wanted = name_or_id.strip().rstrip(".").lower()
        statement = _DOMAINS.where((tables.domains.c.name == wanted) | (tables.domains.c.id == wanted))
        if account_id is not None:
            statement = statement.where(tables.domains.c.account_id == account_id)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
            if row is None:
                return None
            before = await addresses.earlier(connection, [row.id])
        return _domain(row, before.get(row.id, ()))

    async def remove_domain(self, domain: Domain, *, notice: str = "") -> None:
        """Refuse mail for its addresses from now on and forget the domain and its routing rules.

        Archived reports and figures stay, and are the domain's again when its account adds it again. `notice` is for
        the account, when it did not remove the domain itself.
        """
        for address in await self._close_gate(domain):
            await self.zones.keep_host(address)
        async with self._database.write() as connection:
            await zone_rules.remove(connection, self._clock(), domain.id)
            earlier = tables.rua_addresses
            await connection.execute(delete(earlier).where(earlier.c.domain_id == domain.id))
            gone = await connection.execute(delete(tables.domains).where(tables.domains.c.id == domain.id))
            await tokens.forget_domain(connection, domain.account_id, domain.id)
            await domain_setup.forget(connection, domain.id)
            if notice and gone.rowcount:
                await notices.add(
                    connection, self._clock(), domain.account_id, notices.DOMAIN_LOST, domain.name, notice
                )
            if gone.rowcount:
                values = {"id": domain.id, "account_id": domain.account_id, "name": domain.name}
                await connection.execute(insert(tables.removed_domains).values(**values, removed=self._clock()))
            await audit.note(
                connection,
                self._clock(),
                "domain.remove",
                domain.name,
                account_id=domain.account_id,
                detail={"rua": domain.rua} | ({"because": notices.DOMAIN_LOST} if notice else {}),
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


_DOMAINS = select(tables.domains, domain_setups.c.proven, domain_setups.c.parked).outerjoin(
    domain_setups, domain_setups.c.domain_id == tables.domains.c.id
)


def _domain(row: Row[Any], earlier: tuple[str, ...]) -> Domain:
    created = datetime.fromtimestamp(row.created, UTC)
    proven = None if row.proven is None else datetime.fromtimestamp(row.proven, UTC)
    return Domain(row.id, row.account_id, row.name, row.rua, created, row.enabled, earlier, proven, bool(row.parked))
