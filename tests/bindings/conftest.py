"""Every contract's implementations by name: a later form adds a parameter and its opener here, and nothing else."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from dmarcworks.bindings.chdb import ChdbAnalytics
from dmarcworks.bindings.contracts import Analytics, Database, Objects
from dmarcworks.bindings.objects import FolderObjects
from dmarcworks.bindings.sql import SqliteDatabase


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture(params=["sqlite"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    opened = {"sqlite": lambda: SqliteDatabase(tmp_path / "test.db", busy=2.0)}[request.param]()
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
        if os.environ.get("DMARCWORKS_TEST_ALL") == "1":
            pytest.fail(f"no small disk: {made.stderr.decode().strip()}")
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take every byte that is left on the folder's disk; the file that holds them."""
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue
    return filler
