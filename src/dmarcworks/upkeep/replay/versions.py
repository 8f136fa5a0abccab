"""Versions of the report tables: a second set next to the active one, filled in the background and swapped in one step.

A version is made `AS` the table it is for, so that columns, codecs and projections are the same ones. The engine's UUID
distinguishes the two tables, so that a swap that a crash interrupted can be finished.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from dmarcworks.analytics.tables import TABLES
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.upkeep.verify.figures import literal, table_name

__all__ = ["columns", "copy", "create", "drop", "exchange", "keys_beyond", "partitions", "uuids", "version_of"]

# An insert is one block, so that a report is there whole or not at all.
_ONE_BLOCK = (
    "SETTINGS min_insert_block_size_rows = 1099511627776, min_insert_block_size_bytes = 0, max_insert_threads = 1,"
    " max_partitions_per_insert_block = 0"
)
_COPIED_AT_ONCE = 500


def version_of(table: str, version: str) -> str:
    """The name of the table's version."""
    return table_name(f"{table}_v{version}")


def columns(table: str) -> str:
    """The stored columns of a table, in order and quoted, for a statement."""
    return ", ".join(f"`{column.name}`" for column in TABLES[table].columns)


async def uuids(analytics: Analytics) -> dict[str, str]:
    """The UUID of each table and version that there is."""
    answer = await analytics.query(
        "SELECT name, toString(uuid) AS id FROM system.tables WHERE database = currentDatabase()"
    )
    return {row["name"]: row["id"] for row in map(json.loads, answer.splitlines())}


async def shape(analytics: Analytics, table: str) -> list[str]:
    """The table's columns and types, to compare two tables by."""
    answer = await analytics.query(
        "SELECT concat(name, ' ', type) AS shape FROM system.columns"
        " WHERE database = currentDatabase() AND table = {table:String} ORDER BY position",
        {"table": table},
    )
    return [row["shape"] for row in map(json.loads, answer.splitlines())]


async def create(analytics: Analytics, version: str) -> None:
    """Make the version's empty tables; those of the same name go first."""
    for table in TABLES:
        await analytics.execute(f"DROP TABLE IF EXISTS {version_of(table, version)} SYNC")
        await analytics.execute(f"CREATE TABLE {version_of(table, version)} AS {table_name(table)}")


async def drop(analytics: Analytics, version: str) -> None:
    """Drop the version's tables."""
    for table in TABLES:
        await analytics.execute(f"DROP TABLE IF EXISTS {version_of(table, version)} SYNC")


async def exchange(analytics: Analytics, table: str, version: str) -> None:
    """Swap the table and its version atomically: a query sees one or the other."""
    await analytics.execute(f"EXCHANGE TABLES {table_name(table)} AND {version_of(table, version)}")


async def partitions(analytics: Analytics, table: str) -> list[int]:
    """The table's partitions, as YYYYMM."""
    answer = await analytics.query(f"SELECT DISTINCT toYYYYMM(day) FROM {table_name(table)}", format="TabSeparated")  # noqa: S608 - a table of ours
    return sorted(int(line) for line in answer.split())


async def keys_beyond(analytics: Analytics, source: str, target: str) -> list[str]:
    """The reports that `source` holds and `target` does not."""
    answer = await analytics.query(
        f"SELECT DISTINCT report_key FROM {table_name(source)}"  # noqa: S608 - tables of ours
        f" WHERE report_key NOT IN (SELECT report_key FROM {table_name(target)})"
    )
    return sorted(json.loads(line)["report_key"] for line in answer.splitlines())


async def copy(analytics: Analytics, table: str, source: str, target: str, keys: Sequence[str]) -> None:
    """The rows of these reports from one version of `table` to another."""
    names = columns(table)
    for start in range(0, len(keys), _COPIED_AT_ONCE):
        some = ", ".join(map(literal, keys[start : start + _COPIED_AT_ONCE]))
        await analytics.execute(
            f"INSERT INTO {table_name(target)} ({names}) {_ONE_BLOCK}"  # noqa: S608 - names of ours, keys as literals
            f" SELECT {names} FROM {table_name(source)} WHERE report_key IN ({some})"
        )
