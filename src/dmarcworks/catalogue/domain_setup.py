"""What DNS showed of each domain's records, when, and whether it proved that the domain is the account's.

A domain is due for a check until all of its records are seen, at growing intervals. A process claims due domains in the
database, so that two do not check the same one; a claim that runs out is free again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, case, delete, func, insert, literal, select, update

from dmarcworks.bindings.contracts import Database
from dmarcworks.bindings.upsert import upsert
from dmarcworks.catalogue import tables
from dmarcworks.catalogue.names import chain
from dmarcworks.catalogue.setup_tables import domain_setups

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["ClaimedSetup", "DomainSetups", "StoredSetup", "begin", "forget", "next_check", "recheck_all"]

_FIRST_SECONDS, _LONGEST_SECONDS = 60.0, 86_400.0
_COLUMNS = domain_setups.c
_NEW: dict[str, Any] = {"evidence": "", "answers": "", "resolver": "", "claimed": 0.0, "tries": 0}


@dataclass(frozen=True, slots=True)
class StoredSetup:
    """The newest check of a domain: `answers` is JSON, "" before the first one; `evidence` is rua, txt or "".

    `checking`: a check is requested or running. `due` is when the next one is, None when everything was seen.
    """

    answers: str = ""
    checked: datetime | None = None
    resolver: str = ""
    evidence: str = ""
    due: datetime | None = None
    checking: bool = False


@dataclass(frozen=True, slots=True)
class ClaimedSetup:
    """A domain that this process checks; `claimed` names the claim."""

    domain_id: str
    claimed: float


async def begin(connection: AsyncConnection, domain_id: str, now: float, *, parked: bool) -> None:
    """A new domain, to be checked at once."""
    await connection.execute(insert(domain_setups).values(domain_id=domain_id, parked=parked, due=now, **_NEW))


async def forget(connection: AsyncConnection, domain_id: str) -> None:
    """The domain is removed."""
    await connection.execute(delete(domain_setups).where(_COLUMNS.domain_id == domain_id))


async def recheck_all(connection: AsyncConnection, now: float) -> None:
    """Every domain is due: its address has changed."""
    await connection.execute(update(domain_setups).values(due=now, claimed=0.0, tries=0))


def next_check(tries: int) -> float:
    """Seconds until the next check, after so many that did not see everything: a minute, then twice as long each time,
    at most a day."""
    return float(min(_FIRST_SECONDS * 2 ** min(tries, 20), _LONGEST_SECONDS))


class DomainSetups:
    """The checks of all domains."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def of(self, domain_id: str) -> StoredSetup:
        """The newest check of a domain."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(domain_setups).where(_COLUMNS.domain_id == domain_id))).first()
        if row is None:
            return StoredSetup()
        checking = row.due is not None and row.due <= self._clock()
        return StoredSetup(row.answers, _time(row.checked), row.resolver, row.evidence, _time(row.due), checking)

    async def relatives(self, account_id: str, name: str) -> tuple[str, ...]:
        """The names of the account's domains above and below this one; a thousand at most."""
        table = tables.domains.c
        near = table.name.in_(list(chain(name))) | table.name.endswith(f".{name}", autoescape=True)
        statement = select(table.name).where(table.account_id == account_id, table.name != name, near)
        async with self._database.read() as connection:
            return tuple((await connection.execute(statement.order_by(table.name).limit(1000))).scalars())

    async def request(self, domain_id: str) -> None:
        """The domain is to be checked now; also when a check is running, which may have read older records."""
        now = self._clock()

        def work(connection: Connection) -> None:
            values = {"domain_id": domain_id, "parked": False, "due": now, **_NEW}
            statement = upsert(connection.dialect.name, domain_setups).values(values)
            changed = {"due": now, "claimed": 0.0, "tries": 0}
            connection.execute(statement.on_conflict_do_update(index_elements=["domain_id"], set_=changed))

        await self._database.step(work)

    async def complete(self) -> None:
        """Domains that have no row yet, from before there were checks, get one."""
        now = self._clock()
        missing = select(
            tables.domains.c.id, literal(False), literal(""), literal(""), literal(""), literal(now), literal(0.0),
            literal(0),
        ).where(tables.domains.c.id.not_in(select(_COLUMNS.domain_id)))  # fmt: skip
        names = ["domain_id", "parked", "evidence", "answers", "resolver", "due", "claimed", "tries"]
        async with self._database.read() as connection:
            if (await connection.execute(missing.limit(1))).first() is None:
                return
        await self._database.step(lambda connection: connection.execute(_adding(connection, names, missing)) and None)

    async def claim(self, most: int, seconds: float) -> list[ClaimedSetup]:
        """Domains that are due, longest first; no other process gets them for so many seconds."""
        now = self._clock()
        waiting = select(_COLUMNS.domain_id).where(_COLUMNS.due <= now, _COLUMNS.claimed <= now).limit(1)
        # Mostly nothing is due, and reading takes no lock.
        async with self._database.read() as reading:
            if (await reading.execute(waiting)).first() is None:
                return []

        def work(connection: Connection) -> list[ClaimedSetup]:
            due = select(_COLUMNS.domain_id).where(_COLUMNS.due <= now, _COLUMNS.claimed <= now)
            due = due.order_by(_COLUMNS.due, _COLUMNS.domain_id).limit(most)
            if connection.dialect.name == "postgresql":
                due = due.with_for_update(skip_locked=True)
            some = list(connection.execute(due).scalars())
            until = now + seconds
            if some:
                connection.execute(update(domain_setups).where(_COLUMNS.domain_id.in_(some)).values(claimed=until))
            return [ClaimedSetup(domain_id, until) for domain_id in some]

        return await self._database.step(work)

    async def store(self, claimed: ClaimedSetup, answers: str, *, evidence: str, resolver: str, complete: bool) -> None:
        """The result of a check. Complete, the domain is due no more, unless a check was requested meanwhile."""
        now = self._clock()
        mine = _COLUMNS.domain_id == claimed.domain_id

        def work(connection: Connection) -> None:
            tries = connection.execute(select(_COLUMNS.tries).where(mine)).scalar_one_or_none()
            if tries is None:  # the domain was removed
                return
            values: dict[str, Any] = {"answers": answers, "checked": now, "resolver": resolver[:255]}
            if evidence:
                values["proven"] = func.coalesce(_COLUMNS.proven, now)
                values["evidence"] = case((_COLUMNS.proven.is_(None), evidence), else_=_COLUMNS.evidence)
            connection.execute(update(domain_setups).where(mine).values(values))
            due = None if complete else now + next_check(tries)
            ending = update(domain_setups).where(mine, _COLUMNS.claimed == claimed.claimed)
            connection.execute(ending.values(due=due, claimed=0.0, tries=tries + 1))

        await self._database.step(work)

    async def start(self, domain_id: str, seconds: float) -> ClaimedSetup:
        """Claim one domain, due or not: a command checks it itself."""
        until = self._clock() + seconds

        def work(connection: Connection) -> ClaimedSetup:
            values = {"domain_id": domain_id, "parked": False, "due": self._clock(), **_NEW, "claimed": until}
            statement = upsert(connection.dialect.name, domain_setups).values(values)
            changed = {"due": values["due"], "claimed": until, "tries": 0}
            connection.execute(statement.on_conflict_do_update(index_elements=["domain_id"], set_=changed))
            return ClaimedSetup(domain_id, until)

        return await self._database.step(work)


def _adding(connection: Connection, names: list[str], missing: Any) -> Any:
    return upsert(connection.dialect.name, domain_setups).from_select(names, missing).on_conflict_do_nothing()


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
