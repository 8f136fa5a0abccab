"""Users' SQL on its way to the analytics store: only a SELECT that writes no file and reaches nothing outside passes.

This is the second line of defence behind `allow`, which rewrites every statement; neither relies on the other. A
session of the engine that may only read still runs `SELECT … INTO OUTFILE`, `file('…')` and `s3(…)`, and several
statements in one text. So the engine itself parses the text first, and what it has understood is searched.

Everything in `api` that queries the store does so through `CheckedQueries`
(docs/decisions/2026-11-24-read-only-sessions.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dmarcworks.bindings.contracts import Analytics, QueryBounds
from dmarcworks.errors import QueryError, StoreError

__all__ = ["CheckedQueries"]

# Literals and quoted names of a statement as the engine writes it: their content is no keyword and no function.
_QUOTED = re.compile(r"'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.|``)*`|\"(?:[^\"\\]|\\.|\"\")*\"", re.DOTALL)
_CLAUSES = re.compile(r"\b(INTO OUTFILE|SETTINGS(?= \w+ = ))")
_WORDS = re.compile(r"\w+")
_CALLS = re.compile(r"\b(\w+)\s*\(")
_HARMLESS_TABLES = frozenset(
    ("format", "generate_series", "generateseries", "null", "numbers", "values", "view", "zeros")
)
_TABLES = "SELECT lower(name) FROM system.table_functions"
# Reach outside as scalar functions, which read-only does not refuse. They may also be named without a call, as in
# APPLY(file) and arrayMap(file, …), so the bare word is refused.
_REACHING = "SELECT lower(name) FROM system.functions WHERE match(name, '^(?i:file|catboostEvaluate)$|^(ai|AI)[A-Z]')"
_CHECK = "SELECT formatQuerySingleLine({q:String})"
_CHECKING = re.compile(r": In scope SELECT formatQuerySingleLine.*?(?= \(SYNTAX_ERROR\)$)", re.DOTALL)
# Statements that passed: the dashboard and programs repeat the same ones.
_REMEMBERED = 512
_REMEMBERED_TEXT = 16_384


class CheckedQueries:
    """Queries of tenants on an analytics store: each statement is checked, then run read-only and bounded."""

    def __init__(self, analytics: Analytics) -> None:
        self._analytics = analytics
        self._external_names: tuple[frozenset[str], frozenset[str]] | None = None
        self._passed: dict[str, None] = {}

    async def query(
        self, statement: str, parameters: Mapping[str, Any] | None = None, *, format: str, bounds: QueryBounds
    ) -> bytes:
        """The result in the format's bytes; `QueryError` when the check or the engine refuses, or a bound is hit."""
        if statement not in self._passed:
            await self.check(statement)
            self._remember(statement)
        return await self._analytics.query(statement, parameters, format=format, bounds=bounds)

    async def check(self, statement: str) -> None:
        """`QueryError` unless the engine reads one SELECT that writes no file and reaches nothing outside."""
        try:
            statement.encode()
        except UnicodeEncodeError:
            raise QueryError("the statement is not UTF-8 text") from None
        tables, reaching = await self._reaching()
        try:
            formatted = await self._analytics.query(_CHECK, {"q": statement}, format="RawBLOB", bounds=QueryBounds())
        except QueryError as error:
            raise QueryError(_CHECKING.sub("", str(error))) from None
        canonical = formatted.decode(errors="replace")
        text = _QUOTED.sub("''", canonical)
        if not text.startswith(("SELECT ", "WITH ")):
            raise QueryError("only SELECT is answered here (QUERY_IS_PROHIBITED)")
        if clause := _CLAUSES.search(text):
            raise QueryError(f"{clause[1]} is not answered here (QUERY_IS_PROHIBITED)")
        words = {word.strip('`"').lower() for word in (*_WORDS.findall(text), *_QUOTED.findall(canonical))}
        external = words & reaching or {name.lower() for name in _CALLS.findall(text)} & tables
        if external:
            raise QueryError(f"{min(external)} is not answered here: it reaches outside (QUERY_IS_PROHIBITED)")

    async def _reaching(self) -> tuple[frozenset[str], frozenset[str]]:
        """The names of the engine's table functions and of its functions that reach outside."""
        if self._external_names is None:
            tables, functions = await self._names(_TABLES), await self._names(_REACHING)
            if not tables or not functions:
                raise StoreError("the analytics store does not list its functions, so no SQL can be checked")
            self._external_names = tables - _HARMLESS_TABLES, functions
        return self._external_names

    async def _names(self, statement: str) -> frozenset[str]:
        names = await self._analytics.query(statement, format="TabSeparatedRaw", bounds=QueryBounds())
        return frozenset(names.decode().split())

    def _remember(self, statement: str) -> None:
        if len(statement) <= _REMEMBERED_TEXT:
            if len(self._passed) >= _REMEMBERED:
                self._passed.clear()
            self._passed[statement] = None
