"""Database on SQLite through SQLAlchemy Core: many readers, one writer at a time, durable commits.

WAL with synchronous=FULL: a commit is on disk when it returns. Writers of this process queue at a lock, writers of
another process (a command next to the server) are waited for up to ten seconds. Every failure of the file (full,
read-only, locked, damaged, gone) is a `StoreError` that names it, and the connection that met it is replaced, so
that the store works again as soon as the disk does. KV and Queue use this in `kv.py` and `queue.py`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError, IntegrityError, ProgrammingError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import StaticPool

from dmarcworks.bindings.sqlite_connection import PROMISES, SqliteConnection, begin_writing
from dmarcworks.bindings.sqlite_log import IDLE_SECONDS, LogTruncation
from dmarcworks.bindings.upgrade import upgrade
from dmarcworks.errors import LostStoreError, StoreError
from dmarcworks.process.part_of_package import import_part

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
else:
    create_async_engine = import_part("sqlalchemy.ext.asyncio", "engine").create_async_engine

__all__ = ["BUSY_SECONDS", "SqliteDatabase"]

BUSY_SECONDS = 10.0
READERS = 4
_T = TypeVar("_T")


class SqliteDatabase:
    """One SQLite file. A `write` must not be opened inside another `write` of the same task: it waits for itself."""

    def __init__(self, path: Path, *, busy: float = BUSY_SECONDS, idle: float = IDLE_SECONDS) -> None:
        self.path = path
        self._busy = busy
        self._lock = asyncio.Lock()
        self._writer = self._engine(writer=True)
        self._readers = self._engine(writer=False)
        self._steps = self._prepared(
            create_engine(
                URL.create("sqlite", database=str(path)), connect_args=self._arguments(), poolclass=StaticPool
            ),
            writer=True,
            waiting=True,
        )
        self._stepping = ThreadPoolExecutor(1, thread_name_prefix="sqlite-step")
        self._reading = SqliteConnection(path, busy, writer=False)
        self._keeping = SqliteConnection(path, busy, writer=True)
        self._log = LogTruncation(path, self._keeping.truncate_log, idle)
        self._pings = 0
        self._inode: int | None = None

    def _engine(self, *, writer: bool) -> AsyncEngine:
        engine = create_async_engine(
            URL.create("sqlite+aiosqlite", database=str(self.path)),
            connect_args=self._arguments(),
            pool_size=1 if writer else READERS,
            max_overflow=0 if writer else READERS,
            pool_timeout=self._busy,
        )
        self._prepared(engine.sync_engine, writer=writer)
        return engine

    def _arguments(self) -> dict[str, Any]:
        return {"timeout": self._busy}

    def _prepared(self, engine: Engine, *, writer: bool, waiting: bool = False) -> Engine:
        """With `waiting` its thread may be held up until the write of another process is done."""

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _record: Any) -> None:
            # Transactions begin where the code begins them below, not where Python's sqlite3 guesses.
            connection.isolation_level = None
            cursor = connection.cursor()
            try:
                cursor.execute("PRAGMA journal_mode = WAL")
                for pragma in PROMISES:
                    cursor.execute(pragma)
                if not writer:
                    cursor.execute("PRAGMA query_only = ON")
                if waiting:
                    cursor.execute("PRAGMA busy_timeout = 0")
            finally:
                cursor.close()

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            # A writer that began deferred could fail at its first write however long it would be willing to wait.
            if waiting:
                begin_writing(connection.exec_driver_sql, self._busy)
            else:
                connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")

        return engine

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading (writes are refused); sees everything committed before."""
        async with self._transaction(self._readers) as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: commits durably at the end of the block, rolls back on any error."""
        async with self._lock:
            async with self._transaction(self._writer) as connection:
                yield connection
            self._log.wrote()

    async def step(self, work: Callable[[Connection], _T]) -> _T:
        """A transaction like that of `write` in one trip to a thread; `work` touches nothing but the connection."""
        async with self._lock:
            result = await asyncio.get_running_loop().run_in_executor(self._stepping, self._step, work)
            self._log.wrote()
            return result

    def _step(self, work: Callable[[Connection], _T]) -> _T:
        with self._translated():
            self._create()
            with self._steps.connect() as connection:
                try:
                    with connection.begin():
                        return work(connection)
                except DatabaseError as error:
                    if _of_the_file(error):
                        connection.invalidate()
                    raise

    async def read_step(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """A small read in one step, for what every mail reads."""
        self._same_file()
        return await self._reading.run(work)

    async def keep(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """A small write in one step: a transaction like that of `write`."""
        async with self._lock:
            self._same_file()
            result = await self._keeping.run(work)
            self._log.wrote()
            return result

    @asynccontextmanager
    async def _transaction(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        with self._translated():
            self._create()
            connection = await engine.connect()
            try:
                async with connection.begin():
                    yield connection
            except DatabaseError as error:
                if _of_the_file(error):
                    await connection.invalidate()
                raise
            finally:
                await connection.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeout:
            raise StoreError(f"database {self.path}: all connections are busy") from None
        except OSError as error:
            raise StoreError(f"database {self.path}: {error.strerror or error}") from error
        except DatabaseError as error:
            if not _of_the_file(error):
                raise
            raise StoreError(f"database {self.path}: {error.orig}") from error

    def _create(self) -> None:
        # It holds password hashes: for its owner's eyes only. SQLite gives the WAL the same mode.
        if self._inode is None:
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
            self._inode = os.stat(self.path).st_ino
        self._same_file()

    def _same_file(self) -> None:
        """`LostStoreError` when the file that was opened is no longer there.

        # Connections would continue with the removed file, and everything that they commit would be lost at the end.
        """
        if self._inode is None:
            return
        try:
            inode = os.stat(self.path).st_ino
        except FileNotFoundError:
            inode = None
        except OSError as error:
            raise StoreError(f"database {self.path}: {error.strerror}") from error
        if inode != self._inode:
            what = "removed" if inode is None else "replaced"
            raise LostStoreError(
                f"database {self.path}: the file was {what} while this process runs: put it back, or stop the server;"
                " `dmarcworks serve` then names the command that repairs it"
            )

    async def migrate(self) -> str:
        """Bring the schema up to date; the revision that it has now. Two processes at once queue for it."""
        async with self.write() as connection:
            return await connection.run_sync(upgrade, self.path)

    async def ping(self) -> None:
        """Prove that the database can be written now; `StoreError` if not."""
        self._pings = (self._pings + 1) % 1000
        async with self.write() as connection:
            # The one durable write that needs no table of ours.
            await connection.exec_driver_sql(f"PRAGMA user_version = {self._pings}")

    async def close(self) -> None:
        """Give back connections and files; what another process holds is left alone."""
        self._log.close()
        async with self._lock:
            await self._reading.close()
            await self._keeping.close()
            try:
                await self._readers.dispose()
                await self._writer.dispose()
                await asyncio.get_running_loop().run_in_executor(self._stepping, self._steps.dispose)
                self._stepping.shutdown(wait=False)
            except (SQLAlchemyError, OSError) as error:
                raise StoreError(f"database {self.path}: {error}") from error


def _of_the_file(error: DatabaseError) -> bool:
    """Whether the store failed, not the statement: a constraint or a wrong statement is the caller's business."""
    return not isinstance(error, IntegrityError | ProgrammingError)
