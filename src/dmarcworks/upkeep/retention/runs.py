"""What retention deleted, run by run: noted as it goes, listed newest first, kept for 400 days."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, insert, select

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import upkeep_tables

__all__ = ["Run", "Runs"]

KEPT_DAYS = 400
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Run:
    """A deletion at `time`: so many things of a kind and bytes, older than `before` (a day or a moment, ISO 8601)."""

    time: datetime
    kind: str
    before: str
    things: int
    bytes: int


class Runs:
    """The list."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def note(self, account_id: str, kind: str, before: str, things: int, size: int) -> None:
        """Note a deletion of now."""
        table, now = upkeep_tables.retention_runs, self._clock()
        values = {"time": now, "account_id": account_id, "kind": kind, "before": before, "things": things}
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(table.c.time < now - KEPT_DAYS * 86_400))
            await connection.execute(insert(table).values(**values, bytes=size))

    async def last(self, account_id: str, limit: int = 50) -> list[Run]:
        """The account's, newest first, at most 1,000."""
        table = upkeep_tables.retention_runs
        statement = select(table).where(table.c.account_id == account_id)
        statement = statement.order_by(table.c.id.desc()).limit(max(1, min(limit, _MOST)))
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [Run(datetime.fromtimestamp(row.time, UTC), row.kind, row.before, row.things, row.bytes) for row in rows]
