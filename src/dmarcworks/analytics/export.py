"""The rows of a table as a stream of small blocks: whatever the size of an export, memory stays flat.

In: account, domains, days. Out: Arrow tables in the order of domain, day, report and record, of at most `BLOCK` rows
each. Days are asked for together while they fit into a block; a day that does not is read on from the last row's place.
Between two blocks the engine answers others.
"""

# ruff: noqa: S608 - table and columns are our own constants; values are bound as {name:Type}
from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from dmarcworks.analytics.schema import FIRST_DAY, LAST_DAY
from dmarcworks.analytics.tables import Table
from dmarcworks.bindings.contracts import Analytics, QueryBounds

__all__ = ["BLOCK", "Wanted", "blocks"]

BLOCK = 10_000
# What says where a row is kept, not what a reporter said.
_OURS = frozenset(("account_id", "object_key"))
_BOUNDS = QueryBounds(
    seconds=60.0,
    rows=10_000_000,
    memory=4 << 30,
    extra={"output_format_arrow_string_as_string": 1, "output_format_arrow_low_cardinality_as_dictionary": 0},
)
_ORDER = "day, report_key, record_index"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows: of an account, of some domains or all, of days (both inclusive)."""

    account_id: str
    domain_ids: Sequence[str] | None
    first: date | None
    last: date | None


def columns(table: Table) -> list[str]:
    """The columns that an export has."""
    return [column.name for column in table.columns if column.name not in _OURS]


def schema(table: Table) -> pa.Schema:
    """Their Arrow types."""
    return pa.schema([(column.name, column.arrow) for column in table.columns if column.name not in _OURS])


async def blocks(analytics: Analytics, table: Table, wanted: Wanted) -> AsyncIterator[pa.Table]:
    """The rows, block by block; each has `schema(table)`."""
    for domain_id, first, last, size in _spans(await _days(analytics, table, wanted)):
        place = ("", -1)
        while True:
            # Only a single day may be larger than a block; then the place of its last row leads on.
            block = await _block(analytics, table, wanted.account_id, domain_id, first, last, place)
            if block.num_rows:
                yield block
            if size <= BLOCK or block.num_rows < BLOCK:
                break
            place = (block.column("report_key")[-1].as_py(), block.column("record_index")[-1].as_py())


async def _days(analytics: Analytics, table: Table, wanted: Wanted) -> list[tuple[str, date, int]]:
    where = "account_id = {account_id:String} AND day BETWEEN {first:Date} AND {last:Date}"
    parameters: dict[str, Any] = {
        "account_id": wanted.account_id,
        "first": min(max(wanted.first or FIRST_DAY, FIRST_DAY), LAST_DAY).isoformat(),
        "last": min(max(wanted.last or LAST_DAY, FIRST_DAY), LAST_DAY).isoformat(),
    }
    if wanted.domain_ids is not None:
        if not wanted.domain_ids:
            return []
        names = [f"d{number}" for number in range(len(wanted.domain_ids))]
        where += f" AND domain_id IN ({', '.join(f'{{{name}:String}}' for name in names)})"
        parameters |= dict(zip(names, wanted.domain_ids, strict=True))
    answer = await analytics.query(
        f"SELECT domain_id, day, count() AS n FROM {table.name} WHERE {where} GROUP BY domain_id, day"
        " ORDER BY domain_id, day",
        parameters,
        bounds=_BOUNDS,
    )
    rows = (json.loads(line) for line in answer.splitlines() if line)
    return [(row["domain_id"], date.fromisoformat(row["day"]), int(row["n"])) for row in rows]


def _spans(days: Sequence[tuple[str, date, int]]) -> Iterator[tuple[str, date, date, int]]:
    """Neighbouring days of one domain, together as long as they fit into a block."""
    span: tuple[str, date, date, int] | None = None
    for domain_id, day, size in days:
        if span is not None and span[0] == domain_id and span[3] + size <= BLOCK:
            span = (domain_id, span[1], day, span[3] + size)
            continue
        if span is not None:
            yield span
        span = (domain_id, day, day, size)
    if span is not None:
        yield span


async def _block(
    analytics: Analytics,
    table: Table,
    account_id: str,
    domain_id: str,
    first: date,
    last: date,
    place: tuple[str, int],
) -> pa.Table:
    parameters = {
        "account_id": account_id,
        "domain_id": domain_id,
        "first": first.isoformat(),
        "last": last.isoformat(),
        "key": place[0],
        "index": place[1],
    }
    answer = await analytics.query(
        f"SELECT {', '.join(f'`{name}`' for name in columns(table))} FROM {table.name}"
        " WHERE account_id = {account_id:String} AND domain_id = {domain_id:String}"
        " AND day BETWEEN {first:Date} AND {last:Date}"
        " AND (report_key > {key:String} OR report_key = {key:String} AND record_index > {index:Int64})"
        f" ORDER BY {_ORDER} LIMIT {BLOCK}",
        parameters,
        format="ArrowStream",
        bounds=_BOUNDS,
    )
    with pa.ipc.open_stream(pa.BufferReader(answer)) as reader:
        return reader.read_all().cast(schema(table))
