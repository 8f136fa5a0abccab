"""The rows of a table as a stream of small blocks: whatever the size of an export, memory stays flat.

In: account, domains, days. Out: blocks of at most `BLOCK` rows in the order of domain, day, report and record: Arrow
tables, or JSON lines as the engine writes them. Days are queried together while they fit into a block; a day that
does not is read on from the last row's place. Between two blocks the engine answers others.
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

__all__ = ["BLOCK", "ExportRequest", "blocks", "columns", "lines", "schema"]

BLOCK = 10_000
# Columns about where a row is kept, which no reporter stated.
_OURS = frozenset(("account_id", "object_key"))
_BOUNDS = QueryBounds(
    seconds=60.0,
    rows=10_000_000,
    memory=4 << 30,
    extra={
        "output_format_arrow_string_as_string": 1,
        "output_format_arrow_low_cardinality_as_dictionary": 0,
        "output_format_json_quote_64bit_integers": 0,
        "output_format_json_escape_forward_slashes": 0,
        "date_time_output_format": "iso",
    },
)
_ORDER = "day, report_key, record_index"
_Place = tuple[str, int]
_START: _Place = ("", -1)


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Which rows: of an account, of some domains or all, of days (both inclusive)."""

    account_id: str
    domain_ids: Sequence[str] | None
    first: date | None
    last: date | None


@dataclass(frozen=True, slots=True)
class _Span:
    """Neighbouring days of one domain; more than a block only when it is a single day."""

    domain_id: str
    first: date
    last: date
    rows: int


def columns(table: Table) -> list[str]:
    """The columns that an export has."""
    return [column.name for column in table.columns if column.name not in _OURS]


def schema(table: Table, *, flat: bool = False) -> pa.Schema:
    """Their Arrow types; `flat`: lists as JSON text."""
    return pa.schema(
        [
            (column.name, pa.string() if flat and pa.types.is_list(column.arrow) else column.arrow)
            for column in table.columns
            if column.name not in _OURS
        ]
    )


async def blocks(
    analytics: Analytics, table: Table, wanted: ExportRequest, *, flat: bool = False
) -> AsyncIterator[pa.Table]:
    """The rows, block by block; each has `schema(table)`."""
    names = ", ".join(
        f"if(empty(`{name}`), '', toJSONString(`{name}`)) AS `{name}`" if flat and _listed(table, name) else f"`{name}`"
        for name in columns(table)
    )
    async for span in _spans(analytics, table, wanted):
        place = _START
        while True:
            answer = await _query(analytics, table, wanted, names, "ArrowStream", span, place)
            with pa.ipc.open_stream(pa.BufferReader(answer)) as reader:
                block = reader.read_all().cast(schema(table, flat=flat))
            if block.num_rows:
                yield block
            if span.rows <= BLOCK or block.num_rows < BLOCK:
                break
            place = (block.column("report_key")[-1].as_py(), block.column("record_index")[-1].as_py())


async def lines(analytics: Analytics, table: Table, wanted: ExportRequest) -> AsyncIterator[bytes]:
    """The rows as JSON lines, block by block."""
    names = ", ".join(f"`{name}`" for name in columns(table))
    async for span in _spans(analytics, table, wanted):
        place = _START
        while True:
            answer = await _query(analytics, table, wanted, names, "JSONEachRow", span, place)
            if answer:
                yield answer
            if span.rows <= BLOCK or answer.count(b"\n") < BLOCK:
                break
            last = json.loads(answer[answer.rstrip(b"\n").rfind(b"\n") + 1 :])
            place = (last["report_key"], last["record_index"])


def _listed(table: Table, name: str) -> bool:
    return bool(pa.types.is_list(table.schema.field(name).type))


async def _spans(analytics: Analytics, table: Table, wanted: ExportRequest) -> AsyncIterator[_Span]:
    for span in _joined(await _days(analytics, table, wanted)):
        yield span


async def _days(analytics: Analytics, table: Table, wanted: ExportRequest) -> list[_Span]:
    if wanted.domain_ids is not None and not wanted.domain_ids:
        return []
    where = "account_id = {account_id:String} AND day BETWEEN {first:Date} AND {last:Date}"
    parameters: dict[str, Any] = {
        "account_id": wanted.account_id,
        "first": min(max(wanted.first or FIRST_DAY, FIRST_DAY), LAST_DAY).isoformat(),
        "last": min(max(wanted.last or LAST_DAY, FIRST_DAY), LAST_DAY).isoformat(),
    }
    if wanted.domain_ids is not None:
        names = [f"d{number}" for number in range(len(wanted.domain_ids))]
        where += f" AND domain_id IN ({', '.join(f'{{{name}:String}}' for name in names)})"
        parameters |= dict(zip(names, wanted.domain_ids, strict=True))
    answer = await analytics.query(
        f"SELECT domain_id, day, count() AS n FROM {table.name} WHERE {where} GROUP BY domain_id, day"
        " ORDER BY domain_id, day",
        parameters,
        bounds=_BOUNDS,
    )
    days = []
    for line in answer.splitlines():
        row = json.loads(line)
        day = date.fromisoformat(row["day"])
        days.append(_Span(row["domain_id"], day, day, int(row["n"])))
    return days


def _joined(days: Sequence[_Span]) -> Iterator[_Span]:
    """Neighbouring days of one domain, together as long as they fit into a block."""
    span: _Span | None = None
    for day in days:
        if span is not None and span.domain_id == day.domain_id and span.rows + day.rows <= BLOCK:
            span = _Span(span.domain_id, span.first, day.last, span.rows + day.rows)
            continue
        if span is not None:
            yield span
        span = day
    if span is not None:
        yield span


async def _query(
    analytics: Analytics, table: Table, wanted: ExportRequest, names: str, form: str, span: _Span, place: _Place
) -> bytes:
    parameters = {
        "account_id": wanted.account_id,
        "domain_id": span.domain_id,
        "first": span.first.isoformat(),
        "last": span.last.isoformat(),
        "key": place[0],
        "index": place[1],
    }
    return await analytics.query(
        f"SELECT {names} FROM {table.name}"
        " WHERE account_id = {account_id:String} AND domain_id = {domain_id:String}"
        " AND day BETWEEN {first:Date} AND {last:Date}"
        " AND (report_key > {key:String} OR report_key = {key:String} AND record_index > {index:Int64})"
        f" ORDER BY {_ORDER} LIMIT {BLOCK}",
        parameters,
        format=form,
        bounds=_BOUNDS,
    )
