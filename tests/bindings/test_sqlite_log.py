"""Promise: the write-ahead log of an idle database takes no space, and nothing that was committed is lost by it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from sqlalchemy import text

from dmarcworks.bindings.sqlite import SqliteDatabase
from tests.support.waiting import wait_until

PUT = text("INSERT INTO kv (key, value) VALUES (:key, zeroblob(1000000))")


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = SqliteDatabase(tmp_path / "test.db", busy=2.0, idle=0.02)
    await opened.migrate()
    yield opened
    await opened.close()


def log_bytes(database: SqliteDatabase) -> int:
    return database.path.with_name(f"{database.path.name}-wal").stat().st_size


async def fill(database: SqliteDatabase, first: int, count: int) -> None:
    """One transaction, so that the log is long before anything looks at it."""
    async with database.write() as connection:
        for number in range(first, first + count):
            await connection.execute(PUT, {"key": b"%d" % number})


async def values(database: SqliteDatabase) -> int:
    async with database.read() as connection:
        return int(
            (await connection.execute(text("SELECT count(*) FROM kv WHERE length(value) = 1000000"))).scalar_one()
        )


async def test_the_log_is_emptied_once_the_database_is_idle(database: SqliteDatabase) -> None:
    await fill(database, 0, 10)
    await wait_until(lambda: log_bytes(database) == 0, "the log emptied")
    assert await values(database) == 10
    # And again after the next burst.
    await fill(database, 10, 5)
    await wait_until(lambda: log_bytes(database) == 0, "the log emptied again")
    assert await values(database) == 15
    assert database.path.stat().st_size > 15_000_000


async def test_a_reader_in_the_way_only_postpones_it(database: SqliteDatabase) -> None:
    """A reader keeps its view of the data; when it ends the log is emptied."""
    async with database.read() as reader:
        count = text("SELECT count(*) FROM kv WHERE length(value) = 1000000")
        assert (await reader.execute(count)).scalar_one() == 0
        await fill(database, 0, 10)
        async with database.write() as connection:
            await connection.execute(PUT, {"key": b"more"})
        assert (await reader.execute(count)).scalar_one() == 0
        assert log_bytes(database) > 10_000_000
    await wait_until(lambda: log_bytes(database) == 0, "the log emptied")
    assert await values(database) == 11


async def test_many_writes_keep_the_log(database: SqliteDatabase) -> None:
    """While more than a few writes come, nobody waits for the log to be emptied: it is looked at again later."""
    log = database._log
    looks = 0
    original = log._truncate

    def counted():  # type: ignore[no-untyped-def]
        nonlocal looks
        looks += 1
        return original()

    log._truncate = counted
    await fill(database, 0, 10)
    looks = 0
    log._writes += 1000
    log._look()
    assert looks == 0
    await wait_until(lambda: looks >= 1 and log_bytes(database) == 0, "the log emptied")


async def test_the_file_is_whole_afterwards(database: SqliteDatabase) -> None:
    await fill(database, 0, 10)
    await wait_until(lambda: log_bytes(database) == 0, "the log emptied")
    with sqlite3.connect(database.path) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert other.execute("SELECT count(*) FROM kv").fetchone()[0] >= 10
