"""Runs a statement with its bound values and returns the rows as Python's own numbers and texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dmarcworks.bindings.contracts import Analytics, QueryBounds

__all__ = ["OWN", "QueryRunner"]

# Our own integers come back as JSON numbers, read by Python without loss.
OWN = QueryBounds(seconds=60.0, rows=10_000_000, memory=4 << 30, extra={"output_format_json_quote_64bit_integers": 0})


class QueryRunner:
    """The base of every group of queries: one store."""

    def __init__(self, analytics: Analytics, bounds: QueryBounds = OWN) -> None:
        self._analytics = analytics
        self._bounds = bounds

    async def _query(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        answer = await self._analytics.query(statement, parameters, format="JSONEachRow", bounds=self._bounds)
        return [json.loads(line) for line in answer.splitlines() if line]
