"""Small statements on the database of a test."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from dmarcworks.bindings.contracts import Database

VERSIONS = Path(__file__).parents[2] / "src" / "dmarcworks" / "bindings" / "migrations" / "versions"
HEAD = max(path.name.partition("_")[0] for path in VERSIONS.glob("0*.py"))
PUT = text("INSERT INTO kv (key, value) VALUES (:key, :value)")
COUNT = text("SELECT count(*) FROM kv")


async def count(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.execute(COUNT)).scalar_one())


async def put(database: Database, key: bytes, value: bytes = b"") -> None:
    async with database.write() as connection:
        await connection.execute(PUT, {"key": key, "value": value})
