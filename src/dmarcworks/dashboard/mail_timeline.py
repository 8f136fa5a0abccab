"""Mails over time as stacked bars, without JavaScript. Pure: buckets in, escaped SVG out.

Here a step without a mail is a true zero: the log knows. Each bar is a link to its own step's lines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from markupsafe import Markup

from dmarcworks.catalogue.activity import Bucket
from dmarcworks.dashboard.axis import BarAxes, drawn, rect
from dmarcworks.dashboard.format import number, plural, short_day

# From the axis upwards: class of the bar, its word, the outcomes in it.
STACK = (
    ("pass", "accepted", ("handled", "replied")),
    ("forwarded", "forwarded", ("forwarded",)),
    ("dropped", "dropped", ("dropped",)),
    ("rejected", "rejected", ("rejected",)),
    ("fail", "deferred", ("failed",)),
)


@dataclass(frozen=True, slots=True)
class Span:
    """A preset of the page: its name in the address, its words, its length, and seconds per bar."""

    key: str
    words: str
    length: timedelta
    step: int


SPANS = (
    Span("30m", "30 minutes", timedelta(minutes=30), 60),
    Span("6h", "6 hours", timedelta(hours=6), 600),
    Span("24h", "24 hours", timedelta(hours=24), 1800),
    Span("7d", "7 days", timedelta(days=7), 21_600),
    Span("30d", "30 days", timedelta(days=30), 86_400),
)


def step_for(length: timedelta) -> int:
    """Seconds per bar of a range that is no preset: that of the least preset that holds it, else about 30 bars."""
    step = next((span.step for span in SPANS if length <= span.length), None)
    return step or -(-int(length.total_seconds()) // 30 // 86_400) * 86_400 or 86_400


def clock(moment: datetime, step: int) -> str:
    """The label under a bar: a time for short steps, a day for long ones."""
    return f"{moment:%H:%M}" if step < 21_600 else short_day(moment.date())


def bars(buckets: Sequence[Bucket], step: int, link: Callable[[Bucket], str]) -> Markup:
    """The chart; the table below it shows the same numbers."""
    axes = BarAxes.holding(len(buckets), *(bucket.received for bucket in buckets))
    return drawn(axes, partial(_chart, buckets, step, link))


def _chart(buckets: Sequence[Bucket], step: int, link: Callable[[Bucket], str], axes: BarAxes) -> Markup:
    parts = [axes.opening("Mail over time by outcome; the table below has the same numbers")]
    for index, bucket in enumerate(buckets):
        if bucket.received:
            parts.append(_bar(bucket, link(bucket), axes.left(index), axes))
        parts.append(axes.label(index, clock(bucket.start, step)))
    parts.append(Markup("</svg>"))
    return Markup("").join(parts)


def _bar(bucket: Bucket, href: str, x: float, axes: BarAxes) -> Markup:
    base, rects, words = float(axes.base), Markup(""), []
    for kind, word, outcomes in STACK:
        mails = sum(bucket.outcomes.get(outcome, 0) for outcome in outcomes)
        if not mails:
            continue
        height = max(mails * axes.scale, 1.0)
        rects += rect(kind, x, base - height, axes.width, height)
        base -= height
        words.append(f"{number(mails)} {word}")
    title = f"{bucket.start:%H:%M}, {short_day(bucket.start.date())}: {plural(bucket.received, 'mail')}: " + ", ".join(
        words
    )
    return Markup('<a href="{}"><title>{}</title>{}</a>').format(href, title, rects)
