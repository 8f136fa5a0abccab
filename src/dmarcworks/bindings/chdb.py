"""Analytics on chdb: the ClickHouse engine in this process, on a folder that only this process may hold.

Each statement has a session of its own, and sessions run in parallel: queries and inserts have threads of their own, so
that the event loop stays free and no query waits for an insert. A query's session is made read-only permanently and
thrown
away: no query can undo it, and no later insert meets it.
A query whose caller is cancelled is ended in the engine by KILL QUERY, so that its thread is free for the next one.
Read-only still lets some things through (a file written by INTO OUTFILE, a file read by `file('…')`): SQL that
others wrote is checked above, in `api.sql.checked`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from dmarcworks.bindings import clickhouse_engine
from dmarcworks.bindings.contracts import QueryBounds
from dmarcworks.errors import DmarcworksError, QueryError, StoreError, UsageError
from dmarcworks.process.memory import release_code_pages

__all__ = ["DATABASE", "ChdbAnalytics"]

DATABASE = "dmarcworks"
OWN = QueryBounds(seconds=300.0, rows=50_000_000, memory=4 << 30)
_T = TypeVar("_T")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
# An insert is one block, however many rows: all of them are there or none.
_ONE_BLOCK = (
    "min_insert_block_size_rows = 1099511627776, min_insert_block_size_bytes = 0, max_insert_threads = 1,"
    " max_partitions_per_insert_block = 0"
)
_REST_SECONDS = 20.0
# Questions side by side, and apart from them inserts: two, since the second is made while the first waits for the disk.
_READERS, _WRITERS = 4, 2
# A statement that has not begun when it is killed is killed again after this long.
_KILL_SECONDS = 0.05


class ChdbAnalytics:
    """The Analytics contract on chdb. Opening takes the folder's lock: `StoreError` if another process has it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._closed = False
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="analytics-read")
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="analytics-write")
        self._killer = ThreadPoolExecutor(1, thread_name_prefix="analytics-kill")
        self._ending: set[asyncio.Task[None]] = set()
        self._rest: asyncio.TimerHandle | None = None
        try:
            self._engine = self._writers.submit(clickhouse_engine.ClickhouseEngine, path, DATABASE).result()
        except StoreError:
            self._readers.shutdown()
            self._writers.shutdown()
            self._killer.shutdown()
            raise

    async def execute(self, statement: str) -> None:
        """Run DDL or another statement without a result (trusted text only)."""
        await self._run(self._writers, lambda: self._define(statement))

    def _define(self, statement: str) -> None:
        self._engine.write(statement)
        # DDL is run at the start and then no more; what it touched of the engine's code is some 50 MB.
        release_code_pages(clickhouse_engine.LIBRARY)

    async def insert(self, table: str, data: pa.Table) -> None:
        """Durably insert, all rows or none, in one block; columns by name."""
        if not _NAME.fullmatch(table):
            raise UsageError(f"{table!r} is no table's name")
        names = [str(name) for name in data.column_names]
        if wrong := [name for name in names if not _NAME.fullmatch(name)]:
            raise UsageError(f"{wrong[0]!r} is no column's name")
        if data.num_rows == 0:
            return
        # Reports leave a third of the columns empty: one that is NULL throughout is left to the engine to fill in.
        present = [name for name in names if data[name].null_count < data.num_rows] or names
        columns = ", ".join(f"`{name}`" for name in present)
        # Names only, and checked ones: the values go as the table that they are.
        statement = f"INSERT INTO {table} ({columns}) SETTINGS {_ONE_BLOCK} SELECT {columns} FROM Python(table)"  # noqa: S608
        await self._run(self._writers, lambda: self._engine.insert(statement, data.select(present)))

    async def query(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        format: str = "JSONEachRow",
        bounds: QueryBounds | None = None,
    ) -> bytes:
        """Run one SELECT read-only, `{name:Type}` parameters bound by the engine; the result in the format's bytes.

        `QueryError` with the engine's text when it refuses or a bound is hit; `StoreError` when the disk fails.
        """
        bound = {name: parameter(value) for name, value in (parameters or {}).items()}
        comment, ended = uuid.uuid4().hex, threading.Event()
        settings = _settings(bounds or OWN, comment)

        work = self._submit(self._readers, lambda: self._engine.read(statement, format, bound, settings, ended=ended))
        done = asyncio.wrap_future(work)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            if not work.cancel():
                ended.set()
                task = asyncio.create_task(self._kill(done, comment), name="kill statement")
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)
                # A cancelled caller continues when the thread is free, so that no slot is assigned twice.
                await asyncio.shield(task)
            raise

    async def _kill(self, done: asyncio.Future[bytes], comment: str) -> None:
        """End a statement in the engine, and wait until its thread is free."""
        while not done.done():
            with contextlib.suppress(DmarcworksError):
                await asyncio.wrap_future(self._killer.submit(self._engine.kill, comment))
            await asyncio.wait([done], timeout=_KILL_SECONDS)
        done.exception()  # no caller is left to retrieve the error

    async def ping(self) -> None:
        """Prove that the engine answers; `StoreError` if not."""
        try:
            await self.query("SELECT 1", format="TabSeparated")
        except QueryError as error:
            raise StoreError(f"analytics {self.path}: {error}") from error

    async def close(self) -> None:
        """Give back the engine's lock and files, after the statements that run."""
        if not self._closed:
            self._closed = True
            if self._rest is not None:
                self._rest.cancel()
            await asyncio.get_running_loop().run_in_executor(None, self._end)

    def _end(self) -> None:
        self._readers.shutdown()
        self._writers.shutdown()
        self._killer.shutdown()
        self._engine.close()

    def _submit(self, threads: ThreadPoolExecutor, work: Callable[[], _T]) -> Future[_T]:
        if self._closed:
            raise StoreError(f"analytics {self.path}: closed")
        if self._rest is None:
            self._rest = asyncio.get_running_loop().call_later(_REST_SECONDS, self._forget)
        return threads.submit(work)

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
        return await asyncio.wrap_future(self._submit(threads, work))

    def _forget(self) -> None:
        self._rest = None
        if not self._closed:
            self._writers.submit(release_code_pages, clickhouse_engine.LIBRARY)


