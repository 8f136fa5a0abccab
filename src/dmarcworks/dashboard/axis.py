"""The axes of a bar chart as SVG: frame, grid, ticks and labels, written once for every chart. Pure.

Bars start at zero; the value axis has four quiet lines, the other one about six labels, however many bars there are.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from dmarcworks.dashboard.format import number

__all__ = ["BarAxes", "ceiling", "rect"]

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 1128, 240, 56, 24, 8
_PLOT = _HEIGHT - _BOTTOM - _TOP
_LINES, _LABELS = 4, 6
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
class BarAxes:
    """The axes of `bars` bars; `top` is the value at the upper end."""

    bars: int
    top: int

    base = _HEIGHT - _BOTTOM
    """The y coordinate of zero."""

    @classmethod
    def holding(cls, bars: int, *values: int) -> BarAxes:
        """The axes that hold the values."""
        return cls(bars, ceiling(max([_LEAST, *values])))

    @property
    def width(self) -> float:
        """The width of a bar."""
        return self._slot * (0.8 if self.bars > 14 else 0.6)

    @property
    def scale(self) -> float:
        """The height of one."""
        return _PLOT / self.top

    def left(self, index: int) -> float:
        """Where a bar begins."""
        return _LEFT + self._slot * index + (self._slot - self.width) / 2

    def point(self, index: int, value: float) -> str:
        """The place of a value over the middle of a bar, for a line."""
        return f"{_LEFT + self._slot * (index + 0.5):.1f},{_TOP + _PLOT - _PLOT * value / self.top:.1f}"

    def shade(self, index: int) -> Markup:
        """A quiet ground behind a bar, over the whole height of the plot."""
        return rect("covered", _LEFT + self._slot * index, _TOP, self._slot, _PLOT)

    def opening(self, description: str) -> Markup:
        """The start of the SVG: its frame, the grid and the value at each line."""
        parts = [
            Markup('<svg class="bars" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
                _WIDTH, _HEIGHT, description
            )
        ]
        for line in range(_LINES + 1):
            y = _TOP + _PLOT - _PLOT * line / _LINES
            parts.append(
                Markup(
                    '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
                    '<text x="{}" y="{:.1f}" text-anchor="end">{}</text>'
                ).format(_LEFT, _WIDTH, y, y, _LEFT - 8, y + 4, number(self.top * line // _LINES))
            )
        return Markup("").join(parts)

    def label(self, index: int, text: str) -> Markup:
        """The text under a bar; nothing under most, so that labels do not overlap."""
        if index % max(1, round(self.bars / _LABELS)):
            return Markup("")
        return Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
            self.left(index) + self.width / 2, _HEIGHT - 4, text
        )

    @property
    def _slot(self) -> float:
        return (_WIDTH - _LEFT) / max(1, self.bars)
