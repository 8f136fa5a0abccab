"""Promise of the database: a write is whole and durable or not at all, and trouble is a StoreError that passes."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from dmarcworks.bindings.bulk_insert import add
from dmarcworks.bindings.contracts import Database, OutgoingMessage
from dmarcworks.bindings.queue import SqlQueue
from dmarcworks.bindings.sqlite import SqliteDatabase
from dmarcworks.bindings.tables import kv
from dmarcworks.bindings.tables import metadata as ours
from dmarcworks.bindings.text_values import text_values
from dmarcworks.catalogue.mail_tables import metadata as catalogue
from dmarcworks.errors import SettingsError, StoreError
from tests.support.database import HEAD, PUT, count, put
from tests.support.postgres import fill


async def test_the_migrated_schema_is_the_one_that_the_code_means(any_database: Database) -> None:
    """Migrations and metadata agree in every table, column, key and index; a second migration changes nothing."""
    assert isinstance(any_database, Database)

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, [ours, catalogue]))  # type: ignore[arg-type]

    async with any_database.read() as connection:
        assert await connection.run_sync(differences) == []
    assert await any_database.migrate() == HEAD


async def test_processes_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    """Server and commands may meet at an empty home: each ends with the schema."""
    script = f"""
import asyncio
from pathlib import Path
from dmarcworks.bindings.sqlite import SqliteDatabase
print(asyncio.run(SqliteDatabase(Path({str(tmp_path / "test.db")!r})).migrate()))
"""
    started = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(3)
    ]
    assert [process.communicate(timeout=60)[0].strip() for process in started] == [HEAD] * 3


async def test_a_database_of_a_newer_version_is_not_touched(any_database: Database) -> None:
    """A revision that this version does not know is an error that says so."""
    async with any_database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsError, match="newer"):
        await any_database.migrate()


async def test_a_failed_block_leaves_nothing(any_database: Database) -> None:
    """Any error rolls the block back; a constraint stays what it is; a reader cannot write; the next write works."""

    async def fail() -> None:
        async with any_database.write() as connection:
            await connection.execute(PUT, {"key": b"a", "value": b""})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await count(any_database) == 0
    await put(any_database, b"a")
    with pytest.raises(IntegrityError):
        await put(any_database, b"a")
    with pytest.raises((DBAPIError, StoreError), match=r"read-?only"):
        async with any_database.read() as connection:
            await connection.execute(PUT, {"key": b"b", "value": b""})
    await put(any_database, b"b")
    assert await count(any_database) == 2


async def test_a_cancelled_write_leaves_nothing(database: Database) -> None:
    """A task that is cancelled inside its block holds nobody up."""

    inside = asyncio.Event()

    async def slow() -> None:
        async with database.write() as connection:
            await connection.execute(PUT, {"key": b"a", "value": b""})
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(slow())
    await asyncio.wait_for(inside.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await put(database, b"b")
    assert await count(database) == 1


async def test_writes_cancelled_anywhere_are_whole_or_absent(database: Database) -> None:
    """Wherever a cancellation strikes, both rows are there or none, what returned is there, and writing goes on."""
    done = set()

    async def pair(n: int) -> None:
        async with database.write() as connection:
            await connection.execute(PUT, {"key": b"a%d" % n, "value": b""})
            await connection.execute(PUT, {"key": b"b%d" % n, "value": b""})
        done.add(n)

    chance = random.Random(1)
    for turn in range(15):
        tasks = [asyncio.create_task(pair(turn * 10 + n)) for n in range(6)]
        for task in tasks:
            await asyncio.sleep(chance.random() * 0.004)
            if chance.random() < 0.7:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await pair(1000)
    async with database.read() as connection:
        keys = set((await connection.execute(text("SELECT key FROM kv"))).scalars())
    pairs = {key[1:] for key in keys}
    assert keys == {side + pair for pair in pairs for side in (b"a", b"b")}
    assert {b"%d" % n for n in done} <= pairs


async def test_writers_queue_and_readers_do_not_wait(database: Database) -> None:
    """Twenty writers at once all succeed; a reader meanwhile sees what was committed before."""
    async with database.write() as connection:
        await connection.execute(PUT, {"key": b"first", "value": b""})
        assert await count(database) == 0
    await asyncio.gather(*(put(database, b"%d" % n) for n in range(20)))
    assert await count(database) == 21
    await asyncio.gather(*(count(database) for _ in range(30)))


async def test_reading_connections_cannot_write(database: Database) -> None:
    """A write through `read` is refused by the engine."""
    with pytest.raises(StoreError, match="readonly"):
        async with database.read() as connection:
            await connection.execute(PUT, {"key": b"a", "value": b""})
    await put(database, b"a")


async def test_every_connection_keeps_the_promises(database: Database) -> None:
    """WAL, synchronous=FULL (2), foreign keys on; the file is for its owner only."""
    assert isinstance(database, SqliteDatabase)
    for opened in (database.read, database.write):
        async with opened() as connection:
            found = [
                (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            ]
        assert found == ["wal", 2, 1, 2000]

    # Small writes wait by themselves (0) instead of in SQLite.
    promises = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "wal_autocheckpoint", "temp_store")
    said = await database.step(
        lambda connection: [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in promises]
    )
    assert said == ["wal", 2, 1, 0, 8000, 2]
    said = await database.keep(
        lambda connection: [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in promises]
    )
    assert said == ["wal", 2, 1, 0, 8000, 2]
    assert stat.S_IMODE(database.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("method", ["step", "keep"])
async def test_a_small_write_waits_for_another_process_too(database: Database, method: str) -> None:
    """The same for what every mail writes, in both its ways, and the next write works."""
    assert isinstance(database, SqliteDatabase)

    async def small(key: bytes) -> None:
        if method == "step":
            await database.step(lambda connection: connection.execute(PUT, {"key": key, "value": b""}))
        else:
            await database.keep(lambda connection: connection.execute(str(PUT), {"key": key, "value": b""}))

    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(small(b"a"))
    await asyncio.sleep(0.3)  # the slow writer that this test is about
    assert not waiting.done()
    other.execute("COMMIT")
    await waiting
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"test\.db.*locked") as caught:
        await small(b"b")
    assert caught.value.temporary
    other.execute("ROLLBACK")
    other.close()
    await small(b"c")
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT key FROM kv ORDER BY key"))).scalars().all() == [b"a", b"c"]


async def test_another_process_may_write_too(database: Database) -> None:
    """A lock held elsewhere is waited for; one that is held too long is a StoreError that names the file."""
    assert isinstance(database, SqliteDatabase)
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(put(database, b"a"))
    await asyncio.sleep(0.3)  # the slow writer that this test is about
    other.execute("COMMIT")
    await waiting
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"test\.db.*locked") as caught:
        await put(database, b"b")
    assert caught.value.temporary
    assert isinstance(caught.value.__cause__, OperationalError)
    other.execute("ROLLBACK")
    other.close()
    await put(database, b"b")
    assert await count(database) == 2


async def test_a_full_disk_is_a_store_error_and_passes(small_disk: Path) -> None:
    """No row is lost or half there; when there is room again the store works by itself, for the queue too."""
    database = SqliteDatabase(small_disk / "test.db")
    await database.migrate()
    queue = SqlQueue(database)

    async def send(body: dict[str, Any]) -> int:
        (number,) = await queue.send("mails", [OutgoingMessage("json", json.dumps(body).encode())])
        return number

    sent = await send({"n": 0})
    filler = fill(small_disk)
    for n in range(3):
        with pytest.raises(StoreError, match=r"test\.db.*full"):
            await put(database, b"%d" % n, b"x" * 500_000)
    results = await asyncio.gather(*(send({"x": "x" * 100_000}) for _ in range(20)), return_exceptions=True)
    assert any(isinstance(result, StoreError) for result in results)
    filler.unlink()
    await put(database, b"after", b"x" * 1000)
    await database.ping()
    accepted = {sent, *(result for result in results if isinstance(result, int)), await send({"n": 1})}
    assert {message.id for message in await queue.receive("mails", limit=100)} == accepted
    assert await count(database) == 1
    await database.close()


async def test_a_read_only_disk_is_a_store_error_and_passes(small_disk: Path) -> None:
    """A disk that is read-only at start is met with a StoreError; writable again, the same object works."""
    options = ["mount", "-o"]
    subprocess.run([*options, "remount,ro", str(small_disk)], check=True)
    database = SqliteDatabase(small_disk / "test.db")
    with pytest.raises(StoreError, match=r"test\.db"):
        await database.migrate()
    with pytest.raises(StoreError, match=r"test\.db"):
        await database.ping()
    subprocess.run([*options, "remount,rw", str(small_disk)], check=True)
    assert await database.migrate() == HEAD
    await database.ping()
    await database.close()


async def test_an_io_error_replaces_the_connection(tmp_path: Path) -> None:
    """A file size limit cuts every write short (EFBIG); lifted, the same process writes on and keeps every row."""
    script = f"""
