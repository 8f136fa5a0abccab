"""The database on PostgreSQL keeps the promises of the one on SQLite, and its trouble is a StoreError that passes."""

from __future__ import annotations

import asyncio

import pytest

from dmarcworks.bindings.open import open_database
from dmarcworks.errors import SettingsError, StoreError
from tests.support.database import HEAD, count, put
from tests.support.postgres import PostgresServer, fresh
from tests.support.waiting import wait_until


async def test_processes_that_start_at_once_migrate_once(postgres: str) -> None:
    """Each ends with the schema."""
    url = await fresh(postgres)
    databases = [open_database(url) for _ in range(3)]
    assert await asyncio.gather(*(database.migrate() for database in databases)) == [HEAD] * 3
    for database in databases:
        await database.close()


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

    async def counted() -> int:
        try:
            return await count(database)
        except StoreError:
            return 0

    assert await wait_until(counted, "the database back") == 1
    await database.close()
    server.stop()
    with pytest.raises(SettingsError) as wrong:
        open_database("postgresql://test:geheim@host:port/x")
    assert "geheim" not in str(wrong.value)
