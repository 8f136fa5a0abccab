"""Figures and times as people read them. Pure; unknown is "–", never 0.

Percentages never round up to "100 %" or down to "0 %" what is not exactly that.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import partial

from dmarcworks.enrich.shares import percent

__all__ = [
    "FILTERS",
    "UNKNOWN",
    "ago",
    "change",
    "day",
    "days_between",
    "duration",
    "exact",
    "moment",
    "number",
    "percent",
    "plural",
    "points",
    "short_day",
    "size",
    "unix",
]

UNKNOWN = "–"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def number(value: int | None) -> str:
    """1234567 as 1,234,567."""
    return UNKNOWN if value is None else f"{value:,}"


def plural(value: int, one: str, many: str = "") -> str:
    """The number with its noun: "1 report" or "2 reports"."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def change(current: int, before: int, days: tuple[int, int] = (1, 1)) -> str:
    """How a count changed from the previous period, in words.

    `days` are the days with reports, now and before: with less than half of them before, no percentage is honest.
    """
    if before and days[1] * 2 < days[0]:
        return f"the previous period has reports about only {plural(days[1], 'day')}"
    if not before:
        return "none in the previous period" if current else "none in either period"
    share = (current - before) * 100 / before
    if current == before:
        return "unchanged from the previous period"
    if abs(share) >= 1000:
        return f"{'+' if current > before else '−'}{abs(current - before):,} from the previous period"
    return f"{'+' if current > before else '−'}{abs(share):.1f} % from the previous period"


def points(current: tuple[int, int], before: tuple[int, int]) -> str:
    """How a rate, given as (part, whole), changed in percentage points."""
    if not current[1] or not before[1]:
        return "none in the previous period" if current[1] else UNKNOWN
    delta = 100 * current[0] / current[1] - 100 * before[0] / before[1]
    if abs(delta) < 0.05:
        return "unchanged from the previous period"
    return f"{'+' if delta > 0 else '−'}{abs(delta):.1f} points"


def day(value: date | None) -> str:
    """24 Nov 2026."""
    return UNKNOWN if value is None else f"{value.day} {_MONTHS[value.month - 1]} {value.year}"


def short_day(value: date) -> str:
    """24 Nov."""
    return f"{value.day} {_MONTHS[value.month - 1]}"


def exact(value: datetime) -> str:
    """2026-11-24 13:10:27 UTC."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def moment(value: datetime) -> str:
    """24 Nov 2026, 13:10."""
    value = value.astimezone(UTC)
    return f"{day(value.date())}, {value:%H:%M}"


def unix(seconds: int) -> datetime | None:
    """A reporter's unix time, or None when it lies outside what a calendar holds (reporters send years like 55840)."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def ago(value: datetime, now: datetime) -> str:
    """How long ago, in words."""
    seconds = max(0.0, (now - value).total_seconds())
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return plural(int(seconds // 60), "minute") + " ago"
    if seconds < 86400:
        return plural(int(seconds // 3600), "hour") + " ago"
    if seconds < 30 * 86400:
        return plural(int(seconds // 86400), "day") + " ago"
    return "on " + day(value.astimezone(UTC).date())


def duration(seconds: float) -> str:
    """A time that has passed, in its largest unit: 42 s, 5 min, 3 h, 2 days."""
    if seconds < 60:
        return f"{int(seconds)} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min"
    if seconds < 2 * 86400:
        return f"{int(seconds // 3600)} h"
    return plural(int(seconds // 86400), "day")


def size(value: int | None) -> str:
    """Bytes as "12 kB"."""
    if value is None:
        return UNKNOWN
    if value < 1000:
        return plural(value, "byte")
    if value < 1_000_000:
        return f"{value / 1000:.1f} kB"
    return f"{value / 1_000_000:.1f} MB"


def days_between(first: date, last: date) -> list[date]:
    """Every day from first to last, both included."""
    return [first + timedelta(days=step) for step in range((last - first).days + 1)]


FILTERS = {
    "number": number,
    "plural": plural,
    "day": day,
    "short_day": short_day,
    "exact": exact,
    "moment": moment,
    "unix": unix,
    "size": size,
    "duration": duration,
    "iso": partial(datetime.isoformat, timespec="seconds"),
}
