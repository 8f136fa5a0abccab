"""The migrations of the store: what brings a store of any earlier version up to date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from dmarcworks.analytics.system import SYSTEM
from dmarcworks.analytics.tables import (
    ADDRESS,
    DAILY,
    DATA_POINTS,
    DECIDED,
    DMARC_REPORTS,
    ENRICHED,
    GATHER,
    NOBODY,
    QUERYABLE_TABLES,
    QUIET,
    REBUILD,
    TABLES,
)
from dmarcworks.bindings.contracts import Analytics

__all__ = ["migrate"]


@dataclass(frozen=True, slots=True)
class _Migration:
    version: int
    name: str
    statements: tuple[str, ...]


_DAILY_SUMS = (
    f"ALTER TABLE {DMARC_REPORTS.name} ADD {DAILY.ddl().replace(' ', ' IF NOT EXISTS ', 1)}",
    # The engine builds it after the start: until it is built, the engine sums the rows themselves, to the same figures.
    f"ALTER TABLE {DMARC_REPORTS.name} MATERIALIZE PROJECTION {DAILY.name} SETTINGS mutations_sync = 0",
)
_POINTS, _NEW_POINTS = DATA_POINTS.name, DATA_POINTS.named("data_points_new")
_WHOSE = f"LowCardinality(String) DEFAULT '{NOBODY}'"
_POINT_COLUMNS = ", ".join(column.name for column in DATA_POINTS.columns)
# A released migration is never edited; a change of the schema appends one. A fresh store is made as the newest one is,
# so that each that follows finds nothing to do in it.
_MIGRATIONS = (
    _Migration(1, "reports", tuple(table.create for table in TABLES.values())),
    _Migration(
        2,
        "daily sums",
        (
            *(f"ALTER TABLE {name} MODIFY SETTING {REBUILD}" for name in TABLES),
            *_DAILY_SUMS,
        ),
    ),
    _Migration(
        3,
        "daily sums in 128 bits",
        (
            f"ALTER TABLE {DMARC_REPORTS.name} DROP PROJECTION IF EXISTS daily",
            *_DAILY_SUMS,
        ),
    ),
    # The table was created at the first point and had no account column. After a crash in between, all of it runs
    # again.
    _Migration(
        4,
        "data points of accounts",
        (
            DATA_POINTS.create,
            f"ALTER TABLE {_POINTS} ADD COLUMN IF NOT EXISTS account_id {_WHOSE}",
            f"ALTER TABLE {_POINTS} ADD COLUMN IF NOT EXISTS domain_id LowCardinality(String)",
            f"DROP TABLE IF EXISTS {_NEW_POINTS.name} SYNC",
            _NEW_POINTS.create,
            f"INSERT INTO {_NEW_POINTS.name} ({_POINT_COLUMNS}) SELECT {_POINT_COLUMNS} FROM {_POINTS}",  # noqa: S608 - our names
            f"EXCHANGE TABLES {_POINTS} AND {_NEW_POINTS.name}",
            f"DROP TABLE {_NEW_POINTS.name} SYNC",
        ),
    ),
    _Migration(
        5, "quiet months in one part", tuple(f"ALTER TABLE {name} MODIFY SETTING {QUIET}" for name in QUERYABLE_TABLES)
    ),
    _Migration(
        6, "ten parts in a merge", tuple(f"ALTER TABLE {name} MODIFY SETTING {GATHER}" for name in QUERYABLE_TABLES)
    ),
    # Existing data is repacked when its part is merged.
    _Migration(7, "addresses quick to read", (f"ALTER TABLE {DMARC_REPORTS.name} MODIFY COLUMN {ADDRESS.ddl()}",)),
    _Migration(8, "identity of the system", (SYSTEM,)),
    # After their neighbours, so that a table has the same columns in the same order as a fresh one.
    _Migration(
        9,
        "names of sources",
        tuple(
            f"ALTER TABLE {DMARC_REPORTS.name} ADD COLUMN IF NOT EXISTS {column.ddl()} AFTER {before}"
            for before, column in zip(("asn", *(one.name for one in ENRICHED)), ENRICHED, strict=False)
        ),
    ),
    _Migration(
        10,
        "decisions about senders",
        tuple(
            f"ALTER TABLE {DMARC_REPORTS.name} ADD COLUMN IF NOT EXISTS {column.ddl()} AFTER {before}"
            for before, column in zip((ENRICHED[-1].name, DECIDED[0].name), DECIDED, strict=True)
        ),
    ),
)
_VERSIONS = (
    "CREATE TABLE IF NOT EXISTS schema_versions (version UInt32, name String, applied DateTime64(3, 'UTC'))"
    " ENGINE = MergeTree ORDER BY version SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
)


async def migrate(analytics: Analytics) -> int:
    """Bring the store up to date and return its version. Safe to repeat, also after a crash half-way."""
    await analytics.execute(_VERSIONS)
    answer = await analytics.query("SELECT max(version) FROM schema_versions", format="TabSeparated")
    version = int(answer.strip() or 0)
    for migration in _MIGRATIONS:
        if migration.version <= version:
            continue
        for statement in migration.statements:
            await analytics.execute(statement)
        applied = pa.table(
            {
                "version": pa.array([migration.version], pa.uint32()),
                "name": pa.array([migration.name], pa.string()),
                "applied": pa.array([datetime.now(UTC)], pa.timestamp("ms", tz="UTC")),
            }
        )
        await analytics.insert("schema_versions", applied)
        version = migration.version
    return version
