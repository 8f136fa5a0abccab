"""Lists of `name=value; name=value`, the form of most records about mail. Pure; bounded; never raises."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["TEXT_CHARACTERS", "RecordTag", "record_tags", "similar_word"]

# No record needs more. What follows is not read; the checks report a record that is longer.
TEXT_CHARACTERS = 4_096
_TAGS = 100
_WHITE = " \t"


class RecordTag(NamedTuple):
    """A part of a record between two semicolons. Without `=` its name is empty and `value` has all of it."""

    name: str
    value: str


def record_tags(text: str) -> list[RecordTag]:
    """The parts that are not blank; names in lower case, white space around names and values removed."""
    tags = []
    for part in text[:TEXT_CHARACTERS].split(";")[:_TAGS]:
        name, equals, value = part.partition("=")
        if part.strip(_WHITE):
            tags.append(
                RecordTag(name.strip(_WHITE).lower() if equals else "", (value if equals else part).strip(_WHITE))
            )
    return tags


def similar_word(word: str, words: Iterable[str]) -> str | None:
    """The one of some words that a misspelt word resembles; None when it resembles none of them."""
    return next(iter(difflib.get_close_matches(word.lower()[:40], list(words), 1, 0.6)), None)
