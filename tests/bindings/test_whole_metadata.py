"""Promise: who copies the catalogue's tables, such as a backup, sees all of them, whatever else was imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sqlalchemy import text

from dmarcworks.bindings.sqlite import SqliteDatabase
from tests.support.system import SOURCE

NAMES = "from dmarcworks.upkeep.backup.create import catalogue; print(*sorted(catalogue.tables))"
# The tables of the bindings have metadata of their own, which the copies include.
BINDINGS = {"alembic_version", "kv", "queue"}


async def test_the_metadata_has_every_table_of_the_schema(tmp_path: Path) -> None:
    """In a process that imports nothing but the backup."""
    database = SqliteDatabase(tmp_path / "catalogue.db")
    await database.migrate()
    async with database.read() as connection:
        rows = await connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))
        there = {row.name for row in rows if not row.name.startswith("sqlite_")}
    await database.close()
    command = [sys.executable, "-c", NAMES]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(SOURCE)})
    assert there - set(done.stdout.split()) == BINDINGS
