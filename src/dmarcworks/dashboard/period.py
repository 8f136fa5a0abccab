"""Which days a page is about: 7, 30 or 90 of them, up to today or to a given day. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

LENGTHS = (7, 30, 90)
STANDARD = 30
# Reports about a day come within two days of its end; the days before that are complete, or their lack is news.
USUAL_DELAY = 2
_EARLIEST = date(1970, 6, 1)


@dataclass(frozen=True, slots=True)
class Period:
    """First and last day, both included. `until` is set when it does not end now."""

    first: date
    last: date
    until: date | None = None

    @property
    def days(self) -> int:
        """How many days."""
        return (self.last - self.first).days + 1

    @property
    def before(self) -> Period:
        """As many days, right before."""
        last = self.first - timedelta(days=1)
        return Period(last - timedelta(days=self.days - 1), last, last)


def period(days: int, until: date | None, newest: date | None, today: date) -> Period:
    """The period that a page shows.

    It ends with the newest day that a report is about when that is at most two days ago, else two days ago, so that a
    silence shows as one. When nothing at all is in that period it ends with the newest day: old reports are seen too.
    """
    days = days if days in LENGTHS else STANDARD
    if until is not None:
        last = max(until, _EARLIEST)
        return Period(last - timedelta(days=days - 1), last, last)
    usual = today - timedelta(days=USUAL_DELAY)
    if newest is None:
        return Period(today - timedelta(days=days - 1), today)
    if newest > usual - timedelta(days=days):
        last = max(newest, usual)
        return Period(last - timedelta(days=days - 1), last)
    last = max(newest, _EARLIEST)
    return Period(last - timedelta(days=days - 1), last, last)


def parse_day(text: str) -> date | None:
    """A day written 2026-11-24, or None."""
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None
