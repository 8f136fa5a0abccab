"""Outgoing mail that the relay has not accepted yet: a row each, its bytes in Objects. A row exists from the moment
that we answer for the mail until the relay has it. Failed permanently, it stays with its reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, insert, select, update

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import mail_tables, tables


@dataclass(frozen=True, slots=True)
class Waiting:
    """A mail that waits; `attempts` so far, `created` in unix seconds; `dead` when it failed permanently."""

    id: int
    account_id: str
    kind: str
    sender: str
    recipient: str
    object_key: str
    attempts: int
    error: str
    created: float
    dead: datetime | None = None


class Outbound:
    """The queue of outgoing mail."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def add(
        self, account_id: str, kind: str, sender: str, recipient: str, object_key: str, error: str, ready: float
    ) -> None:
        """Add a mail whose bytes are in Objects; due at `ready` (unix seconds)."""
        row = {
            "account_id": account_id,
            "kind": kind,
            "sender": tables.storable(sender)[:320],
            "recipient": recipient,
            "object_key": object_key,
            "attempts": 1,
            "ready": ready,
            "error": tables.storable(error)[:1000],
            "created": self._clock(),
        }
        async with self._database.write() as connection:
            await connection.execute(insert(mail_tables.outbound).values(row))

    async def take(self, now: float, lease: float) -> Waiting | None:
        """The mail that is due the longest, leased for `lease` seconds; None when none is due."""
        table = mail_tables.outbound
        due = select(table.c.id).where(table.c.dead.is_(None), table.c.ready <= now).order_by(table.c.ready).limit(1)
        async with self._database.read() as connection:
            if (await connection.execute(due)).first() is None:
                return None
        lease_next = (
            update(table)
            .where(table.c.id == due.scalar_subquery())
            .values(ready=now + lease, attempts=table.c.attempts + 1)
            .returning(table)
        )
        async with self._database.write() as connection:
            row = (await connection.execute(lease_next)).first()
        return None if row is None else _waiting(row)

    async def done(self, row_id: int) -> None:
        """The relay has it."""
        async with self._database.write() as connection:
            await connection.execute(delete(mail_tables.outbound).where(mail_tables.outbound.c.id == row_id))

    async def later(self, row_id: int, ready: float, error: str) -> None:
        """Try again at `ready` (unix seconds)."""
        await self._set(row_id, ready=ready, error=tables.storable(error)[:1000])

    async def give_up(self, row_id: int, now: float, error: str) -> None:
        """Keep it with its reason, tried no more."""
        await self._set(row_id, dead=now, error=tables.storable(error)[:1000])

    async def _set(self, row_id: int, **values: object) -> None:
        async with self._database.write() as connection:
            await connection.execute(
                update(mail_tables.outbound).where(mail_tables.outbound.c.id == row_id).values(values)
            )

    async def count(self) -> int:
        """How many wait."""
        statement = select(func.count()).select_from(mail_tables.outbound).where(mail_tables.outbound.c.dead.is_(None))
        async with self._database.read() as connection:
            return int((await connection.execute(statement)).scalar_one())

    async def mails(self, account_id: str | None, limit: int = 100) -> list[Waiting]:
        """The account's waiting and permanently failed mails, newest first; of all accounts when None."""
        statement = select(mail_tables.outbound).order_by(mail_tables.outbound.c.id.desc()).limit(limit)
        if account_id is not None:
            statement = statement.where(mail_tables.outbound.c.account_id == account_id)
        async with self._database.read() as connection:
            return [_waiting(row) for row in (await connection.execute(statement)).all()]


def _waiting(row: object) -> Waiting:
    columns = row._mapping  # type: ignore[attr-defined]  # a row of the table
    names = ("id", "account_id", "kind", "sender", "recipient", "object_key", "attempts", "error", "created")
    values = {name: columns[name] for name in names}
    return Waiting(**values, dead=None if columns["dead"] is None else datetime.fromtimestamp(columns["dead"], UTC))
