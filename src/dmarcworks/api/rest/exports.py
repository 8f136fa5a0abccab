"""/exports: every row of a kind as CSV, JSON lines or Parquet, as a stream that is made while it is read.

CSV is safe to open in a spreadsheet: text that one would run as a formula gets a leading apostrophe.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Callable
from datetime import date, datetime
from typing import Annotated, Any, Literal, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse

from dmarcworks.analytics.export import Wanted, blocks, columns, schema
from dmarcworks.analytics.tables import DMARC_REPORTS, FAILURE_REPORTS, TLS_REPORTS, Table
from dmarcworks.api.rest.deps import Reader
from dmarcworks.api.rest.download import HEADERS
from dmarcworks.api.rest.params import Day, DomainFilter, days
from dmarcworks.api.rest.route import Route

routes = APIRouter(prefix="/exports", tags=["exports"], route_class=Route)

TABLES = {"records": DMARC_REPORTS, "tls": TLS_REPORTS, "failures": FAILURE_REPORTS}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_BINARY = {"schema": {"type": "string", "format": "binary"}}
Kind = Annotated[
    Literal["records", "tls", "failures"],
    Path(description="records: of aggregate reports; tls: policies; failures: failure reports."),
]
Format = Annotated[Literal["csv", "jsonl", "parquet"], Query(description="What to make of the rows.")]


class _Writer(Protocol):
    """Turns rows into bytes of a format; each method blocks, and gives back what is ready."""

    def head(self) -> bytes: ...

    def block(self, rows: pa.Table) -> bytes: ...

    def tail(self) -> bytes: ...


class _Csv:
    """RFC 4180 with a head line; lists as JSON."""

    def __init__(self, table: Table) -> None:
        self._columns = columns(table)

    def head(self) -> bytes:
        return self._lines([self._columns])

    def block(self, rows: pa.Table) -> bytes:
        values = [rows.column(name).to_pylist() for name in self._columns]
        return self._lines([[_cell(value) for value in row] for row in zip(*values, strict=True)])

    def tail(self) -> bytes:
        return b""

    def _lines(self, rows: list[list[Any]]) -> bytes:
        out = io.StringIO()
        csv.writer(out, lineterminator="\r\n").writerows(rows)
        return out.getvalue().encode("utf-8", "replace")


class _Lines:
    """One JSON object a line; times in ISO 8601."""

    def __init__(self, table: Table) -> None:
        pass

    def head(self) -> bytes:
        return b""

    def block(self, rows: pa.Table) -> bytes:
        text = "".join(json.dumps(row, default=_plain, ensure_ascii=False) + "\n" for row in rows.to_pylist())
        return text.encode("utf-8", "replace")

    def tail(self) -> bytes:
        return b""


class _Parquet:
    """A row group a block."""

    def __init__(self, table: Table) -> None:
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(pa.PythonFile(self._sink, mode="w"), schema(table), compression="zstd")

    def head(self) -> bytes:
        return self._sink.drained()

    def block(self, rows: pa.Table) -> bytes:
        self._writer.write_table(rows)
        return self._sink.drained()

    def tail(self) -> bytes:
        self._writer.close()
        return self._sink.drained()


class _Sink(io.RawIOBase):
    """A file that is only written on, and forgets what was taken from it."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: Any) -> int:
        chunk = bytes(data)
        self._chunks.append(chunk)
        self._size += len(chunk)
        return len(chunk)

    def drained(self) -> bytes:
        found, self._chunks = b"".join(self._chunks), []
        return found


_FORMATS: dict[str, tuple[Callable[[Table], _Writer], str]] = {
    "csv": (_Csv, "text/csv; charset=utf-8; header=present"),
    "jsonl": (_Lines, "application/x-ndjson"),
    "parquet": (_Parquet, "application/vnd.apache.parquet"),
}


@routes.get(
    "/{kind}",
    operation_id="export",
    response_class=Response,
    responses={
        200: {
            "description": "The rows",
            "content": {media.partition(";")[0]: _BINARY for _, media in _FORMATS.values()},
        },
        400: {},
        404: {},
    },
    summary="Export rows",
)
async def export(
    caller: Reader,
    kind: Kind,
    format: Format = "csv",
    domain: DomainFilter = None,
    first: Day = None,
    last: Day = None,
) -> Response:
    """Every row within the token's reach, in the order of domain, day, report and record; `first` and `last` are days.

    The columns are those of the SQL API's tables. A stream that ends without its last chunk was cut off.
    """
    days(first, last)
    table = TABLES[kind]
    wanted = Wanted(caller.account_id, await caller.domain_ids(domain), first, last)
    make, media = _FORMATS[format]
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="dmarcworks-{kind}.{format}"'}
    found = blocks(caller.deps.analytics, table, wanted)
    # The first block before the first byte: a store that is away is an answer of its own, not a broken stream.
    start = await anext(found, None)
    return StreamingResponse(_stream(make(table), start, found), headers=headers, media_type=media)


async def _stream(writer: _Writer, start: pa.Table | None, rest: AsyncIterator[pa.Table]) -> AsyncIterator[bytes]:
    yield writer.head()
    if start is not None:
        yield await asyncio.to_thread(writer.block, start)
    async for block in rest:
        yield await asyncio.to_thread(writer.block, block)
    yield await asyncio.to_thread(writer.tail)


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return "'" + value if value.startswith(_FORMULA) else value
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False, default=_plain) if value else ""
    return _plain(value) if isinstance(value, date) else value


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else str(value)
