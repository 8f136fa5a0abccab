"""/exports: every row of a kind as CSV, JSON lines or Parquet, as a stream that is made while it is read.

CSV is safe to open in a spreadsheet: text that one would run as a formula gets a leading apostrophe.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from dmarcworks.analytics.export import ExportRequest, blocks, columns, lines, schema
from dmarcworks.analytics.tables import DMARC_REPORTS, FAILURE_REPORTS, TLS_REPORTS, Table
from dmarcworks.api.disconnect import while_connected
from dmarcworks.api.rest.deps import Reader
from dmarcworks.api.rest.download import HEADERS
from dmarcworks.api.rest.params import Day, DomainFilter, days
from dmarcworks.api.rest.route import Route
from dmarcworks.api.spreadsheet import PATTERN
from dmarcworks.bindings.contracts import Analytics

routes = APIRouter(prefix="/exports", tags=["exports"], route_class=Route)

TABLES = {"records": DMARC_REPORTS, "tls": TLS_REPORTS, "failures": FAILURE_REPORTS}
_TEXT = {"schema": {"type": "string"}}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
Kind = Annotated[
    Literal["records", "tls", "failures"],
    Path(description="records: of aggregate reports; tls: policies; failures: failure reports."),
]
Format = Annotated[Literal["csv", "jsonl", "parquet"], Query(description="What to make of the rows.")]


class _RowWriter(Protocol):
    """Turns blocks into bytes of a format; each method blocks, and returns what is ready."""

    def head(self) -> bytes: ...

    def block(self, rows: pa.Table) -> bytes: ...

    def tail(self) -> bytes: ...


class _Csv:
    """RFC 4180 with a head line; lists as JSON."""

    def __init__(self, table: Table) -> None:
        self._columns = columns(table)

    def head(self) -> bytes:
        return ",".join(f'"{name}"' for name in self._columns).encode() + b"\r\n"

    def block(self, rows: pa.Table) -> bytes:
        safe = pa.table([_safe(rows.column(name)) for name in self._columns], names=self._columns)
        out = io.BytesIO()
        options = pa_csv.WriteOptions(include_header=False, eol="\r\n")  # type: ignore[call-arg]  # pyarrow-stubs know no eol
        pa_csv.write_csv(safe, out, options)
        return out.getvalue()

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
    """A file that is only written to, and drops what was read from it."""

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
        content, self._chunks = b"".join(self._chunks), []
        return content


_MEDIA = {
    "csv": "text/csv; charset=utf-8; header=present",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}


@routes.get(
    "/{kind}",
    operation_id="export",
    response_class=Response,
    responses={
        200: {
            "description": "The rows",
            "content": {
                media.partition(";")[0]: _BINARY if form == "parquet" else _TEXT for form, media in _MEDIA.items()
            },
        },
        400: {},
        404: {},
    },
    summary="Export rows",
)
async def export(
    request: Request,
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
    wanted = ExportRequest(caller.account_id, await caller.domain_ids(domain), first, last)
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="dmarcworks-{kind}.{format}"'}
    stream = _stream(caller.deps.analytics, table, wanted, format)
    # The first block before the first byte: an unavailable store gets an error response, not a broken stream.
    start = await while_connected(request, _first(stream))
    return StreamingResponse(_after(start, stream), headers=headers, media_type=_MEDIA[format])


async def _first(stream: AsyncIterator[bytes]) -> bytes:
    return await anext(stream, b"")


async def _after(start: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield start
    async for chunk in rest:
        yield chunk


async def _stream(analytics: Analytics, table: Table, wanted: ExportRequest, form: str) -> AsyncIterator[bytes]:
    if form == "jsonl":
        async for chunk in lines(analytics, table, wanted):
            yield chunk
        return
    writer: _RowWriter = _Csv(table) if form == "csv" else _Parquet(table)
    before = writer.head()
    async for block in blocks(analytics, table, wanted, flat=form == "csv"):
        yield before + await asyncio.to_thread(writer.block, block)
        before = b""
    yield before + await asyncio.to_thread(writer.tail)


def _safe(column: Any) -> Any:
    """An Arrow column in a form that is safe in a spreadsheet."""
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ")
    if not pa.types.is_string(column.type):
        return column
    runs = pc.match_substring_regex(column, pattern=PATTERN)
    return pc.if_else(runs, pc.binary_join_element_wise("'", column, ""), column)
