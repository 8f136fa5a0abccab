"""Many rows into a table by one statement, without a library's work on each of them where the database allows it.

SQLite takes the values as they are (text, numbers, truth, None); its statement is made once for a table and columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table, insert

__all__ = ["add"]


def add(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows, which all have the same columns; none when there are none."""
    if not rows:
        return
    if connection.dialect.name != "sqlite":
        connection.execute(insert(table), list(rows))
        return
    names = tuple(rows[0])
    connection.exec_driver_sql(_statement(table, names), [tuple([row[name] for name in names]) for row in rows])


@lru_cache(maxsize=64)
def _statement(table: Table, names: tuple[str, ...]) -> str:
    unknown = [name for name in names if name not in table.c]
    if unknown:
        raise KeyError(f"{table.name} has no column {unknown[0]}")
    columns = ", ".join(f'"{name}"' for name in names)
    return f'INSERT INTO "{table.name}" ({columns}) VALUES ({", ".join("?" * len(names))})'  # noqa: S608 - our names
