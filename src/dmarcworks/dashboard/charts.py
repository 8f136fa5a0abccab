"""Charts as numbers and as SVG, without JavaScript. Pure: figures in, escaped markup or plain data out.

A day without a report is a gap, never a zero. No inline style: the pages' policy allows none, so SVG carries attributes
and classes only. The axes are those of `axis.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any

from markupsafe import Markup, escape

from dmarcworks.analytics.questions.all import DayVolume, SenderDay
from dmarcworks.dashboard.axis import BarAxes, drawn, rect
from dmarcworks.dashboard.format import day as day_text
from dmarcworks.dashboard.format import days_between, number, short_day

SPARK_WIDTH, SPARK_HEIGHT = 90, 24
SHARE_WIDTH = 72
# A bar is at least two pixels wide with its gap.
MOST_BARS = 45


@dataclass(frozen=True, slots=True)
class DayBar:
    """A day on the axis: its figures, or None for a gap; `before`: the messages one length of the period earlier."""

    day: date
    volume: DayVolume | None
    before: int | None
    # How many days the longest report that is counted here covers, and whether a report over several days is about it.
    covers: int = 1
    shaded: bool = False


def bars(
    volumes: Sequence[DayVolume],
    before: Sequence[DayVolume],
    first: date,
    last: date,
    long: Mapping[date, int] | None = None,
) -> tuple[DayBar, ...]:
    """One bar per day of the period, with the same day of the period before; `long` are reports over several days."""
    long = long or {}
    shaded = {day for begin, number in long.items() for day in days_between(begin, begin + timedelta(days=number - 1))}
    days = days_between(first, last)
    shift = timedelta(days=len(days))
    current = {volume.day: volume for volume in volumes}
    previous = {volume.day: volume.messages for volume in before}
    return tuple(
        DayBar(day, current.get(day), previous.get(day - shift), long.get(day, 1), day in shaded) for day in days
    )


def chart_data(series: Sequence[DayBar], link: Callable[[date], str]) -> dict[str, Any]:
    """What the browser's chart draws: plain numbers and our own texts."""
    volumes = [bar.volume for bar in series]
    return {
        "days": [day_text(bar.day) for bar in series],
        "labels": [short_day(bar.day) for bar in series],
        "links": [link(bar.day) for bar in series],
        "pass": [None if volume is None else volume.passed for volume in volumes],
        "fail": [None if volume is None else volume.failed for volume in volumes],
        "quarantined": [None if volume is None else volume.quarantined for volume in volumes],
        "rejected": [None if volume is None else volume.rejected for volume in volumes],
        "reports": [None if volume is None else volume.reports for volume in volumes],
        "before": [bar.before for bar in series],
        "covers": [bar.covers for bar in series],
        "shaded": [bar.shaded for bar in series],
        "top": _axes(series).top,
    }


def chart_svg(series: Sequence[DayBar], link: Callable[[date], str], marks: Mapping[date, str] | None = None) -> Markup:
    """The same chart as an SVG, which the page shows until the browser's chart replaces it. `marks` are days at which
    something happened, with what it was."""
    return drawn(_axes(series), partial(_chart, series, link, marks or {}))


def _chart(series: Sequence[DayBar], link: Callable[[date], str], marks: Mapping[date, str], axes: BarAxes) -> Markup:
    parts = [axes.opening("Messages per day by result; the table below has the same numbers")]
    for index, bar in enumerate(series):
        if bar.shaded:
            parts.append(axes.shade(index))
        if bar.volume is not None:
            parts.append(_bar(bar.day, bar.volume, link(bar.day), axes.left(index), axes))
        if bar.day in marks:
            parts.append(axes.mark(index, f"{day_text(bar.day)}: {marks[bar.day]}"))
        parts.append(axes.label(index, short_day(bar.day)))
    for run in _runs([None if bar.before is None else float(bar.before) for bar in series]):
        points = " ".join(axes.point(index, value) for index, value in run)
        parts.append(Markup('<polyline class="before" points="{}"/>').format(points))
    parts.append(Markup("</svg>"))
    return Markup("").join(parts)


