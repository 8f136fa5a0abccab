"""Claims: an account that proves a domain by DNS receives it, even if another account added it before.

A claim may be opened for any name, held by another account or not: nothing reveals what others have. Its token becomes
the local part of the domain's rua address, so that the record to publish is known before the domain is the account's.
The account that had the domain is notified; its reports and figures stay its own.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.engine import Row

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import audit, names, tables
from dmarcworks.catalogue.accounts import Account, Accounts, Domain
from dmarcworks.catalogue.domain_setup import next_check
from dmarcworks.catalogue.names import normal_domain
from dmarcworks.catalogue.setup_tables import domain_claims
from dmarcworks.errors import BoundError, ConflictError, DeniedError, NotFoundError, UsageError

__all__ = ["CLAIMS", "CLAIM_DAYS", "DomainClaim", "DomainClaims"]

# Open claims of one account, and the days after which one that is not proven ends.
CLAIMS, CLAIM_DAYS = 100, 30
_COLUMNS = domain_claims.c


@dataclass(frozen=True, slots=True)
class DomainClaim:
    """An account's claim to a name. `reason` is why the newest check did not prove it, "" before the first one."""

    token: str
    account_id: str
    name: str
    created: datetime
    checked: datetime | None = None
    reason: str = ""
    checking: bool = False
    claimed: float = 0.0


