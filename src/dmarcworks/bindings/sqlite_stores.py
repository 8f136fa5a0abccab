"""KV and queue on SQLite: the small read and the small write that every mail needs take one trip to a thread each."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dmarcworks.bindings.kv import Entry, SqlKV, metadata_of
from dmarcworks.bindings.queue import SqlQueue, shares
from dmarcworks.bindings.sqlite import SqliteDatabase
from dmarcworks.process import failpoints

__all__ = ["SqliteKV", "SqliteQueue"]

_INSERT = (
    "INSERT INTO queue (queue, type, body, sent, ready, attempts, failures, lost)"
    " VALUES (:queue, :type, :body, :sent, :ready, :attempts, :failures, :lost)"
)


class SqliteKV(SqlKV):
    """The KV contract on an SQLite database."""

    def __init__(self, database: SqliteDatabase, clock: Callable[[], float] = time.time) -> None:
        super().__init__(database, clock)
        self._sqlite = database

    async def _values(self, names: set[bytes]) -> dict[bytes, Entry]:
        rows = await self._sqlite.read_step(lambda connection: _values_of(connection, names, self._clock()))
        return {key: (value.decode(), metadata_of(noted)) for key, value, noted in rows}


class SqliteQueue(SqlQueue):
    """The contracts Queue, Leases and DeadLetters on an SQLite database."""

    def __init__(self, database: SqliteDatabase, clock: Callable[[], float] = time.time) -> None:
        super().__init__(database, clock)
        self._sqlite = database

    async def _insert(self, groups: list[Sequence[dict[str, Any]]]) -> Sequence[Sequence[int]]:
        rows = [row for group in groups for row in group]
        last = await self._sqlite.keep(lambda connection: _insert_into(connection, rows))
        failpoints.hit("queue.committed")
        # Nobody else wrote meanwhile and an id is never given twice, so ours are the last ones.
        return shares(groups, range(last - len(rows) + 1, last + 1))


def _values_of(connection: sqlite3.Connection, names: set[bytes], now: float) -> list[tuple[bytes, bytes, str | None]]:
    marks = ",".join("?" * len(names))
    statement = f"SELECT key, value, metadata FROM kv WHERE key IN ({marks}) AND (expiration IS NULL OR expiration > ?)"  # noqa: S608
    return connection.execute(statement, (*names, now)).fetchall()


def _insert_into(connection: sqlite3.Connection, rows: Sequence[Mapping[str, Any]]) -> int:
    connection.executemany(_INSERT, rows)
    last: int = connection.execute("SELECT max(id) FROM queue").fetchone()[0]
    failpoints.hit("queue.insert")
    return last
