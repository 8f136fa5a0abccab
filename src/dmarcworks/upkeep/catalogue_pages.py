"""The catalogue for upkeep: whole rows in key order, a page at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, func, select, update
from sqlalchemy.engine import Row

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import tables

__all__ = ["count", "mark_published", "pages", "reports"]


async def count(database: Database, table: Table, *where: ColumnElement[bool]) -> int:
    """How many rows there are."""
    async with database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(table).where(*where))).scalar_one())


async def pages(
    database: Database, table: Table, by: str, *where: ColumnElement[bool], size: int, after: Any = None
) -> AsyncIterator[Sequence[Row[Any]]]:
    """The table's rows by the column `by`, which is unique, in pages, each as it is when it is read."""
    column = table.c[by]
    while True:
        statement = select(table).where(*where).order_by(column).limit(size)
        if after is not None:
            statement = statement.where(column > after)
        async with database.read() as connection:
            page = (await connection.execute(statement)).all()
        if not page:
            return
        yield page
        if len(page) < size:
            return
        after = page[-1]._mapping[by]


async def reports(database: Database, keys: Sequence[str]) -> dict[str, Row[Any]]:
    """These reports by key, as they are now."""
    rows: dict[str, Row[Any]] = {}
    for start in range(0, len(keys), 500):
        statement = select(tables.reports).where(tables.reports.c.key.in_(list(keys[start : start + 500])))
        async with database.read() as connection:
            rows |= {row.key: row for row in (await connection.execute(statement)).all()}
    return rows


async def mark_published(database: Database, keys: Sequence[str]) -> None:
    """These reports' rows are in Analytics."""
    for start in range(0, len(keys), 500):
        chosen = tables.reports.c.key.in_(list(keys[start : start + 500]))
        async with database.write() as connection:
            await connection.execute(update(tables.reports).where(chosen).values(published=True))
