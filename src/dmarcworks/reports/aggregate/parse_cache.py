"""Text that was read before → what it says: the same reporter says the same of the same domain every day.

Only what depends on the text alone may be kept here (no place, note or bound). Bounded in entries and characters, so
that strangers cannot fill the memory; the oldest half goes when it is full. Safe among threads: each step is one
operation on a dict, and whatever is lost in a race is only read again.
"""

from __future__ import annotations

from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class ParseCache(Generic[_Value]):
    """At most `entries` texts per half, of at most `characters` together and `longest` each."""

    __slots__ = ("_characters", "_entries", "_longest", "_old", "_size", "_young")

    def __init__(self, entries: int = 4096, characters: int = 1 << 20, longest: int = 8192) -> None:
        self._entries = entries
        self._characters = characters
        self._longest = longest
        self._young: dict[str, _Value] = {}
        self._old: dict[str, _Value] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, text: str) -> _Value | None:
        """What the text says, if it is known."""
        found = self._young.get(text)
        if found is None and (found := self._old.get(text)) is not None:
            self.put(text, found)
        return found

    def put(self, text: str, value: _Value) -> _Value:
        """Keep it; the value."""
        if len(text) <= self._longest:
            if len(self._young) >= self._entries or self._size + len(text) > self._characters:
                self._old, self._young, self._size = self._young, {}, 0
            self._young[text] = value
            self._size += len(text)
        return value
