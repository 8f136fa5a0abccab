"""Which days a range means: the one definition for pages, REST, GraphQL examples and commands. Pure.

The last N days are the N UTC days up to and including today. `first` and `last` are inclusive; `first` alone reaches to
today, `last` alone covers 30 days. An invalid range is a `UsageError`, never another range.
"""

from __future__ import annotations

from datetime import date, timedelta

from dmarcworks.errors import UsageError

__all__ = ["LONGEST", "STANDARD", "last_days", "parse_count", "parse_day", "range_of"]

STANDARD = 30
# Ten years: the most that a page draws, with a bar for each day.
LONGEST = 3660


def last_days(number: int, today: date) -> tuple[date, date]:
    """The first and the last of the `number` days up to and including today."""
    return _before(today, number), today


def range_of(days: int | None, first: date | None, last: date | None, today: date) -> tuple[date, date]:
    """The first and the last day of a range as it was given; by default the last 30 days."""
    if days is not None and not 1 <= days <= LONGEST:
        raise UsageError(f"days must be a number from 1 to {LONGEST:,}")
    if days is not None and first is not None:
        raise UsageError("days and first exclude each other: give days with last, or first with last")
    if first is None:
        end = last or today
        return _before(end, days or STANDARD), end
    end = last or max(today, first)
    if end < first:
        raise UsageError(f"the period ends before it begins: {first} to {end}")
    return first, end


def parse_day(text: str, name: str = "day") -> date | None:
    """A day written 2026-11-24; None for an empty text, `UsageError` for any other."""
    if not text:
        return None
    try:
        # Other forms of ISO 8601 (20261124, 2026-W48-2) are refused, as REST refuses them.
        if len(text) == 10 and text[4] == text[7] == "-" and text.replace("-", "").isdecimal():
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise UsageError(f"{name} must be a day like 2026-11-24, not {text[:40]!r}")


def parse_count(text: str) -> int | None:
    """A number of days; None for an empty text, `UsageError` for what is no number from 1 to 3,660."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= LONGEST):
        raise UsageError(f"days must be a number from 1 to {LONGEST:,}, not {text[:40]!r}")
    return int(text)


def _before(end: date, number: int) -> date:
    """The first of the `number` days up to `end`; the calendar's first day where it does not reach further."""
    return end - timedelta(days=min(number - 1, (end - date.min).days))