def _settings(bounds: QueryBounds, comment: str) -> str:
    """The settings of a session before it becomes read-only, `readonly` last; `comment` names the statement."""
    values: dict[str, str | int] = {
        **bounds.extra,
        "log_comment": comment,
        "max_execution_time": f"{bounds.seconds:.3f}",
        "timeout_overflow_mode": "throw",
        "max_result_rows": bounds.rows,
        "max_result_bytes": bounds.memory,
        "result_overflow_mode": "throw",
        "max_memory_usage": bounds.memory,
        "readonly": 1,
    }
    if wrong := [name for name in values if not _NAME.fullmatch(name)]:
        raise UsageError(f"{wrong[0]!r} is no setting's name")
    return ", ".join(f"{name} = {_literal(value)}" for name, value in values.items())


def _literal(value: str | int) -> str:
    return str(int(value)) if isinstance(value, int) else "'" + clickhouse_engine.field(value).replace("'", "\\'") + "'"


def parameter(value: Any) -> str:
    """A value as the engine reads it for any parameter type: text, number, date, None or a sequence of those."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_element(item) for item in value) + "]"
    if value is None:
        return "\\N"
    return clickhouse_engine.field(_plain(value))


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool | int | float):
        return _plain(value)
    return "'" + clickhouse_engine.field(_plain(value)).replace("'", "\\'") + "'"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date | int | float):
        return str(value)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise QueryError(f"the parameter {json.dumps(value)} is not UTF-8 text") from None
        return value
    raise UsageError(f"a query parameter cannot be a {type(value).__name__}")
