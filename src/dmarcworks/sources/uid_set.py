"""A set of positive whole numbers as ranges, for the UIDs of a folder that are done. Pure.

Its text is that of IMAP's sequence sets (RFC 9051 section 9), such as `1:400,402`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

__all__ = ["UidSet", "sequence_set"]


class UidSet:
    """Ranges in order, never touching."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for number in numbers:
            self.add(number)

    @classmethod
    def of(cls, text: str) -> UidSet:
        """The set that `str` wrote."""
        made = cls()
        for part in text.split(",") if text else ():
            first, _, last = part.partition(":")
            made._starts.append(int(first))
            made._ends.append(int(last or first))
        return made

    def __str__(self) -> str:
        return ",".join(
            str(first) if first == last else f"{first}:{last}"
            for first, last in zip(self._starts, self._ends, strict=True)
        )

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._starts, number) - 1
        return place >= 0 and number <= self._ends[place]

    def __iter__(self) -> Iterator[int]:
        for first, last in zip(self._starts, self._ends, strict=True):
            yield from range(first, last + 1)

    def __bool__(self) -> bool:
        return bool(self._starts)

    def add(self, number: int) -> None:
        """Put a number in."""
        if number in self:
            return
        place = bisect_right(self._starts, number)
        joins_left = place > 0 and self._ends[place - 1] == number - 1
        joins_right = place < len(self._starts) and self._starts[place] == number + 1
        if joins_left and joins_right:
            self._ends[place - 1] = self._ends.pop(place)
            del self._starts[place]
        elif joins_left:
            self._ends[place - 1] = number
        elif joins_right:
            self._starts[place] = number
        else:
            self._starts.insert(place, number)
            self._ends.insert(place, number)

    def discard(self, number: int) -> None:
        """Take a number out if it is there."""
        if number not in self:
            return
        place = bisect_right(self._starts, number) - 1
        first, last = self._starts[place], self._ends[place]
        del self._starts[place], self._ends[place]
        for start, end in ((number + 1, last), (first, number - 1)):
            if start <= end:
                self._starts.insert(place, start)
                self._ends.insert(place, end)

    def compact(self, existing: Sequence[int]) -> UidSet:
        """The same for the existing numbers (ascending), in the fewest ranges: one that does not exist may be in.

        Numbers above the last existing one are not put in: they may come to exist.
        """
        made = UidSet()
        above = 0
        for number in existing:
            if number in self:
                if made._ends and made._ends[-1] == above:
                    made._ends[-1] = number
                else:
                    made._starts.append(above + 1)
                    made._ends.append(number)
            above = number
        return made


def sequence_set(numbers: Iterable[int]) -> str:
    """The numbers as a sequence set."""
    return str(UidSet(sorted(set(numbers))))
