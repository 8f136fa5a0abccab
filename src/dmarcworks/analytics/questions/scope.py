"""What all questions share: whose rows, which days, which sums; each value bound by the engine.

`Domains` narrows to one domain (its id), to several, or with None to the whole account; an empty list is no domain at
all. The sums are exactly those of `tables.SUMS`, so that the engine answers from the daily sums where it can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeAlias

from dmarcworks.analytics.schema import FIRST_DAY, LAST_DAY
from dmarcworks.analytics.tables import SUMS

__all__ = [
    "NAMED_SUMS",
    "PAGE",
    "SUM_COLUMNS",
    "Counted",
    "Domains",
    "Scope",
    "Slice",
    "SlicePage",
    "counted",
    "day",
    "printable",
    "slice_page",
    "slices",
]

Domains: TypeAlias = str | Sequence[str] | None

SUM_COLUMNS = ("messages", "passed", "dkim_aligned_", "spf_aligned_", "quarantined", "rejected", "reports")
NAMED_SUMS = ", ".join(f"{text} AS {name}" for text, name in zip(SUMS, SUM_COLUMNS, strict=True))
PAGE = "LIMIT {limit:UInt32} OFFSET {offset:UInt32}"


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows of a question: `where` with its `parameters`."""

    where: str
    parameters: dict[str, Any]

    @classmethod
    def of(cls, account_id: str, domains: Domains, first: date | None, last: date | None) -> Scope:
        """An account's rows, of some domains, of a day from `first` to `last`, both inclusive; None is without end."""
        where = "account_id = {account_id:String}"
        parameters: dict[str, Any] = {"account_id": account_id}
        if isinstance(domains, str):
            where += " AND domain_id = {domain_id:String}"
            parameters["domain_id"] = domains
        elif domains is not None:
            where += " AND domain_id IN {domain_ids:Array(String)}"
            parameters["domain_ids"] = list(domains)
        if first is not None or last is not None:
            where += " AND day BETWEEN {first:Date} AND {last:Date}"
            parameters |= {"first": _held(first or FIRST_DAY), "last": _held(last or LAST_DAY)}
        return cls(where, parameters)

    def narrowed(self, condition: str, **parameters: Any) -> Scope:
        """The rows that meet a condition too (our own text; values as parameters)."""
        return Scope(f"{self.where} AND {condition}", self.parameters | parameters)


@dataclass(frozen=True, slots=True)
class Counted:
    """Messages by result."""

    messages: int
    passed: int
    dkim_aligned: int
    spf_aligned: int
    quarantined: int
    rejected: int

    @property
    def failed(self) -> int:
        """Messages that failed DMARC: each passes or fails."""
        return self.messages - self.passed


@dataclass(frozen=True, slots=True)
class Slice(Counted):
    """The messages of one value; `name` is "" where reports state none; `sources` are different addresses."""

    name: str
    sources: int
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class SlicePage:
    """Some values by their messages, most first, and how many values there are."""

    rows: tuple[Slice, ...]
    total: int


def counted(row: Mapping[str, Any]) -> dict[str, int]:
    """The fields of `Counted` in a row that has `NAMED_SUMS`."""
    return {
        "messages": int(row["messages"]),
        "passed": int(row["passed"]),
        "dkim_aligned": int(row["dkim_aligned_"]),
        "spf_aligned": int(row["spf_aligned_"]),
        "quarantined": int(row["quarantined"]),
        "rejected": int(row["rejected"]),
    }


def slices(column: str, scope: Scope) -> str:
    """The statement for messages by a column; rows are read by `slice_page`."""
    return (
        f"SELECT {printable(column)} AS name, {NAMED_SUMS}, uniqExact(source_ip) AS sources, min(day) AS first_day,"  # noqa: S608 - constants; values are bound
        f" max(day) AS last_day, count() OVER () AS total FROM dmarc_reports WHERE {scope.where}"
        f" GROUP BY name ORDER BY messages DESC, name {PAGE}"
    )


def printable(column: str) -> str:
    """A text column's value, "" where it is absent."""
    return f"ifNull(toString({column}), '')"


def slice_page(rows: Sequence[Mapping[str, Any]]) -> SlicePage:
    """The rows of a query by `slices`; a page past the end has no rows and a total of 0."""
    slices = tuple(
        Slice(
            **counted(row),
            name=row["name"],
            sources=int(row["sources"]),
            first_day=day(row["first_day"]),
            last_day=day(row["last_day"]),
        )
        for row in rows
    )
    return SlicePage(slices, int(rows[0]["total"]) if rows else 0)


def day(text: str) -> date:
    """A day as the engine writes it."""
    return date.fromisoformat(text)


def _held(value: date) -> str:
    return min(max(value, FIRST_DAY), LAST_DAY).isoformat()
