"""SQLite in one step: a connection and a thread of its own for the two queries that every mail runs.

Through SQLAlchemy's asynchronous engine a small transaction is a dozen trips between the event loop and a thread; here
it is one. Same promises: WAL, synchronous=FULL, a commit is on disk when it returns, any failure of the file is a
`StoreError` and the next call has a new connection.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from sqlalchemy.exc import OperationalError

from dmarcworks.errors import StoreError

__all__ = ["PROMISES", "SqliteConnection", "begin_writing"]

_T = TypeVar("_T")
# The settings of every connection. The log grows to 32 MB before it is written back to the file: pages that
# many commits touch are then written once, seldom in a mail's own commit. A statement's own journal stays in memory.
PROMISES = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    f"PRAGMA journal_size_limit = {64 << 20}",
    "PRAGMA wal_autocheckpoint = 8000",
    "PRAGMA temp_store = MEMORY",
)
# The pauses between two tries to begin writing: short at first, as a small commit takes a thousandth of a second, then
# longer, as a try costs the processor time that the writer in front needs.
_FIRST_PAUSE_SECONDS, _PAUSE_GROWTH, _LONGEST_PAUSE_SECONDS = 0.0005, 1.25, 0.005


def begin_writing(execute: Callable[[str], object], busy: float) -> None:
    """Begin a transaction that writes once no other process writes; waits `busy` seconds at most, in this thread.

    The connection's own busy_timeout is to be 0: SQLite's waiting sleeps up to a tenth of a second between two looks, a
    small commit takes a thousandth, and most of several that write all the time would sleep while none writes.
    """
    deadline = time.monotonic() + busy
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            execute("BEGIN IMMEDIATE")
            return
        except (sqlite3.OperationalError, OperationalError) as error:
            cause = error.orig if isinstance(error, OperationalError) else error
            busy_now = getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            if not busy_now or time.monotonic() > deadline:
                raise
        time.sleep(pause)
        pause = min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE_SECONDS)


class SqliteConnection:
    """A connection to `path` that reads, or writes too; `busy`: seconds to wait for another process's write."""

    def __init__(self, path: Path, busy: float, *, writer: bool) -> None:
        self._path = path
        self._busy = busy
        self._writer = writer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-write" if writer else "sqlite-read")
        self._connection: sqlite3.Connection | None = None

    async def run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do the work in one transaction: committed durably when it returns, rolled back on any error."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._step, work)

    def truncate_log(self) -> Future[bool]:
        """Write the log into the file and empty it; False when another connection was in the way."""
        return self._thread.submit(self._truncate_log)

    async def close(self) -> None:
        """Give back the connection and the thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._drop)
        self._thread.shutdown(wait=False)

    def _step(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            connection = self._connection or self._open()
            if self._writer:
                begin_writing(connection.execute, self._busy)
            else:
                connection.execute("BEGIN")
            try:
                result = work(connection)
                connection.execute("COMMIT")
                return result
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise
        except sqlite3.Error as error:
            self._drop()
            raise StoreError(f"database {self._path}: {error}") from error

    def _truncate_log(self) -> bool:
        try:
            busy, _, _ = (self._connection or self._open()).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError:  # a lock, or the disk
            return False
        return not busy

    def _open(self) -> sqlite3.Connection:
        # Made by the database's migration; a file made here would have the wrong mode and no tables.
        connection = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode=rw", uri=True, timeout=self._busy, isolation_level=None
        )
        for pragma in PROMISES:
            connection.execute(pragma)
        if self._writer:
            connection.execute("PRAGMA busy_timeout = 0")  # `begin_writing` waits
        else:
            connection.execute("PRAGMA query_only = ON")
        self._connection = connection
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