import asyncio, resource, signal
from pathlib import Path
from dmarcworks.bindings.kv import SqlKV
from dmarcworks.bindings.sqlite import SqliteDatabase
from dmarcworks.errors import StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
async def main():
    database = SqliteDatabase(Path({str(tmp_path / "test.db")!r}))
    await database.migrate()
    kv = SqlKV(database)
    await kv.put("a", "1")
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    for _ in range(3):
        try:
            await kv.put("b", "x" * 1_000_000)
            print("taken")
        except StoreError as error:
            print("refused")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await kv.put("b", "x" * 1_000_000)
    print(await kv.get("a"), len(await kv.get("b")))
    await database.close()
asyncio.run(main())
"""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.split(), done.stderr) == (["refused"] * 3 + ["1", "1000000"], "")


async def test_a_file_that_is_no_database_is_a_store_error(tmp_path: Path) -> None:
    """Damage is told with the file's name."""
    (tmp_path / "test.db").write_bytes(b"not a database at all" * 1000)
    database = SqliteDatabase(tmp_path / "test.db")
    with pytest.raises(StoreError, match=r"test\.db: file is not a database"):
        await database.ping()
    await database.close()
    with pytest.raises(StoreError, match="none"):
        await SqliteDatabase(tmp_path / "none" / "test.db").ping()


