"""A SQL result as a page shows it: cells as text, its chart as numbers, its CSV. Pure; all of it is strangers' text.

Shown are at most 1,000 rows; the CSV has all. A chart needs a column of times or text and one of numbers. In CSV a text
that a spreadsheet would run as a formula gets an apostrophe before it.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dmarcworks.api.spreadsheet import harmless

SHOWN = 1_000
SERIES = 6
TIMES, TEXTS = 400, 40
CELL_CHARACTERS = 500
_WRAPPED = re.compile(r"^(?:LowCardinality|Nullable)\((.*)\)$")
_NUMBER = re.compile(r"^(?:U?Int\d+|Float\d+|Decimal.*)$")
_DIGITS = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column of a result; `kind` is time, number or text."""

    name: str
    type: str
    kind: str


@dataclass(frozen=True, slots=True)
class Result:
    """A result: its columns and all rows, as JSON values."""

    columns: tuple[ResultColumn, ...]
    rows: list[list[Any]]

    @classmethod
    def of(cls, body: bytes) -> Result:
        """Read the engine's JSONCompact."""
        document = json.loads(body)
        columns = tuple(ResultColumn(c["name"], c["type"], _kind(c["type"])) for c in document["meta"])
        return cls(columns, document["data"])

    @property
    def shown(self) -> list[list[Any]]:
        """The rows that a page shows."""
        return self.rows[:SHOWN]


def cell(value: Any) -> str:
    """A value as text, long ones cut; lists as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= CELL_CHARACTERS else text[:CELL_CHARACTERS] + "…"


def csv_of(result: Result) -> str:
    """The whole result as CSV with names."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([harmless(column.name) for column in result.columns])
    for row in result.rows:
        writer.writerow([_cell(value, column) for value, column in zip(row, result.columns, strict=True)])
    return out.getvalue()


def chart(result: Result) -> dict[str, Any] | None:
    """What the browser draws: `kind` (bar or line), `labels`, `series` of name and values; None when there is nothing.

    With a time, a text and a number there is a series per text; else one per column of numbers.
    """
    across = next((i for i, c in enumerate(result.columns) if c.kind == "time"), None)
    texts = [i for i, c in enumerate(result.columns) if c.kind == "text"]
    numbers = [i for i, c in enumerate(result.columns) if c.kind == "number"]
    timed = across is not None
    if across is None:
        if not texts:
            return None
        across = texts.pop(0)
    if not numbers or len(result.rows) < 2:
        return None
    rows = [row for row in result.shown if row[across] is not None]
    labels = list(dict.fromkeys(str(row[across]) for row in rows))
    labels = sorted(labels)[-TIMES:] if timed else labels[:TEXTS]
    if timed and texts:
        names = list(dict.fromkeys(cell(row[texts[0]]) for row in rows))[:SERIES]
        series = [_series(n, labels, [r for r in rows if cell(r[texts[0]]) == n], across, numbers[0]) for n in names]
    else:
        series = [_series(result.columns[i].name, labels, rows, across, i) for i in numbers[:SERIES]]
    return {"kind": "line" if timed and len(labels) > 100 else "bar", "labels": labels, "series": series}


def script_json(data: Any) -> str:
    """JSON that is safe inside a script element: it contains no markup."""
    text = json.dumps(data)
    for sign, escaped in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(sign, escaped)
    return text


def _series(name: str, labels: Sequence[str], rows: Sequence[Sequence[Any]], across: int, value: int) -> dict[str, Any]:
    values: dict[str, float] = {}
    for row in rows:
        if isinstance(row[value], int | float):
            label = str(row[across])
            values[label] = values.get(label, 0) + row[value]
    return {"name": name, "values": [values.get(label) for label in labels]}


def _kind(type: str) -> str:
    while match := _WRAPPED.match(type):
        type = match[1]
    if type.startswith("Date"):
        return "time"
    return "number" if _NUMBER.match(type) else "text"


def _cell(value: Any, column: ResultColumn) -> Any:
    if value is None or isinstance(value, int | float):
        return "" if value is None else value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # Numbers of more than 64 bits come as text.
    return text if column.kind == "number" and _DIGITS.fullmatch(text) else harmless(text)
