"""INSERT … ON CONFLICT, which SQLite and PostgreSQL have in the same form and SQLAlchemy in two modules.

Imported for the dialect in use alone: most processes never need PostgreSQL's, which takes as long as a short command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Table

if TYPE_CHECKING:
    from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
    from sqlalchemy.dialects.sqlite import Insert as SqliteInsert

__all__ = ["upsert"]


def upsert(dialect: str, table: Table) -> SqliteInsert | PostgresInsert:
    """An insert into the table that can state what to do on a conflict."""
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)
