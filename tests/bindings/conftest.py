"""Every contract's implementations by name: a later form adds a parameter and its opener here, and nothing else."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from dmarcworks.bindings.chdb import ChdbAnalytics
from dmarcworks.bindings.contracts import Analytics, Database, Objects
from dmarcworks.bindings.folder import FolderObjects
from dmarcworks.bindings.open import open_database
from dmarcworks.bindings.sqlite import SqliteDatabase
from tests.support.postgres import Clock, PostgresServer, fresh


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = SqliteDatabase(tmp_path / "test.db", busy=2.0)
    await opened.migrate()
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of its own, for this run; the URL of an empty database server."""
    server = PostgresServer(tmp_path_factory.mktemp("postgres"))
    if not server.start():
        pytest.skip(f"no PostgreSQL server can be started here: {server.why}")
    yield server.url
    server.stop()


@pytest_asyncio.fixture(params=["sqlite", "postgresql"])
async def any_database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """Every form of the database, migrated and empty."""
    if request.param == "sqlite":
        opened = open_database(f"sqlite:///{tmp_path / 'test.db'}")
    else:
        opened = open_database(await fresh(request.getfixturevalue("postgres")))
    await opened.migrate()
    yield opened
    await opened.close()


@pytest_asyncio.fixture(params=["folder"])
async def objects(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Objects]:
    opened = {"folder": lambda: FolderObjects(tmp_path / "objects")}[request.param]()
    yield opened
    await opened.close()


@pytest_asyncio.fixture(params=["chdb"])
async def analytics(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Analytics]:
    opened = await asyncio.to_thread({"chdb": lambda: ChdbAnalytics(tmp_path / "analytics")}[request.param])
    yield opened
    await opened.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB; needs the right to mount."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
