"""The query service for SQL from a token over HTTP, a person on the dashboard or the operator's command.

A text and an account in, the result's bytes out, or `QueryError` with a sentence for the user. The engine runs
read-only and bounded. An account's statements run one at a time, so that other accounts are served in between; a few
may wait, the next is refused (`TooManyStatementsError`). Each is noted in the query log, refused ones too.
"""

from __future__ import annotations

import asyncio
import dataclasses
import io
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from dmarcworks.api.sql.allow import TEXT_BYTES, Statement, compile_sql
from dmarcworks.api.sql.checked import CheckedQueries
from dmarcworks.api.sql.functions import FORMATS
from dmarcworks.api.sql_errors import explain
from dmarcworks.bindings.contracts import Analytics, QueryBounds
from dmarcworks.catalogue.queries import LoggedQuery
from dmarcworks.errors import BoundError, DmarcworksError, QueryError
from dmarcworks.settings import Settings

WAITING = 8
# Concurrent statements of all accounts: fewer than the store runs, so that the dashboard's are still answered.
AT_ONCE = 2
# The query log's error for a statement whose client disconnected before the response.
CANCELLED = "cancelled: the client left before the answer"

_MEDIA = dict(FORMATS.values())
# Dates are UTC for everyone; integers are numbers in JSON; the engine's own statistics are not shown.
_SETTINGS: dict[str, str | int] = {
    "session_timezone": "UTC",
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_escape_forward_slashes": 0,
    "output_format_write_statistics": 0,
    # The restriction to the account is the only PREWHERE, and names are resolved in their own scope.
    "optimize_move_to_prewhere": 0,
    "enable_analyzer": 1,
    # Projections were summed up without the restriction to the account, so they must not be used.
    "optimize_use_projections": 0,
}
# With LIMIT the engine adds how many rows there were before it.
_ROWS = re.compile(rb'"rows": (\d+)(?:,\s*"rows_before_limit_at_least": \d+)?\s*}?\s*$')


class TooManyStatementsError(DmarcworksError):
    """An account has as many statements waiting as it may (HTTP 429)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A result: its bytes, media type and format, and how many rows it has."""

    body: bytes
    media: str
    format: str
    rows: int


def query_bounds(settings: Settings) -> QueryBounds:
    """The bounds of a user's statement."""
    return QueryBounds(seconds=settings.sql_seconds, rows=settings.sql_rows, memory=settings.sql_memory_bytes)


class QueryService:
    """Runs statements; `note` is called with each (it must not wait)."""

    def __init__(
        self,
        analytics: Analytics,
        bounds: QueryBounds,
        note: Callable[[LoggedQuery], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.bounds = bounds
        self._queries = CheckedQueries(analytics)
        self._note = note
        self._clock = clock
        self._locks = _AccountLocks()
        self._places = asyncio.Semaphore(AT_ONCE)
        self.running = 0

    @property
    def waiting(self) -> int:
        """Statements that wait."""
        return self._locks.total - self.running

    async def query(
        self,
        text: str,
        account_id: str,
        *,
        who: str,
        source: str,
        values: Mapping[str, str] | None = None,
        format: str = "JSON",
        domains: Sequence[str] | None = None,
        forced: bool = False,
    ) -> Answer:
        """Run one account's statement, over some of its domains (ids) only when they are given.

        `values` of its parameters by name. The result comes in `format` when the statement names none, or whatever it
        names when `forced`.
        """
        started, begun = self._clock(), time.perf_counter()
        rows, error = 0, ""
        try:
            async with self._locks.of(account_id):
                statement = await compiled(text, account_id, format, domains, forced=forced)
                async with self._places:
                    self.running += 1
                    try:
                        body = await run(statement, self._queries, self.bounds, values or {})
                    finally:
                        self.running -= 1
            form = statement.format
            rows = count_rows(body, form)
            return Answer(body, _MEDIA[form], form, rows)
        except DmarcworksError as refused:
            error = str(refused)
            raise
        except asyncio.CancelledError:
            error = CANCELLED
            raise
        finally:
            ms = (time.perf_counter() - begun) * 1000
            self._note(LoggedQuery(account_id, who, source, text, started, ms, rows, error))


class _AccountLocks:
    """One statement of an account at a time, a few more in its queue."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def total(self) -> int:
        """Statements of all accounts that run or wait."""
        return self._counts.total()

    @asynccontextmanager
    async def of(self, account_id: str) -> AsyncIterator[None]:
        """Wait for the account's lock; `TooManyStatementsError` when `WAITING` of its statements run or wait."""
        if self._counts[account_id] >= WAITING:
            raise TooManyStatementsError(f"{WAITING} statements of this account wait already; send fewer at a time")
        self._counts[account_id] += 1
        try:
            async with self._locks[account_id]:
                yield
        finally:
            self._counts[account_id] -= 1
            if not self._counts[account_id]:
                del self._counts[account_id], self._locks[account_id]


async def compiled(
    text: str, account_id: str, format: str = "JSON", domains: Sequence[str] | None = None, *, forced: bool = False
) -> Statement:
    """The statement as we write it, for the engine; `QueryError` with a text for the user."""
    # A text may be large and its parser is slow: neither may stall the mails that come in meanwhile.
    statement = await asyncio.to_thread(compile_sql, text, account_id, format, domains)
    return dataclasses.replace(statement, format=format) if forced else statement


async def run(
    statement: Statement, queries: CheckedQueries, bounds: QueryBounds, values: Mapping[str, str] | None = None
) -> bytes:
    """The result of a statement, read-only and bounded; `QueryError` with a text for the user."""
    parameters = _bound(statement, values or {})
    limited = QueryBounds(bounds.seconds, bounds.rows, bounds.memory, {**bounds.extra, **_SETTINGS})
    try:
        return await queries.query(statement.sql, parameters, format=statement.format, bounds=limited)
    except QueryError as error:
        raise QueryError(explain(str(error), statement, bounds)) from None


def _bound(statement: Statement, values: Mapping[str, str]) -> dict[str, str]:
    """The values of the parameters that the statement names; other parameters are ignored."""
    missing = [name for name in statement.parameters if name not in values]
    if missing:
        raise QueryError(f"Input was invalid: parameter {missing[0]} has no value; send it as param_{missing[0]}")
    bound = {name: values[name] for name in statement.parameters}
    if sum(len(value) for value in bound.values()) > TEXT_BYTES:
        raise BoundError(f"the query's parameters are longer than {TEXT_BYTES} characters")
    return bound


def count_rows(body: bytes, format: str) -> int:
    """How many rows a result has, without reading its values."""
    if format in ("JSON", "JSONCompact"):
        match = _ROWS.search(body[-160:])
        return int(match[1]) if match else 0
    if format == "Parquet":
        return int(pq.ParquetFile(io.BytesIO(body)).metadata.num_rows)
    if format == "Arrow":
        reader = pa.ipc.open_file(pa.BufferReader(body))
        return sum(reader.get_batch(index).num_rows for index in range(reader.num_record_batches))
    # A line break inside quotes ends no row of CSV.
    parts = body.split(b'"')[::2] if format.startswith("CSV") else [body]
    lines = sum(part.count(b"\n") for part in parts)
    return lines - format.endswith("WithNames")
