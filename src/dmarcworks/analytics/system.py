"""The id of the system that an analytics store belongs to, and whether the store holds rows of reports.

The id is a table's only row. `catalogue.system` keeps the same id in the database and in the object store.
"""

from __future__ import annotations

import pyarrow as pa

from dmarcworks.analytics.tables import TABLES
from dmarcworks.bindings.contracts import Analytics

__all__ = ["SYSTEM", "any_rows", "read_id", "write_id"]

_NAME = "system_identity"
SYSTEM = (
    f"CREATE TABLE IF NOT EXISTS {_NAME} (id String) ENGINE = MergeTree ORDER BY id"
    " SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
)


async def read_id(analytics: Analytics) -> str | None:
    """The id in the store, or None when it has none."""
    answer = await analytics.query(f"SELECT id FROM {_NAME} LIMIT 1", format="TabSeparated")  # noqa: S608 - our name
    return answer.decode().strip() or None


async def write_id(analytics: Analytics, system_id: str) -> None:
    """The id in place of any other."""
    await analytics.execute(f"TRUNCATE TABLE {_NAME}")
    await analytics.insert(_NAME, pa.table({"id": pa.array([system_id], pa.string())}))


async def any_rows(analytics: Analytics) -> bool:
    """Whether the store holds a row of any report."""
    for name in TABLES:
        if await analytics.query(f"SELECT 1 FROM {name} LIMIT 1", format="TabSeparated"):  # noqa: S608 - our names
            return True
    return False
