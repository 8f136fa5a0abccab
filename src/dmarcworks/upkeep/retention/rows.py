"""Delete old rows from Analytics: whole months where no account keeps one, else an account's rows before its day.

The catalogue marks records first, so that `verify` does not report the deleted rows as missing. Versions that a replay
left are cut too. Data points are in the engine alone.
"""

from __future__ import annotations

import calendar
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import update

from dmarcworks.analytics.tables import DATA_POINTS
from dmarcworks.catalogue import tables
from dmarcworks.upkeep.context import UpkeepContext
from dmarcworks.upkeep.replay import versions
from dmarcworks.upkeep.verify.figures import literal

__all__ = ["ROWS", "Cut", "delete_rows"]

# Accounts that one statement names.
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class _Rows:
    """A kind of rows: the tables that hold them, and the expression of a row's day (UTC)."""

    tables: re.Pattern[str]
    day: str


ROWS = {
    "records": _Rows(re.compile(r"(?:dmarc|tls)_reports(?:_v[0-9_]+)?"), "day"),
    "data_points": _Rows(re.compile(DATA_POINTS.name), "toDate(timestamp, 'UTC')"),
}


@dataclass(frozen=True, slots=True)
class Cut:
    """An account that keeps no rows about days before `day`."""

    account_id: str
    account: str
    day: date


async def delete_rows(
    context: UpkeepContext, kind: str, cuts: Sequence[Cut], dry_run: bool
) -> list[tuple[Cut, int, int]]:
    """For each cut how many rows of the kind were deleted (or would be) and their estimated bytes on disk."""
    if not cuts:
        return []
    rows = ROWS[kind]
    counted = {cut.account_id: [0, 0] for cut in cuts}
    for table in await _tables(context, rows):
        # What a replay keeps is a copy: it is deleted too, but counted once.
        if "_v" in table:
            continue
        each = await _bytes_a_row(context, table)
        for owner, old in (await _old(context, table, rows, cuts)).items():
            counted[owner][0] += old
            counted[owner][1] += round(old * each)
    if not dry_run:
        if kind == "records":
            await _mark(context, cuts)
        for table in await _tables(context, rows):
            await _delete(context, table, rows, cuts)
    return [(cut, *counted[cut.account_id]) for cut in cuts]  # type: ignore[misc]  # two numbers each


async def _tables(context: UpkeepContext, rows: _Rows) -> list[str]:
    return sorted(name for name in await versions.uuids(context.analytics) if rows.tables.fullmatch(name))


async def _mark(context: UpkeepContext, cuts: Sequence[Cut]) -> None:
    table = tables.reports.c
    async with context.stores.database.write() as connection:
        for cut in cuts:
            old = (table.account_id == cut.account_id) & (table.day < cut.day.isoformat())
            which = (
                (table.kind != "failure") & (table.state == "counted") & table.published & table.rows_taken.is_(None)
            )
            await connection.execute(update(tables.reports).where(old & which).values(rows_taken=time.time()))


async def _delete(context: UpkeepContext, table: str, rows: _Rows, cuts: Sequence[Cut]) -> None:
    days = {cut.account_id: cut.day for cut in cuts}
    for month, owners in await _owners(context, table, rows):
        last = date(month // 100, month % 100, calendar.monthrange(month // 100, month % 100)[1])
        if all(owner in days and days[owner] > last for owner in owners):
            await context.analytics.execute(f"ALTER TABLE {table} DROP PARTITION {month}")
    # A mutation rewrites every part that it touches, however many accounts it is for.
    old_rows = await _old(context, table, rows, cuts)
    some = [cut for cut in cuts if cut.account_id in old_rows]
    for start in range(0, len(some), _AT_ONCE):
        where = _before(rows, some[start : start + _AT_ONCE])
        await context.analytics.execute(f"ALTER TABLE {table} DELETE WHERE {where} SETTINGS mutations_sync = 2")


def _before(rows: _Rows, cuts: Sequence[Cut]) -> str:
    """The condition for the rows of the cuts: accounts of the same day together."""
    owners: dict[date, list[str]] = {}
    for cut in cuts:
        owners.setdefault(cut.day, []).append(literal(cut.account_id))
    return " OR ".join(
        f"({rows.day} < {literal(day.isoformat())} AND account_id IN ({', '.join(some)}))"
        for day, some in owners.items()
    )


async def _owners(context: UpkeepContext, table: str, rows: _Rows) -> list[tuple[int, list[str]]]:
    """The table's partitions, as YYYYMM, and the accounts that have rows in each."""
    answer = await context.analytics.query(
        f"SELECT toYYYYMM({rows.day}) AS month, groupUniqArray(account_id) AS owners FROM {table}"  # noqa: S608 - a table of ours
        " GROUP BY month ORDER BY month"
    )
    return [(int(row["month"]), row["owners"]) for row in map(json.loads, answer.splitlines())]


async def _old(context: UpkeepContext, table: str, rows: _Rows, cuts: Sequence[Cut]) -> dict[str, int]:
    """How many rows each account has that a cut is about; one that has none is absent."""
    old_rows: dict[str, int] = {}
    for start in range(0, len(cuts), _AT_ONCE):
        answer = await context.analytics.query(
            f"SELECT account_id, count() AS old FROM {table}"  # noqa: S608 - a table of ours, literals of ours
            f" WHERE {_before(rows, cuts[start : start + _AT_ONCE])} GROUP BY account_id"
        )
        old_rows |= {row["account_id"]: int(row["old"]) for row in map(json.loads, answer.splitlines())}
    return old_rows


async def _bytes_a_row(context: UpkeepContext, table: str) -> float:
    answer = await context.analytics.query(
        "SELECT sum(bytes_on_disk) / greatest(sum(rows), 1) FROM system.parts"
        " WHERE active AND database = currentDatabase() AND table = {table:String}",
        {"table": table},
        format="TabSeparated",
    )
    return float(answer)
