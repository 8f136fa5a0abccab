"""The whole database read at one moment and replaced in one transaction, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, delete, insert, select, text

from dmarcworks.bindings import tables
from dmarcworks.bindings.contracts import Database, TableReplacement, TableSnapshot

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["SqlTableCopies"]

_ROWS = 500


class SqlTableCopies:
    """The contract TableCopies on `database`: the tables of KV and Queue, and the catalogue's."""

    def __init__(self, database: Database, catalogue: Sequence[Table]) -> None:
        self._database = database
        self._tables = {table.name: table for table in (*tables.metadata.sorted_tables, *catalogue)}

    @property
    def tables(self) -> Sequence[str]:
        """The names of all tables; a table stands after those that it refers to."""
        return tuple(self._tables)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[TableSnapshot]:
        """Read every table as of one moment, while others write."""
        async with self._database.read() as connection:
            if connection.dialect.name == "postgresql":
                # A transaction of SQLite sees one moment anyway.
                await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            yield _SqlSnapshot(connection, self._tables, await _revision(connection))

    @asynccontextmanager
    async def replacement(self) -> AsyncIterator[TableReplacement]:
        """Replace everything in one transaction: it commits at the end of the block, or nothing has changed."""
        async with self._database.write() as connection:
            yield _SqlReplacement(connection, self._tables, await _revision(connection))


class _SqlSnapshot:
    def __init__(self, connection: AsyncConnection, tables: Mapping[str, Table], revision: str) -> None:
        self.revision = revision
        self._connection = connection
        self._tables = tables

    async def rows(self, table: str) -> Sequence[dict[str, Any]]:
        rows = (await self._connection.execute(select(self._tables[table]))).all()
        return [dict(row._mapping) for row in rows]


class _SqlReplacement:
    def __init__(self, connection: AsyncConnection, tables: Mapping[str, Table], revision: str) -> None:
        self.revision = revision
        self._connection = connection
        self._tables = tables

    async def clear(self) -> None:
        for table in reversed(tuple(self._tables.values())):
            await self._connection.execute(delete(table))

    async def fill(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        for start in range(0, len(rows), _ROWS):
            await self._connection.execute(insert(self._tables[table]), [*rows[start : start + _ROWS]])
        await self._count_on(self._tables[table])

    async def put(self, key: str, value: str) -> None:
        name = key.encode()
        await self._connection.execute(delete(tables.kv).where(tables.kv.c.key == name))
        await self._connection.execute(insert(tables.kv).values(key=name, value=value.encode()))

    async def _count_on(self, table: Table) -> None:
        """Make PostgreSQL's sequence continue after the highest number that was inserted; SQLite's does so by
        itself."""
        if self._connection.dialect.name == "postgresql" and table.autoincrement_column is not None:
            column = table.autoincrement_column.name
            await self._connection.execute(
                text(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column}'), max({column}))"  # noqa: S608 - ours
                    f" FROM {table.name} HAVING max({column}) IS NOT NULL"
                )
            )


async def _revision(connection: AsyncConnection) -> str:
    return str((await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one())
