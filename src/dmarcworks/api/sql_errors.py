"""The engine's error for a statement, as a sentence about the statement that the user wrote.

The engine sees our rewriting of it: restricted tables, WITH queries and sums under names of our own. Its errors
quote that, so the quotations are cut off, positions are looked up in the user's text, and a sentence that still holds
something of ours is replaced by its error code alone.
"""

from __future__ import annotations

import re

from dmarcworks.analytics.schema import QUERYABLE_TABLES
from dmarcworks.api.sql import sums
from dmarcworks.api.sql.allow import Statement
from dmarcworks.api.sql.refusals import suggest
from dmarcworks.bindings.contracts import QueryBounds

__all__ = ["explain"]

_COLUMNS = tuple(
    name
    for table in QUERYABLE_TABLES.values()
    for name in (*(column.name for column in table.columns), *(alias.name for alias in table.aliases))
)
_IDENTIFIER = re.compile(r"(?:[Ii]dentifier|column) [`']([^`']{1,200})[`']")
_SYNTAX = re.compile(r"Syntax error.*?: failed at position \d+ \((.{1,100}?)\)(?: \(line \d+, col \d+\))?:", re.DOTALL)
_CODE = re.compile(r"\(([A-Z][A-Z_]{3,})\)\s*$")
# Where a sentence goes over into the statement as the engine has it, its plan, its advice or its version.
_TAIL = re.compile(
    r"[.:,;]? (?:In scope|In query|in query|While|while (?:executing|processing|converting)|Maybe you meant"
    r"|Note: |Expected one of|Stack trace|DB::Exception)\b.*|\(version [^)]*\)|\.? ?\([A-Z][A-Z_]{3,}\)\s*$",
    re.DOTALL,
)
_HEAD = re.compile(r"^(?:Code: \d+\. )?(?:DB::Exception: )?")
_INNER_NAME = re.compile(r"\b(?:__table\d+\.|with_(?=\w))")
# What must not be in any response, unless the user wrote it.
_INTERNAL = re.compile(r"PREWHERE|account_id = '|domain_id IN|throwIf|__table|\bwith_|_CAST\b|[0-9a-f]{32}")
_OPERATORS = {
    "plus": "+", "minus": "-", "multiply": "*", "divide": "/", "modulo": "%", "negate": "-", "concat": "||",
    "equals": "=", "notEquals": "!=", "less": "<", "greater": ">", "lessOrEquals": "<=", "greaterOrEquals": ">=",
    "like": "LIKE", "notLike": "NOT LIKE", "ilike": "ILIKE", "notILike": "NOT ILIKE",
}  # fmt: skip
_FUNCTION = re.compile(r"\bfunction (\w+)")


def explain(text: str, statement: Statement, bounds: QueryBounds) -> str:
    """The engine's complaint as a sentence that names the trouble and the near name."""
    if "TIMEOUT_EXCEEDED" in text:
        return f"the query took longer than {bounds.seconds:g} seconds; query fewer days or columns"
    if "MEMORY_LIMIT_EXCEEDED" in text:
        return f"the query needs more than {bounds.memory >> 20} MiB of memory; query fewer days or groups"
    if "TOO_MANY_ROWS" in text:
        if "max bytes" in text:
            return f"the result is larger than {bounds.memory >> 20} MiB; add a LIMIT or query fewer columns"
        return f"the result has more than {bounds.rows} rows; add a LIMIT or query fewer days"
    if sums.OVERFLOW in text:
        return sums.TOO_LARGE
    if "UNKNOWN_IDENTIFIER" in text and (match := _IDENTIFIER.search(text)):
        name = match[1].rpartition(".")[2]
        known = {*_COLUMNS, *statement.names} - {name}
        # A column of ours that is not in reach here is spelt right.
        near = "" if name in _COLUMNS else suggest(name, known)
        error = f"unable to find type of column: {match[1]}{near}"
    elif "SYNTAX_ERROR" in text:
        error = _syntax(text, statement.text)
    else:
        error = _plain(text, statement.text)
    if any(word not in statement.text for word in _INTERNAL.findall(error)):
        code = _CODE.search(text)
        error = f"the engine refuses this query{f' ({code[1]})' if code else ''}"
    return f"Input was invalid: {error[:300]}"


def _plain(text: str, written: str) -> str:
    short = _INNER_NAME.sub("", _TAIL.sub("", _HEAD.sub("", text))).strip().rstrip(".:,")

    def shown(match: re.Match[str]) -> str:
        """An operator of the statement is a function in the engine's words."""
        sign = _OPERATORS.get(match[1])
        return match[0] if sign is None or re.search(rf"\b{match[1]}\s*\(", written, re.I) else f"operator {sign}"

    return _FUNCTION.sub(shown, short) or "the engine refuses this query"


def _syntax(text: str, written: str) -> str:
    """The word at which the engine stopped, with its place in the user's text when it occurs there once."""
    match = _SYNTAX.search(text)
    word = match[1] if match else ""
    if not word or word not in written:
        return "syntax error"
    if written.count(word) > 1:
        return f"syntax error near {word}"
    before = written[: written.index(word)]
    return (
        f"syntax error at line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}, near {word}"
    )
