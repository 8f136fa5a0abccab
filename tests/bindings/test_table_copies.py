"""Promise of TableCopies: one moment is read while others write; everything is replaced, or nothing."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect

from dmarcworks.bindings.contracts import Database, TableCopies
from dmarcworks.bindings.open import open_table_copies
from dmarcworks.catalogue import tables
from dmarcworks.catalogue.mail_tables import metadata
from tests.support.postgres import Clock
from tests.support.queues import NAME, bodies, new_kv, new_queue, send


@pytest.fixture
def copies(any_database: Database) -> TableCopies:
    return open_table_copies(any_database, metadata.sorted_tables)


async def test_every_table_of_the_schema_is_copied(any_database: Database, copies: TableCopies) -> None:
    """None is forgotten but Alembic's own, and a table stands after those that it refers to."""
    assert isinstance(copies, TableCopies)
    async with any_database.read() as connection:
        there = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    assert sorted(copies.tables) == sorted({*there} - {"alembic_version"})
    order = {name: place for place, name in enumerate(copies.tables)}
    for table in metadata.sorted_tables:
        for key in table.foreign_keys:
            assert order[key.column.table.name] <= order[table.name]


async def test_a_snapshot_is_of_one_moment(any_database: Database, copies: TableCopies, clock: Clock) -> None:
    """What is committed after its first read is not in it."""
    kv, queue = new_kv(any_database, clock), new_queue(any_database, clock)
    await kv.put("a", "1")
    async with copies.snapshot() as snapshot:
        assert snapshot.revision == await any_database.migrate()
        assert [row["key"] for row in await snapshot.rows("kv")] == [b"a"]
        await kv.put("b", "2")
        await send(queue, "late")
        assert [row["key"] for row in await snapshot.rows("kv")] == [b"a"]
        assert await snapshot.rows("queue") == []
    async with copies.snapshot() as snapshot:
        assert len(await snapshot.rows("kv")) == 2


async def test_everything_is_replaced_and_numbers_go_on(
    any_database: Database, copies: TableCopies, clock: Clock
) -> None:
    """Rows come back as they were, more than a page of them; what came after goes; a new message has a new number."""
    kv, queue = new_kv(any_database, clock), new_queue(any_database, clock)
    await kv.put("a", "ü", metadata={"n": 1})
    numbers = [await send(queue, number) for number in range(3)]
    async with any_database.write() as connection:
        rows = [{"id": f"{number:032x}", "name": f"n{number}", "created": 1.0} for number in range(1201)]
        await connection.execute(tables.accounts.insert(), rows)
    async with copies.snapshot() as snapshot:
        kept, revision = {table: await snapshot.rows(table) for table in copies.tables}, snapshot.revision
    assert len(kept["accounts"]) == 1201
    await kv.put("later", "x")
    await queue.receive(NAME, limit=1)
    async with copies.replacement() as replacement:
        assert replacement.revision == revision
        await replacement.clear()
        for table in copies.tables:
            await replacement.fill(table, kept[table])
        await replacement.put("a", "marked")
        await replacement.put("new", "marked too")
    async with copies.snapshot() as snapshot:
        for table in set(copies.tables) - {"kv"}:
            assert await snapshot.rows(table) == kept[table]
    assert await kv.get_with_metadata("a") == ("marked", None)
    assert (await kv.get("new"), await kv.get("later")) == ("marked too", None)
    assert await send(queue, "next") > max(numbers)
    assert bodies(await queue.receive(NAME)) == [0, 1, 2, "next"]


async def test_a_replacement_that_fails_changes_nothing(
    any_database: Database, copies: TableCopies, clock: Clock
) -> None:
    kv, queue = new_kv(any_database, clock), new_queue(any_database, clock)
    await kv.put("a", "1")
    await send(queue, "stays")

    async def fail() -> None:
        async with copies.replacement() as replacement:
            await replacement.clear()
            await replacement.put("b", "2")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert (await kv.get("a"), await kv.get("b")) == ("1", None)
    assert bodies(await queue.receive(NAME)) == ["stays"]
