"""Database on PostgreSQL through SQLAlchemy Core: any number of processes on any number of hosts.

A commit is durable when it returns (the server's synchronous_commit). Every failure of the server or of the way to it
is a `StoreError` without the password; the connection that met it is replaced. `notify` wakes every process that
`listen`s once its transaction is committed. KV and Queue use this as they use SQLite.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from dmarcworks.bindings.upgrade import upgrade
from dmarcworks.errors import StoreError
from dmarcworks.process.part_of_package import import_part

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
else:
    create_async_engine = import_part("sqlalchemy.ext.asyncio", "engine").create_async_engine

__all__ = ["PostgresDatabase"]


CONNECTIONS = 10
_CONNECT_SECONDS = 5.0
_STATEMENT_SECONDS = 60.0
# One number that all our processes know: they migrate one after the other.
_MIGRATION_LOCK = 0x646D6172
_CHANNEL = "dmarcworks_{}"
_T = TypeVar("_T")


class PostgresDatabase:
    """One PostgreSQL database by its URL."""

    def __init__(self, url: str, *, connections: int = CONNECTIONS) -> None:
        parsed: URL = make_url(url)
        self._name = parsed.render_as_string(hide_password=True)
        self._engine: AsyncEngine = create_async_engine(
            parsed.set(drivername="postgresql+asyncpg"),
            pool_size=connections,
            max_overflow=connections,
            pool_timeout=_CONNECT_SECONDS * 2,
            pool_pre_ping=True,
            connect_args={"timeout": _CONNECT_SECONDS, "command_timeout": _STATEMENT_SECONDS},
        )
        self._listeners: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading (writes are refused); sees everything committed before."""
        async with self._transaction(read_only=True) as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: commits durably at the end of the block, rolls back on any error."""
        async with self._transaction(read_only=False) as connection:
            yield connection

    async def step(self, work: Callable[[Connection], _T]) -> _T:
        """A transaction like that of `write`; `work` touches nothing but the connection."""
        async with self.write() as connection:
            return await connection.run_sync(work)

    @asynccontextmanager
    async def _transaction(self, *, read_only: bool) -> AsyncIterator[AsyncConnection]:
        with self._translated():
            async with self._engine.connect() as plain:
                connection = await plain.execution_options(postgresql_readonly=read_only)
                async with connection.begin():
                    yield connection

    @contextlib.contextmanager
    def _translated(self) -> Any:
        try:
            yield
        except PoolTimeout:
            raise StoreError(f"database {self._name}: all connections are busy") from None
        except (OSError, TimeoutError) as error:
            raise StoreError(f"database {self._name}: {error or 'no answer'}") from error
        except (IntegrityError, ProgrammingError):
            raise  # a constraint or a wrong statement is the caller's business
        except DBAPIError as error:
            raise StoreError(f"database {self._name}: {error.orig}") from error

    async def migrate(self) -> str:
        """Bring the schema up to date; the revision that it has now. Two processes at once queue for it."""
        async with self.write() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
            return await connection.run_sync(upgrade, self._name)

    async def ping(self) -> None:
        """Prove that the database can be written now; `StoreError` if not."""
        async with self.write() as connection:
            # A durable write that needs no table of ours; a standby and a full disk refuse it.
            await connection.execute(text("CREATE TEMPORARY TABLE ping (one int) ON COMMIT DROP"))

    async def notify(self, connection: AsyncConnection, topic: str) -> None:
        """Wake who listens to the topic, in every process, when the connection's transaction commits."""
        await connection.execute(text("SELECT pg_notify(:channel, '')"), {"channel": _CHANNEL.format(topic)})

    def listen(self, topic: str, heard: Callable[[], None]) -> None:
        """Call `heard` at each `notify` of any process, and whenever a connection is new: something may be missed."""
        self._listeners.append(asyncio.create_task(self._listening(_CHANNEL.format(topic), heard), name="listen"))

    async def _listening(self, channel: str, heard: Callable[[], None]) -> None:
        while True:
            # Whatever ends the connection, it is made again; until then the listener's own time-out wakes it.
            with contextlib.suppress(SQLAlchemyError, OSError, TimeoutError):
                async with self._engine.connect() as connection:
                    raw = await connection.get_raw_connection()
                    driver: Any = raw.driver_connection
                    broken = asyncio.Event()
                    driver.add_termination_listener(partial(_set, broken))
                    await driver.add_listener(channel, lambda *_: heard())
                    heard()
                    try:
                        await broken.wait()
                    finally:
                        await connection.invalidate()
            await asyncio.sleep(1.0)

    async def close(self) -> None:
        """Give back the connections."""
        for task in self._listeners:
            task.cancel()
        await asyncio.gather(*self._listeners, return_exceptions=True)
        try:
            await self._engine.dispose()
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(f"database {self._name}: {error}") from error


def _set(event: asyncio.Event, *_: object) -> None:
    event.set()
