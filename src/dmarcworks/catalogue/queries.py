"""SQL statements that were run, and those that people keep: the query log and an account's saved queries.

The log is for an administrator, not for accounting: lines gather in memory and go to the database together, a second
later, so that no question waits for a disk; a crash may lose that second. It is bounded by days and by lines.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import delete, func, insert, select, update

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import api_tables, tables
from dmarcworks.errors import BoundError, DmarcworksError, UsageError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["LogLine", "LoggedQuery", "QueryLog", "Saved", "SavedQueries"]

log = structlog.get_logger("dmarcworks.queries")

LOG_LINES = 100_000
LOG_TEXT = 4_000
GATHERED = 2_000
GATHER_SECONDS = 1.0
PRUNE_SECONDS = 3600.0
LOOKED_AT = 200
SAVED_EACH = 200
NAME_CHARACTERS = 100
TEXT_CHARACTERS = 16_000


@dataclass(frozen=True, slots=True)
class LoggedQuery:
    """A statement that was run; `who` through `source`, `ms` milliseconds from request to answer, `error` or ""."""

    account_id: str
    who: str
    source: str
    text: str
    started: float
    ms: float
    rows: int
    error: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the log; `text` is cut at 4,000 characters."""

    id: int
    account_id: str
    who: str
    source: str
    text: str
    started: datetime
    ms: float
    rows: int
    error: str


class QueryLog:
    """The log of one database; `days` of 0 keep nothing."""

    def __init__(self, database: Database, days: int, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._days = days
        self._clock = clock
        self._gathered: deque[LoggedQuery] = deque(maxlen=GATHERED)
        self._writing: asyncio.Task[None] | None = None
        self._pruned = float("-inf")

    def note(self, query: LoggedQuery) -> None:
        """Take a line; it is in the database about a second later."""
        if self._days <= 0:
            return
        self._gathered.append(query)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._later(), name="query log")

    async def flush(self) -> None:
        """Write what has gathered; while the store is unavailable, that is logged and the lines wait for the next
        time."""
        lines = [self._gathered.popleft() for _ in range(len(self._gathered))]
        if not lines:
            return
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(api_tables.query_log), [_values(line) for line in lines])
                if self._clock() - self._pruned >= PRUNE_SECONDS:
                    await self._prune(connection)
        except DmarcworksError as error:
            self._gathered.extendleft(reversed(lines))
            log.warning("query log not written", error=str(error))

    async def close(self) -> None:
        """Write what is left."""
        if self._writing is not None:
            self._writing.cancel()
        await self.flush()

    async def list(
        self, account_id: str | None = None, *, limit: int = 100, before: int | None = None
    ) -> list[LogLine]:
        """Lines, newest first, of all accounts when `account_id` is None; `before` pages by id."""
        table = api_tables.query_log
        statement = select(table).order_by(table.c.id.desc()).limit(min(limit, 1000))
        if account_id is not None:
            statement = statement.where(table.c.account_id == account_id)
        if before is not None:
            statement = statement.where(table.c.id < before)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [LogLine(**{**row._mapping, "started": datetime.fromtimestamp(row.started, UTC)}) for row in rows]

    async def last(self, account_id: str, count: int) -> tuple[LogLine, ...]:
        """The account's last different statements, newest first, the very last one too."""
        await self.flush()
        latest: dict[str, LogLine] = {}
        for line in await self.list(account_id, limit=LOOKED_AT):
            latest.setdefault(line.text, line)
        return tuple(latest.values())[:count]

    async def line(self, account_id: str, line_id: int) -> LogLine | None:
        """A line, if it belongs to the account."""
        lines = await self.list(account_id, limit=1, before=line_id + 1)
        return lines[0] if lines and lines[0].id == line_id else None

    async def _later(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        await self.flush()

    async def _prune(self, connection: AsyncConnection) -> None:
        table = api_tables.query_log
        await connection.execute(delete(table).where(table.c.started < self._clock() - self._days * 86_400))
        newest = (await connection.execute(select(func.max(table.c.id)))).scalar_one() or 0
        await connection.execute(delete(table).where(table.c.id <= newest - LOG_LINES))
        self._pruned = self._clock()


@dataclass(frozen=True, slots=True)
class Saved:
    """A query that someone of the account keeps; `author` is their mail address."""

    id: str
    account_id: str
    name: str
    text: str
    author: str
    changed: datetime


class SavedQueries:
    """The saved queries of all accounts, each seen by its own account only."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def list(self, account_id: str) -> list[Saved]:
        """The account's, by name."""
        table = api_tables.saved_queries
        statement = select(table).where(table.c.account_id == account_id).order_by(table.c.name)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [Saved(**{**row._mapping, "changed": datetime.fromtimestamp(row.changed, UTC)}) for row in rows]

    async def save(self, account_id: str, name: str, text: str, author: str) -> str:
        """Keep the text under the name, replacing any query of that name; its id.

        `UsageError` without name or text, `BoundError` for one that is too long or one query too many.
        """
        name, text = tables.storable(" ".join(name.split())), tables.storable(text.strip())
        if not name or not text:
            raise UsageError("give the query a name and a text")
        if len(name) > NAME_CHARACTERS or len(text) > TEXT_CHARACTERS:
            raise BoundError(f"a name has at most {NAME_CHARACTERS} characters and a saved query {TEXT_CHARACTERS}")
        table = api_tables.saved_queries
        values = {"text": text, "author": author, "changed": self._clock()}
        async with self._database.write() as connection:
            statement = select(table.c.id).where(table.c.account_id == account_id, table.c.name == name)
            query_id = (await connection.execute(statement)).scalar_one_or_none()
            if query_id is not None:
                await connection.execute(update(table).where(table.c.id == query_id).values(**values))
                return str(query_id)
            counted = select(func.count()).select_from(table).where(table.c.account_id == account_id)
            if (await connection.execute(counted)).scalar_one() >= SAVED_EACH:
                raise BoundError(f"an account keeps at most {SAVED_EACH} queries; remove one first")
            made = uuid.uuid4().hex
            await connection.execute(insert(table).values(id=made, account_id=account_id, name=name, **values))
            return made

    async def remove(self, account_id: str, query_id: str) -> bool:
        """Forget one; False when the account has no such query."""
        table = api_tables.saved_queries
        async with self._database.write() as connection:
            done = await connection.execute(
                delete(table).where(table.c.account_id == account_id, table.c.id == query_id)
            )
            return done.rowcount > 0


def _values(line: LoggedQuery) -> dict[str, object]:
    return {
        "account_id": line.account_id,
        "who": tables.storable(line.who[:320]),
        "source": line.source,
        "text": tables.storable(line.text[:LOG_TEXT]),
        "started": line.started,
        "ms": line.ms,
        "rows": line.rows,
        "error": tables.storable(line.error[:LOG_TEXT]),
    }
