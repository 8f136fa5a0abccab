"""The database on PostgreSQL keeps the promises of the one on SQLite, and its trouble is a StoreError that passes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from bindings.conftest import PostgresServer, fresh
from bindings.test_database import HEAD, PUT, count, put
from dmarcworks.bindings.contracts import Database, Wakes
from dmarcworks.bindings.open import open_database
from dmarcworks.bindings.tables import metadata as ours
from dmarcworks.catalogue.tables import metadata as catalogue
from dmarcworks.errors import SettingsError, StoreError


@pytest_asyncio.fixture
async def database(postgres: str) -> AsyncIterator[Database]:
    opened = open_database(await fresh(postgres))
    await opened.migrate()
    yield opened
    await opened.close()


async def test_the_migrated_schema_is_the_one_that_the_code_means(database: Database) -> None:
    """Migrations and metadata agree here too; a second migration changes nothing."""
    assert isinstance(database, Database)
    assert isinstance(database, Wakes)

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, [ours, catalogue]))  # type: ignore[arg-type]

    async with database.read() as connection:
        assert await connection.run_sync(differences) == []
    assert await database.migrate() == HEAD


async def test_processes_that_start_at_once_migrate_once(postgres: str) -> None:
    """Each ends with the schema."""
    url = await fresh(postgres)
    databases = [open_database(url) for _ in range(3)]
    assert await asyncio.gather(*(database.migrate() for database in databases)) == [HEAD] * 3
    for database in databases:
        await database.close()


async def test_a_failed_block_leaves_nothing(database: Database) -> None:
    """Any error rolls the whole block back; a constraint stays what it is; a reader cannot write."""

    async def fail() -> None:
        async with database.write() as connection:
            await connection.execute(PUT, {"key": b"a", "value": b""})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await count(database) == 0
    await put(database, b"a")
    with pytest.raises(IntegrityError):
        await put(database, b"a")
    with pytest.raises((DBAPIError, StoreError), match="read-only"):
        async with database.read() as connection:
            await connection.execute(PUT, {"key": b"b", "value": b""})
    await database.ping()
    assert await count(database) == 1


async def test_a_database_of_a_newer_version_is_not_touched(database: Database) -> None:
    """A revision that this version does not know is an error that says so."""
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsError, match="newer"):
        await database.migrate()


async def test_a_server_that_is_away_is_a_store_error_and_comes_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Stopped in the middle: told without the password; started again: the same database goes on."""
    server = PostgresServer(tmp_path_factory.mktemp("away"))
    if not server.start():
        pytest.skip(f"no PostgreSQL server can be started here: {server.why}")
    url = await fresh(server.url)
    database = open_database(url.replace("test@", "test:geheim@"))
    await database.migrate()
    await put(database, b"a")
    server.stop()
    with pytest.raises(StoreError) as away:
        await count(database)
    with pytest.raises(StoreError):
        await database.ping()
    assert "geheim" not in str(away.value)
    assert server.boot()
    async with asyncio.timeout(30):
        while True:
            try:
                assert await count(database) == 1
                break
            except StoreError:
                await asyncio.sleep(0.1)
    await database.close()
    server.stop()
    with pytest.raises(SettingsError) as wrong:
        open_database("postgresql://test:geheim@host:port/x")
    assert "geheim" not in str(wrong.value)
