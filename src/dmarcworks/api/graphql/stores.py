"""One node's query → one statement to its store → rows; the only place where GraphQL uses a store.

An account's statements run one at a time, so that other accounts are served in between.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy import bindparam, text

from dmarcworks.api.graphql.compile import ClickHouse, CompiledQuery, Relational, statement
from dmarcworks.api.graphql.refusal import Refusal
from dmarcworks.api.sql.checked import CheckedQueries
from dmarcworks.bindings.contracts import Analytics, Database, QueryBounds
from dmarcworks.errors import QueryError

log = structlog.get_logger("dmarcworks.graphql")

# Integers come as JSON numbers, which Python reads without loss; days are UTC.
_SETTINGS: dict[str, str | int] = {"output_format_json_quote_64bit_integers": 0, "session_timezone": "UTC"}
Rows = dict[str, list[Sequence[Any]]]


class GraphqlStores:
    """The two stores that nodes are read from."""

    def __init__(self, analytics: Analytics, database: Database, bounds: QueryBounds) -> None:
        self._queries, self._database = CheckedQueries(analytics), database
        # The result is bounded by the query's cost; the engine's own bound only has to be larger.
        extra = {**bounds.extra, **_SETTINGS}
        self._bounds = QueryBounds(bounds.seconds, max(bounds.rows, 200_000), bounds.memory, extra)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def rows(self, question: CompiledQuery) -> Rows:
        """Rows by zone ("" when the query is not split by zone), each in the order of `question.fields`."""
        if question.node.catalogue:
            rows = await self._catalogue(question)
        else:
            async with self._locks[question.account_id]:
                rows = await self._report_rows(question)
        by_zone: Rows = defaultdict(list)
        for row in rows:
            by_zone[row[0]].append(row[1:])
        return by_zone

    def forget(self, account_id: str) -> None:
        """None of the account's queries is being answered."""
        self._locks.pop(account_id, None)

    async def _report_rows(self, question: CompiledQuery) -> list[Sequence[Any]]:
        sql, bound = statement(question, ClickHouse())
        try:
            answer = await self._queries.query(sql, bound.values, format="JSONCompactEachRow", bounds=self._bounds)
        except QueryError as error:
            raise self._explained(str(error)) from None
        return await asyncio.to_thread(_parsed, answer)

    async def _catalogue(self, question: CompiledQuery) -> list[Sequence[Any]]:
        async with self._database.read() as connection:
            sql, bound = statement(question, Relational(connection.dialect.name))
            query = text(sql).bindparams(*(bindparam(name, expanding=True) for name in bound.expanding))
            return list((await connection.execute(query, bound.values)).all())

    def _explained(self, reason: str) -> Refusal:
        if "TIMEOUT_EXCEEDED" in reason:
            return Refusal(f"query time range is too large: it took more than {self._bounds.seconds:g} seconds")
        if "MEMORY_LIMIT_EXCEEDED" in reason or "TOO_MANY_ROWS_OR_BYTES" in reason:
            return Refusal(f"query time range is too large: it needs more than {self._bounds.memory >> 20} MiB")
        log.error("a node's statement was refused", reason=reason[:500])
        return Refusal("unable to execute query, please try again later", status=503, wait=5)


def _parsed(answer: bytes) -> list[Sequence[Any]]:
    rows: list[Sequence[Any]] = json.loads(b"[" + b",".join(answer.splitlines()) + b"]")
    return rows
