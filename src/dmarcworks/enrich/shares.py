"""A share of messages as people read it, the same in commands, pages and documents. Pure."""

from __future__ import annotations

__all__ = ["percent"]


def percent(part: int, whole: int) -> str:
    """The share to the nearest tenth, as "96.8 %"; "–" when there is no whole.

    What is not all is never "100 %", and what is not none never "0 %".
    """
    if whole <= 0:
        return "–"
    if part in (0, whole):
        return "100 %" if part else "0 %"
    tenths = min(max(round(part * 1000 / whole), 1), 999)
    return f"{tenths // 10}.{tenths % 10} %"