def sparkline(daily: Sequence[tuple[date, int, int]], first: date, last: date, label: str) -> Markup:
    """Messages per day as a small line; gaps stay gaps, a single day is a dot."""
    by_day = {day: messages for day, messages, _ in daily}
    days = days_between(first, last)
    top = max([1, *by_day.values()])
    step = SPARK_WIDTH / max(1, len(days) - 1)
    parts = [
        Markup('<svg class="spark" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">').format(
            SPARK_WIDTH, SPARK_HEIGHT, SPARK_WIDTH, SPARK_HEIGHT, label
        )
    ]
    values = [None if day not in by_day else float(by_day[day]) for day in days]
    for run in _runs(values):
        places = [(index * step, SPARK_HEIGHT - 2 - (SPARK_HEIGHT - 4) * value / top) for index, value in run]
        if len(places) == 1:
            x, y = places[0]
            parts.append(Markup('<circle cx="{:.1f}" cy="{:.1f}" r="1.5"/>').format(min(max(x, 2), SPARK_WIDTH - 2), y))
        else:
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            parts.append(Markup('<polyline points="{}"/>').format(points))
    parts.append(Markup("</svg>"))
    return Markup("").join(parts)


def volume_bars(daily: Sequence[SenderDay], first: date, last: date, label: str) -> Markup:
    """Messages per day as small bars, what failed on top; in a long period a bar is several days. A gap stays a gap."""
    days = days_between(first, last)
    together = -(-len(days) // MOST_BARS)
    sums: dict[int, tuple[int, int]] = {}
    for one in daily:
        place = (one.day - first).days // together
        passed, failed = sums.get(place, (0, 0))
        sums[place] = (passed + one.passed, failed + one.failed)
    scale = (SPARK_HEIGHT - 2) / max([1, *(passed + failed for passed, failed in sums.values())])
    step = SPARK_WIDTH / -(-len(days) // together)
    parts = [
        Markup('<svg class="volume" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">').format(
            SPARK_WIDTH, SPARK_HEIGHT, SPARK_WIDTH, SPARK_HEIGHT, label
        )
    ]
    for place, (passed, failed) in sorted(sums.items()):
        x, width = place * step, max(step - 1, step * 0.7)
        low, high = passed * scale, failed * scale
        if passed:
            parts.append(rect("pass", x, SPARK_HEIGHT - max(low, 1.0), width, max(low, 1.0)))
        if failed:
            parts.append(rect("fail", x, SPARK_HEIGHT - low - max(high, 1.0), width, max(high, 1.0)))
    parts.append(Markup("</svg>"))
    return Markup("").join(parts)


def share(part: int, whole: int) -> Markup:
    """A bar of 72 px that shows a share; the page prints the number next to it."""
    filled = 0.0 if whole <= 0 else SHARE_WIDTH * min(part, whole) / whole
    return Markup(
        '<svg class="share" width="{}" height="6" aria-hidden="true"><rect class="rest" width="{}" height="6" rx="3"/>'
        '<rect class="pass" width="{:.1f}" height="6" rx="3"/></svg>'
    ).format(SHARE_WIDTH, SHARE_WIDTH, filled)


def _bar(day: date, volume: DayVolume, href: str, x: float, axes: BarAxes) -> Markup:
    passed, failed = volume.passed * axes.scale, volume.failed * axes.scale
    gap = 1.0 if passed > 1 and failed > 0 else 0.0
    title = f"{day_text(day)}: {number(volume.passed)} pass, {number(volume.failed)} fail"
    rects = Markup("")
    if volume.passed:
        rects += rect("pass", x, axes.base - passed, axes.width, max(passed, 1.0))
    if volume.failed:
        rects += rect("fail", x, axes.base - passed - failed - gap, axes.width, max(failed, 1.0))
    return Markup('<a href="{}"><title>{}</title>{}</a>').format(escape(href), title, rects)


def _axes(series: Sequence[DayBar]) -> BarAxes:
    values = [bar.volume.messages for bar in series if bar.volume is not None]
    return BarAxes.holding(len(series), *values, *(bar.before for bar in series if bar.before is not None))


def _runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """The stretches of values without a gap, as (index, value)."""
    runs: list[list[tuple[int, float]]] = [[]]
    for index, value in enumerate(values):
        if value is not None:
            runs[-1].append((index, value))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]
