"""The SQL API at the original's path: POST the statement as the body, or GET it as `?query=`.

The answer is the result in the statement's FORMAT (JSON by default), without an envelope. A statement that is refused,
by us or by the engine, is 422 with a sentence as plain text; 401, 403, 413, 429 and 503 carry
`{"errors": [{"message"}]}`. The content type of a request says nothing (curl calls any body a form). The engine runs
read-only and bounded. An account's statements run one after the other, so that its neighbours' come in between.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from dmarcworks.analytics.schema import TABLES
from dmarcworks.api import auth
from dmarcworks.api.sql_allow import TEXT_BYTES, Statement, compile_sql
from dmarcworks.api.sql_expressions import suggest
from dmarcworks.api.sql_functions import FORMATS
from dmarcworks.bindings.contracts import Analytics, QueryBounds
from dmarcworks.errors import BoundError, DmarcworksError, QueryError

WAITING = 8
PATH = "/client/v4/accounts/{account_id}/analytics_engine/sql"

_MEDIA = dict(FORMATS.values())
_COLUMNS = tuple(
    name
    for table in TABLES.values()
    for name in (*(column.name for column in table.columns), *(alias.name for alias in table.aliases))
)
# Dates are UTC for everyone; integers are numbers in JSON; what the engine took for it is nobody's business.
_SETTINGS: dict[str, str | int] = {
    "session_timezone": "UTC",
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_escape_forward_slashes": 0,
    "output_format_write_statistics": 0,
    # The wall is the only PREWHERE, and names mean what they mean where they stand.
    "optimize_move_to_prewhere": 0,
    "enable_analyzer": 1,
}
_IDENTIFIER = re.compile(r"(?:identifier|column) [`']([^`']{1,200})[`']")
# The engine's inside: error codes, the statement as we rewrote it, its version.
_WALL = re.compile(r"\(SELECT \*[^()]* FROM (\w+) PREWHERE account_id = '[0-9a-f]{32}'\) AS \w+")
_NOISE = re.compile(
    r":? (?:In scope|While|while) .*|\. Note: .*|Code: \d+\. |DB::Exception: |\(version [^)]*\)|\.? ?\([A-Z_]{4,}\)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class SqlDeps:
    """What the SQL API stands on; `bounds` are those of DESIGN.md §6."""

    analytics: Analytics
    accounts: auth.Identities
    bounds: QueryBounds = field(default_factory=QueryBounds)


class _TooManyError(DmarcworksError):
    """An account has as many statements waiting as it may."""


class _Turns:
    """One statement of an account at a time, a few more in its queue."""

    def __init__(self) -> None:
        self._inside: Counter[str] = Counter()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def of(self, account_id: str) -> AsyncIterator[None]:
        """The account's turn; `_TooManyError` when `WAITING` of its statements are in already."""
        if self._inside[account_id] >= WAITING:
            raise _TooManyError(f"{WAITING} statements of this account wait already; send fewer at a time")
        self._inside[account_id] += 1
        try:
            async with self._locks[account_id]:
                yield
        finally:
            self._inside[account_id] -= 1
            if not self._inside[account_id]:
                del self._inside[account_id], self._locks[account_id]


async def run(text: str, account_id: str, analytics: Analytics, bounds: QueryBounds) -> tuple[bytes, str]:
    """Run one account's statement: the result and its media type. `QueryError` with a text for the person who asked."""
    # A text may be large and its parser is slow: neither may stall the mails that come in meanwhile.
    statement = await asyncio.to_thread(compile_sql, text, account_id)
    limited = QueryBounds(bounds.seconds, bounds.rows, bounds.memory, {**bounds.extra, **_SETTINGS})
    try:
        answer = await analytics.query(statement.sql, format=statement.format, bounds=limited)
    except QueryError as error:
        raise QueryError(explain(str(error), statement, bounds)) from None
    return answer, _MEDIA[statement.format]


def explain(text: str, statement: Statement, bounds: QueryBounds) -> str:
    """The engine's complaint as a sentence that names the trouble and the near name, without the engine's inside."""
    if "TIMEOUT_EXCEEDED" in text:
        return f"the query took longer than {bounds.seconds:g} seconds; ask for fewer days or columns"
    if "MEMORY_LIMIT_EXCEEDED" in text:
        return f"the query needs more than {bounds.memory >> 20} MiB of memory; ask for fewer days or groups"
    if "TOO_MANY_ROWS" in text:
        return f"the result has more than {bounds.rows} rows; add a LIMIT or ask for fewer days"
    if "UNKNOWN_IDENTIFIER" in text:
        match = _IDENTIFIER.search(text)
        if match:
            name = match[1].rpartition(".")[2]
            known = {*_COLUMNS, *(word for word in statement.names if word != name)}
            return f"Input was invalid: unable to find type of column: {match[1]}{suggest(name, known)}"
    short = _NOISE.sub("", _WALL.sub(r"\1", text)).strip()
    return f"Input was invalid: {short[:300] or 'the engine refuses this query'}"


def router(deps: SqlDeps) -> APIRouter:
    """Routes for POST and GET of the SQL path."""
    routes = APIRouter()
    turns = _Turns()

    async def answer(request: Request, account_id: str) -> Response:
        try:
            token = await auth.token(request, deps.accounts, "read")
            own = auth.require_account(token, account_id)
            text = await _text(request)
            async with turns.of(own):
                body, media = await run(text, own, deps.analytics, deps.bounds)
        except QueryError as error:
            return PlainTextResponse(str(error) + "\n", 422)
        except _TooManyError as error:
            return auth.too_many(str(error))
        except DmarcworksError as error:
            return auth.refusal(error)
        return Response(body, media_type=media, headers={"Cache-Control": "no-store"})

    options: dict[str, Any] = {"response_class": Response, "tags": ["sql"]}
    routes.add_api_route(PATH, answer, methods=["POST"], summary="Ask by SQL", operation_id="sql_post", **options)
    routes.add_api_route(PATH, answer, methods=["GET"], summary="Ask by SQL", operation_id="sql_get", **options)
    return routes


async def _text(request: Request) -> str:
    if request.method == "GET":
        return request.query_params.get("query", "")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > TEXT_BYTES:
            raise BoundError(f"the query is longer than {TEXT_BYTES} bytes")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise QueryError("Input was invalid: the query is not UTF-8") from None
