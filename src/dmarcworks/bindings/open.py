"""URL scheme → implementation. An unknown scheme or an impossible path is a `SettingsError` that lists the schemes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Table
from sqlalchemy.exc import ArgumentError

from dmarcworks.bindings.contracts import KV, Analytics, Database, Objects, TableCopies
from dmarcworks.bindings.folder import FolderObjects
from dmarcworks.bindings.kv import SqlKV
from dmarcworks.bindings.queue import SqlQueue
from dmarcworks.bindings.sqlite import SqliteDatabase
from dmarcworks.bindings.sqlite_stores import SqliteKV, SqliteQueue
from dmarcworks.bindings.table_copies import SqlTableCopies
from dmarcworks.errors import SettingsError
from dmarcworks.process.clock import clock

__all__ = [
    "absent_analytics",
    "open_analytics",
    "open_database",
    "open_kv",
    "open_objects",
    "open_queue",
    "open_table_copies",
]

_KINDS = {
    "DMARCWORKS_DATABASE_URL": "sqlite and postgresql",
    "DMARCWORKS_OBJECTS_URL": "file",
    "DMARCWORKS_ANALYTICS_URL": "chdb",
}


def open_database(url: str) -> Database:
    """`sqlite:///path`, three slashes and a path as it is: absolute paths make four; or `postgresql://…`."""
    if url.startswith(("postgresql://", "postgres://")):
        return _postgres(url)
    return SqliteDatabase(_path("DMARCWORKS_DATABASE_URL", url, "sqlite:///", "sqlite:////var/lib/dmarcworks.db"))


def _postgres(url: str) -> Database:
    # Imported only where it is used: most data directories use SQLite.
    from dmarcworks.bindings.postgres import PostgresDatabase

    try:
        return PostgresDatabase("postgresql" + url[url.index("://") :])
    except (ArgumentError, ValueError):
        # The text of the driver's error may hold the password.
        raise SettingsError(
            "DMARCWORKS_DATABASE_URL is no PostgreSQL URL; like this: postgresql://user:password@host:5432/dmarcworks"
        ) from None


def open_kv(database: Database) -> KV:
    """KV on the database."""
    return SqliteKV(database, clock) if isinstance(database, SqliteDatabase) else SqlKV(database, clock)


def open_queue(database: Database) -> SqlQueue:
    """The queues on the database; one object per process, so that its `send` wakes its `wait`."""
    if isinstance(database, SqliteDatabase):
        return SqliteQueue(database, clock)
    from dmarcworks.bindings.postgres import PostgresDatabase
    from dmarcworks.bindings.postgres_queue import PostgresQueue

    return PostgresQueue(database, clock) if isinstance(database, PostgresDatabase) else SqlQueue(database, clock)


def open_table_copies(database: Database, catalogue: Sequence[Table]) -> TableCopies:
    """The whole database for backup and restore: `catalogue` are its tables besides those of KV and Queue."""
    return SqlTableCopies(database, catalogue)


def open_objects(url: str) -> Objects:
    """`file:///absolute/path` of a folder, made when it is missing."""
    return FolderObjects(_absolute("DMARCWORKS_OBJECTS_URL", url, "file://", "file:///var/lib/dmarcworks/objects"))


def open_analytics(url: str) -> Analytics:
    """`chdb:///absolute/path` of a folder that only this process holds. Takes a second: call it in a thread."""
    path = _absolute("DMARCWORKS_ANALYTICS_URL", url, "chdb://", "chdb:///var/lib/dmarcworks/analytics")
    if "?" in str(path):
        raise SettingsError(f"DMARCWORKS_ANALYTICS_URL: the engine takes no '?' in a path: {str(path)!r}")
    # Imported only where an engine is wanted: it costs 200 MB, which a command without analytics need not pay.
    from dmarcworks.bindings.chdb import ChdbAnalytics

    return ChdbAnalytics(path)


def absent_analytics() -> Analytics:
    """For a process that only accepts mail: an embedded store belongs to another one. Every call is a `StoreError`."""
    from dmarcworks.bindings.absent import AbsentAnalytics

    return AbsentAnalytics()


def _path(setting: str, url: str, start: str, example: str) -> Path:
    if not url.startswith(start):
        scheme = url.partition("://")[0] if "://" in url else url
        raise SettingsError(f"{setting}: no store is called {scheme!r}; there is {_KINDS[setting]}: {example}")
    path = url[len(start) :]
    if not path or "\0" in path or path.startswith(":"):
        raise SettingsError(f"{setting}: {url!r} names no path; like this: {example}")
    return Path(path)


def _absolute(setting: str, url: str, start: str, example: str) -> Path:
    path = _path(setting, url, start, example)
    if not path.is_absolute():
        raise SettingsError(f"{setting}: {url!r} needs an absolute path; like this: {example}")
    return path
