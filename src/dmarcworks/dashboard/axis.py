"""The axes of a bar chart as SVG: frame, grid, ticks and labels, written once for every chart. Pure.

Bars start at zero; the value axis has four quiet lines, the other one a few labels, however many bars there are.
A chart is drawn twice, broad and slim: the style sheet shows the one whose text is legible at the width of the window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from dmarcworks.dashboard.format import number

__all__ = ["BarAxes", "ceiling", "drawn", "rect"]

_LEFT, _BOTTOM, _TOP, _LINES = 56, 24, 8, 4
# The least value at the top of an axis, so that its four lines are whole numbers.
_LEAST = 4


def ceiling(value: int) -> int:
    """The top of the axis: the least round number that four lines divide evenly and that holds the value."""
    step = 1
    while True:
        for lead in (4, 8, 12, 16, 20, 24, 28, 32, 36):
            if value <= lead * step:
                return lead * step
        step *= 10


def rect(kind: str, x: float, y: float, width: float, height: float) -> Markup:
    """A bar or a part of one, with `kind` as its class."""
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
        kind, x, y, width, height
    )


@dataclass(frozen=True, slots=True)
class _Frame:
    kind: str
    width: int
    height: int
    labels: int

    @property
    def plot(self) -> int:
        return self.height - _BOTTOM - _TOP


_BROAD = _Frame("broad", 1128, 240, 6)
# The width of a card on a phone of 390 px, so that the text keeps its size there.
_SLIM = _Frame("slim", 334, 200, 3)


@dataclass(frozen=True, slots=True)
class BarAxes:
    """The axes of `bars` bars; `top` is the value at the upper end."""

    bars: int
    top: int
    frame: _Frame = _BROAD

    @classmethod
    def holding(cls, bars: int, *values: int) -> BarAxes:
        """The axes that hold the values."""
        return cls(bars, ceiling(max([_LEAST, *values])))

    @property
    def base(self) -> int:
        """The y coordinate of zero."""
        return self.frame.height - _BOTTOM

    @property
    def width(self) -> float:
        """The width of a bar."""
        return self._slot * (0.8 if self.bars > 14 else 0.6)

    @property
    def scale(self) -> float:
        """The height of one."""
        return self.frame.plot / self.top

    def left(self, index: int) -> float:
        """Where a bar begins."""
        return _LEFT + self._slot * index + (self._slot - self.width) / 2

    def point(self, index: int, value: float) -> str:
        """The place of a value over the middle of a bar, for a line."""
        return f"{_LEFT + self._slot * (index + 0.5):.1f},{self.base - value * self.scale:.1f}"

    def shade(self, index: int) -> Markup:
        """A quiet ground behind a bar, over the whole height of the plot."""
        return rect("covered", _LEFT + self._slot * index, _TOP, self._slot, self.frame.plot)

    def mark(self, index: int, title: str) -> Markup:
        """A tick at the top of a day and a line down to zero, for what happened on it."""
        x = _LEFT + self._slot * (index + 0.5)
        return Markup(
            '<g class="mark"><title>{}</title><line x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>'
            '<path d="M{:.1f},{} l-5,-8 h10 z"/></g>'
        ).format(title, x, x, _TOP, self.base, x, _TOP + 4)

    def opening(self, description: str) -> Markup:
        """The start of the SVG: its frame, the grid and the value at each line."""
        parts = [
            # A group, not an image: the bars in it are links.
            Markup('<svg class="bars {}" viewBox="0 0 {} {}" role="group" aria-label="{}">').format(
                self.frame.kind, self.frame.width, self.frame.height, description
            )
        ]
        for line in range(_LINES + 1):
            y = self.base - self.frame.plot * line / _LINES
            parts.append(
                Markup(
                    '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
                    '<text x="{}" y="{:.1f}" text-anchor="end">{}</text>\n'
                ).format(_LEFT, self.frame.width, y, y, _LEFT - 8, y + 4, number(self.top * line // _LINES))
            )
        return Markup("").join(parts)

    def label(self, index: int, text: str) -> Markup:
        """The text under a bar; nothing under most, so that labels do not overlap."""
        if index % max(1, round(self.bars / self.frame.labels)):
            return Markup("")
        return Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>\n').format(
            self.left(index) + self.width / 2, self.frame.height - 4, text
        )

    @property
    def _slot(self) -> float:
        return (self.frame.width - _LEFT) / max(1, self.bars)


def drawn(axes: BarAxes, draw: Callable[[BarAxes], Markup]) -> Markup:
    """The chart for a broad window and the one for a slim window."""
    # Line breaks keep the labels apart in browsers that show text only.
    return draw(axes) + Markup("\n") + draw(BarAxes(axes.bars, axes.top, _SLIM))