async def test_a_step_commits_whole_or_not_at_all(any_database: Database) -> None:
    def both(connection: Connection) -> int:
        connection.execute(insert(kv).values(key=b"one", value=b"1"))
        connection.execute(insert(kv).values(key=b"two", value=b"2"))
        return 2

    def fails(connection: Connection) -> None:
        connection.execute(insert(kv).values(key=b"three", value=b"3"))
        raise LookupError("of the caller")

    assert await any_database.step(both) == 2
    with pytest.raises(LookupError, match="of the caller"):
        await any_database.step(fails)
    async with any_database.read() as connection:
        keys = (await connection.execute(select(kv.c.key).order_by(kv.c.key))).scalars().all()
    assert list(keys) == [b"one", b"two"]
    # A writer of the other kind is let in after it.
    async with any_database.write() as connection:
        await connection.execute(insert(kv).values(key=b"four", value=b"4"))


async def test_rows_added_together_are_read_as_they_were(any_database: Database) -> None:
    snow = "\N{SNOWMAN}".encode()
    rows = [{"key": b"a%d" % number, "value": snow, "expiration": number or None} for number in range(3)]
    await any_database.step(lambda connection: add(connection, kv, rows))
    await any_database.step(lambda connection: add(connection, kv, []))
    async with any_database.read() as connection:
        found = (await connection.execute(select(kv).order_by(kv.c.key))).all()
    assert [(row.key, row.value.decode(), row.expiration, row.metadata) for row in found] == [
        (b"a0", "\N{SNOWMAN}", None, None),
        (b"a1", "\N{SNOWMAN}", 1, None),
        (b"a2", "\N{SNOWMAN}", 2, None),
    ]


async def test_many_texts_are_one_parameter(any_database: Database) -> None:
    texts = ["a", "", "é🙂", "'; --", '"\\', "a" * 1000, *map(str, range(40_000))]
    async with any_database.read() as connection:
        rows = (await connection.execute(text_values(connection.dialect.name, texts))).scalars().all()
        assert list(rows) == texts
        assert (await connection.execute(text_values(connection.dialect.name, []))).all() == []
