"""Old rows out of Analytics: whole months where no account keeps one, else an account's rows before its day.

Of records the catalogue is marked first, so that `verify` does not miss what goes. Versions that a replay left are cut
too. Data points stand in the engine alone.
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
from dmarcworks.upkeep import versions
from dmarcworks.upkeep.figures import literal
from dmarcworks.upkeep.house import House

__all__ = ["ROWS", "Cut", "take_rows"]


@dataclass(frozen=True, slots=True)
class _Rows:
    """A kind of rows: the tables that they stand in, and what tells a row's day (UTC)."""

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


async def take_rows(house: House, kind: str, cuts: Sequence[Cut], dry_run: bool) -> list[tuple[Cut, int, int]]:
    """For each cut how many rows of the kind went (or would go) and their estimated bytes on disk."""
    if not cuts:
        return []
    rows = ROWS[kind]
    counted = {cut.account_id: [0, 0] for cut in cuts}
    for table in await _tables(house, rows):
        each = await _bytes_a_row(house, table)
        for cut in cuts:
            old = await _old(house, table, rows, cut)
            # What a replay keeps is a copy: it is taken too, but counted once.
            if "_v" not in table:
                counted[cut.account_id][0] += old
                counted[cut.account_id][1] += round(old * each)
    if not dry_run:
        if kind == "records":
            await _mark(house, cuts)
        for table in await _tables(house, rows):
            await _take(house, table, rows, cuts)
    return [(cut, *counted[cut.account_id]) for cut in cuts]  # type: ignore[misc]  # two numbers each


async def _tables(house: House, rows: _Rows) -> list[str]:
    return sorted(name for name in await versions.uuids(house.analytics) if rows.tables.fullmatch(name))


async def _mark(house: House, cuts: Sequence[Cut]) -> None:
    table = tables.reports.c
    async with house.stores.database.write() as connection:
        for cut in cuts:
            old = (table.account_id == cut.account_id) & (table.day < cut.day.isoformat())
            which = (
                (table.kind != "failure") & (table.state == "counted") & table.published & table.rows_taken.is_(None)
            )
            await connection.execute(update(tables.reports).where(old & which).values(rows_taken=time.time()))


async def _take(house: House, table: str, rows: _Rows, cuts: Sequence[Cut]) -> None:
    days = {cut.account_id: cut.day for cut in cuts}
    for month in await _months(house, table, rows):
        last = date(month // 100, month % 100, calendar.monthrange(month // 100, month % 100)[1])
        if all(owner in days and days[owner] > last for owner in await _owners(house, table, rows, month)):
            await house.analytics.execute(f"ALTER TABLE {table} DROP PARTITION {int(month)}")
    for cut in cuts:
        if await _old(house, table, rows, cut):
            await house.analytics.execute(
                f"ALTER TABLE {table} DELETE WHERE account_id = {literal(cut.account_id)}"
                f" AND {rows.day} < {literal(cut.day.isoformat())} SETTINGS mutations_sync = 2"
            )


async def _months(house: House, table: str, rows: _Rows) -> list[int]:
    """The table's partitions, as YYYYMM."""
    answer = await house.analytics.query(f"SELECT DISTINCT toYYYYMM({rows.day}) FROM {table}", format="TabSeparated")  # noqa: S608 - a table of ours
    return sorted(int(line) for line in answer.split())


async def _owners(house: House, table: str, rows: _Rows, month: int) -> list[str]:
    answer = await house.analytics.query(
        f"SELECT DISTINCT account_id FROM {table} WHERE toYYYYMM({rows.day}) = {{month:UInt32}}",  # noqa: S608 - a table of ours
        {"month": month},
    )
    return [json.loads(line)["account_id"] for line in answer.splitlines()]


async def _old(house: House, table: str, rows: _Rows, cut: Cut) -> int:
    answer = await house.analytics.query(
        f"SELECT count() FROM {table} WHERE account_id = {{account_id:String}} AND {rows.day} < {{day:Date}}",  # noqa: S608 - as above
        {"account_id": cut.account_id, "day": cut.day.isoformat()},
        format="TabSeparated",
    )
    return int(answer)


async def _bytes_a_row(house: House, table: str) -> float:
    answer = await house.analytics.query(
        "SELECT sum(bytes_on_disk) / greatest(sum(rows), 1) FROM system.parts"
        " WHERE active AND database = currentDatabase() AND table = {table:String}",
        {"table": table},
        format="TabSeparated",
    )
    return float(answer)
