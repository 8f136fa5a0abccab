"""A cache from text to its parsed value: a reporter sends the same text for the same domain every day.

Only values that depend on the text alone may be cached (no place, note or bound). The cache is bounded in entries and
characters, so that hostile reports cannot fill the memory; when it is full, the oldest half is dropped. It is
thread-safe: each step is one operation on a dict, and an entry lost in a race is only parsed once more.
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
        """The cached value of the text, or None."""
        parsed = self._young.get(text)
        if parsed is None and (parsed := self._old.get(text)) is not None:
            self.put(text, parsed)
        return parsed

    def put(self, text: str, value: _Value) -> _Value:
        """Keep it; the value."""
        if len(text) <= self._longest:
            if len(self._young) >= self._entries or self._size + len(text) > self._characters:
                self._old, self._young, self._size = self._young, {}, 0
            self._young[text] = value
            self._size += len(text)
        return value
