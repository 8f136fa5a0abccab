"""Parameters that several routes take, each bounded."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import Path, Query
from pydantic import BeforeValidator

from dmarcworks.analytics.period import LONGEST, parse_day
from dmarcworks.errors import UsageError

__all__ = ["Day", "Days", "DomainFilter", "DomainRef", "EnabledFilter", "Id", "Key", "days"]

_NAME = r"^[A-Za-z0-9._-]{1,253}$"

Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="32 hex digits.")]
Key = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="64 hex digits.")]
DomainRef = Annotated[str, Path(pattern=_NAME, description="The domain's name (A-labels) or id.")]
DomainFilter = Annotated[
    str | None, Query(pattern=_NAME, description="Only this domain, by name (A-labels) or id; else all.")
]
EnabledFilter = Annotated[bool | None, Query(description="Only those that are (true) or are not (false) enabled.")]


def _written_out(value: object) -> object:
    """Only YYYY-MM-DD is a day: a number, such as 30 for "the last 30 days", would be read as seconds since 1970."""
    try:
        if value:
            return parse_day(str(value), "it")
        text = "it must be a day like 2026-11-24, not empty"
    except UsageError as error:
        text = str(error)
    raise ValueError(text)


Day = Annotated[date | None, BeforeValidator(_written_out), Query(description="A UTC day, YYYY-MM-DD, inclusive.")]
Days = Annotated[
    int | None,
    Query(
        ge=1,
        le=LONGEST,
        description="Number of UTC days, up to and including `last` (default: today). Excludes `first`.",
    ),
]


def days(first: date | None, last: date | None) -> None:
    """`UsageError` when a period ends before it begins."""
    if first is not None and last is not None and last < first:
        raise UsageError(f"the period ends before it begins: {first} to {last}")