class DomainClaims:
    """The claims of all accounts. Without `enabled`, as on a server with one tenant, none can be opened or settled."""

    def __init__(
        self, database: Database, accounts: Accounts, *, enabled: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        self.enabled = enabled
        self._database = database
        self._accounts = accounts
        self._clock = clock

    async def open(self, account: Account, name: str) -> DomainClaim:
        """The account's claim to a name, new or the one that it has already.

        `ConflictError` when the account has the domain, `UsageError` for what nobody can have, `BoundError` for one
        claim too many.
        """
        self._require_enabled()
        domain_name = normal_domain(name)
        if names.public_suffix(domain_name):
            raise UsageError(f"{domain_name} is a public suffix: the domains below it have owners of their own")
        if await self._accounts.domain(account.id, domain_name) is not None:
            raise ConflictError(f"{domain_name} is in the account already; there is nothing to claim")
        now = self._clock()
        mine = (_COLUMNS.account_id == account.id) & (_COLUMNS.name == domain_name)
        async with self._database.write() as connection:
            row = (await connection.execute(select(domain_claims).where(mine))).first()
            if row is not None:
                return self._claim(row)
            count = select(func.count()).where(_COLUMNS.account_id == account.id)
            if (await connection.execute(count)).scalar_one() >= CLAIMS:
                raise BoundError(f"the account has {CLAIMS} open claims, which is the bound; withdraw one")
            values: dict[str, Any] = {"token": uuid.uuid4().hex, "account_id": account.id, "name": domain_name}
            values |= {"created": now, "reason": "", "due": now, "claimed": 0.0, "tries": 0}
            await connection.execute(insert(domain_claims).values(values))
            await audit.note(connection, now, "domain.claim", domain_name, account_id=account.id)
        return await self.of(account.id, domain_name)

    async def of(self, account_id: str, name: str) -> DomainClaim:
        """The account's claim to a name; `NotFoundError` when it has none."""
        match = next((one for one in await self.list(account_id) if one.name == normal_domain(name)), None)
        if match is None:
            raise NotFoundError("there is no such claim")
        return match

    async def list(self, account_id: str) -> list[DomainClaim]:
        """The account's claims by name."""
        statement = select(domain_claims).where(_COLUMNS.account_id == account_id).order_by(_COLUMNS.name)
        async with self._database.read() as connection:
            return [self._claim(row) for row in (await connection.execute(statement)).all()]

    async def withdraw(self, claim: DomainClaim) -> None:
        """The account does not claim the name any more."""
        async with self._database.write() as connection:
            await connection.execute(delete(domain_claims).where(_COLUMNS.token == claim.token))
            await audit.note(
                connection, self._clock(), "domain.claim-withdrawn", claim.name, account_id=claim.account_id
            )

    async def request(self, claim: DomainClaim) -> None:
        """The claim is to be checked now."""
        self._require_enabled()
        statement = update(domain_claims).where(_COLUMNS.token == claim.token)
        statement = statement.values(due=self._clock(), claimed=0.0, tries=0)
        await self._database.step(lambda connection: connection.execute(statement) and None)

    async def due(self, most: int, seconds: float) -> Sequence[DomainClaim]:
        """Claims that are due, longest first; no other process gets them for so many seconds. Old ones are deleted."""
        if not self.enabled:
            return []
        now = self._clock()
        waiting = select(_COLUMNS.token).where(_COLUMNS.due <= now, _COLUMNS.claimed <= now).limit(1)
        # Mostly nothing is due, and reading takes no lock.
        async with self._database.read() as reading:
            if (await reading.execute(waiting)).first() is None:
                return []

        def work(connection: Connection) -> Sequence[DomainClaim]:
            connection.execute(delete(domain_claims).where(_COLUMNS.created < now - CLAIM_DAYS * 86_400))
            due = select(domain_claims).where(_COLUMNS.due <= now, _COLUMNS.claimed <= now)
            due = due.order_by(_COLUMNS.due, _COLUMNS.token).limit(most)
            if connection.dialect.name == "postgresql":
                due = due.with_for_update(skip_locked=True)
            rows = connection.execute(due).all()
            until = now + seconds
            if rows:
                chosen = _COLUMNS.token.in_([row.token for row in rows])
                connection.execute(update(domain_claims).where(chosen).values(claimed=until))
            return [self._claim(row, until) for row in rows]

        return await self._database.step(work)

    async def refused(self, claim: DomainClaim, reason: str) -> None:
        """A check did not prove the claim."""
        now = self._clock()

        def work(connection: Connection) -> None:
            mine = _COLUMNS.token == claim.token
            tries = connection.execute(select(_COLUMNS.tries).where(mine)).scalar_one_or_none()
            if tries is not None:
                seen = update(domain_claims).where(mine).values(checked=now, reason=tables.storable(reason)[:1000])
                connection.execute(seen)
                again = {"due": now + next_check(tries), "claimed": 0.0, "tries": tries + 1}
                connection.execute(update(domain_claims).where(mine, _COLUMNS.claimed == claim.claimed).values(again))

        await self._database.step(work)

    async def holder(self, claim: DomainClaim) -> Domain | None:
        """Another account's domain of the name, if there is one."""
        holder = await self._accounts.domain(None, claim.name)
        return None if holder is None or holder.account_id == claim.account_id else holder

    async def settle(self, claim: DomainClaim, evidence: str) -> Domain:
        """DNS has proven the claim: the account has the domain from now on, and both accounts are notified.

        Two transactions; a crash between them leaves the claim, which the next check settles.
        """
        self._require_enabled()
        account = await self._accounts.account(claim.account_id)
        if account is None:
            raise NotFoundError("there is no such account")
        present = await self._accounts.domain(account.id, claim.name)
        if present is not None:  # another process settled it a moment ago
            return present
        holder = await self.holder(claim)
        if holder is not None:
            view = await self._accounts.zones.view([claim.name])
            if account.name != view.operator and names.reserved(claim.name, view.hosts):
                raise DeniedError(f"{claim.name} is reserved for the operator of this server")
            await self._accounts.remove_domain(holder, notice=_LOST.format(claim.name, holder.rua))
        text = (_RECEIVED if holder is not None else _ADDED).format(claim.name)
        domain = await self._accounts.add_domain(
            claim.name, account.name, operator=True, token=claim.token, notice=text
        )
        now = self._clock()
        async with self._database.write() as connection:
            detail = {"evidence": evidence, "taken_over": holder is not None}
            await audit.note(connection, now, "domain.claimed", domain.name, account_id=account.id, detail=detail)
        return domain

    def _claim(self, row: Row[Any], claimed: float | None = None) -> DomainClaim:
        checked = None if row.checked is None else datetime.fromtimestamp(row.checked, UTC)
        return DomainClaim(
            row.token,
            row.account_id,
            row.name,
            datetime.fromtimestamp(row.created, UTC),
            checked,
            row.reason,
            row.due <= self._clock(),
            row.claimed if claimed is None else claimed,
        )

    def _require_enabled(self) -> None:
        if not self.enabled:
            raise DeniedError("domains cannot be claimed on this server (DMARCWORKS_DOMAIN_CLAIMS is off)")


_LOST = (
    "Another account of this server proved with a DNS record that {0} is its domain, and has it now. Your reports and"
    " figures up to now stay in this account; new reports count for the other account, and {1} no longer accepts mail."
    " If the domain is yours, claim it: publish a DNS record that proves it."
)
_RECEIVED = (
    "A DNS record proved that {0} is your domain, and it was moved to this account. The account that had it before was"
    " notified; its reports and figures stay there. New reports count for this account."
)
_ADDED = "A DNS record proved that {0} is your domain, and it was added to this account."
