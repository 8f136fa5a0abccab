"""What the catalogue promises of a report against what Analytics holds of it: pure, and named difference by difference.

In: a row of the catalogue and what was found. Out: `Difference` values, whose kinds are documented in
docs/operating.md; none when the two agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Row

from dmarcworks.upkeep.verify.figures import KINDS, ReportFigures

__all__ = ["Difference", "compare", "counted"]

_MOST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be. `report` is the report's key, `key` the object's, "" for none."""

    kind: str
    report: str
    key: str
    expected: str
    found: str
    account_id: str = ""
    domain_id: str = ""
    table: str = ""
    repaired: bool = False


def counted(row: Row[Any]) -> bool:
    """Whether Analytics should hold rows of the report."""
    return row.state == "counted" and row.rows_taken is None


def compare(
    key: str, row: Row[Any] | None, stored: Sequence[tuple[str, ReportFigures]], *, waits: bool
) -> list[Difference]:
    """The differences of one report; `waits` when its mail is still to be worked, `stored` is table and rows."""
    differences = []
    mine: ReportFigures | None = None
    for table, held in stored:
        if row is not None and counted(row) and _in_own_table(row, table, held):
            mine = held
        else:
            differences.append(_difference("rows_unknown", key, row, "no rows", _figures_of(held), held, table))
    if row is None or waits or not counted(row):
        return differences
    table = KINDS[row.kind]
    rows, messages = (0, 0) if mine is None else (mine.rows, mine.messages)
    expected, there = _figures(row.records, row.messages), _figures(rows, messages)
    if rows < row.records:
        differences.append(_difference("rows_missing", key, row, expected, there, mine, table))
    elif mine is not None and rows > row.records:
        kind = "rows_double" if mine.positions < rows else "rows_extra"
        differences.append(_difference(kind, key, row, expected, there, mine, table))
    elif mine is not None and min(messages, _MOST) != max(0, row.messages):
        differences.append(_difference("sum_differs", key, row, expected, there, mine, table))
    elif mine is not None and mine.day.isoformat() != row.day:
        differences.append(_difference("day_differs", key, row, row.day, mine.day.isoformat(), mine, table))
    elif not row.published:
        differences.append(_difference("not_published", key, row, "published", "not published", mine, table))
    return differences


def _in_own_table(row: Row[Any], table: str, held: ReportFigures) -> bool:
    return (held.account_id, held.domain_id, table) == (row.account_id, row.domain_id, KINDS.get(row.kind))


def _difference(
    kind: str, key: str, row: Row[Any] | None, expected: str, found: str, held: ReportFigures | None, table: str
) -> Difference:
    where = held if held is not None else row
    return Difference(
        kind,
        key,
        "" if row is None else row.object_key,
        expected,
        found,
        "" if where is None else where.account_id,
        "" if where is None else where.domain_id,
        table,
    )


def _figures(rows: int, messages: int) -> str:
    return f"{rows} rows, {messages} messages"


def _figures_of(held: ReportFigures) -> str:
    return _figures(held.rows, held.messages)
