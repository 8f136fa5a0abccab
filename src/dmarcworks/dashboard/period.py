"""Which days a page is about, and the days before them that its figures are compared with. Pure.

The range is that of `analytics/period.py`. When no end is requested and no report is about those days, the page shows
as many days up to the newest one that a report is about, and states this: old reports are seen too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from dmarcworks.analytics.period import LONGEST, STANDARD, parse_count, parse_day, range_of
from dmarcworks.errors import UsageError

__all__ = ["STANDARD", "Period", "parse_day", "period"]

# Reports about a day come within two days of its end; the days before that are complete, or their lack is news.
USUAL_DELAY = 2
_EARLIEST, _LATEST = date(1970, 1, 1), date(9000, 1, 1)


@dataclass(frozen=True, slots=True)
class Period:
    """First and last day, both included. `until` is set when it does not end today; `moved`: to where reports are."""

    first: date
    last: date
    until: date | None = None
    moved: bool = False

    @property
    def days(self) -> int:
        """How many days."""
        return (self.last - self.first).days + 1

    @property
    def before(self) -> Period:
        """As many days, right before."""
        return self.compared(self.last)

    def compared(self, newest: date) -> Period:
        """The days before that are comparable: as many as this period has had reports for yet.

        Reports about the last two days may still be on their way; a longer silence is a fall and counts.
        """
        covered = max(self.first, min(newest, self.last), self.last - timedelta(days=USUAL_DELAY))
        last = self.first - timedelta(days=1)
        return Period(last - (covered - self.first), last, last)


def period(query: Callable[[str], str], newest: date | None, today: date) -> Period:
    """The period that a page's address names: `days`, `first`, `last` (or `until`). `UsageError` if invalid."""
    first = parse_day(query("first"), "first")
    last = parse_day(query("last"), "last") or parse_day(query("until"), "until")
    days = parse_count(query("days"))
    begin, end = range_of(days, first, last, today)
    if begin < _EARLIEST or end > _LATEST:
        raise UsageError(f"a period lies between {_EARLIEST} and {_LATEST}")
    if (end - begin).days >= LONGEST:
        raise UsageError(f"a period has at most {LONGEST:,} days")
    if first is None and last is None and newest is not None and newest < begin:
        return Period(newest - (end - begin), newest, newest, moved=True)
    return Period(begin, end, None if end == today else end)
