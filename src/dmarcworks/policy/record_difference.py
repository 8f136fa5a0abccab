"""What differs between two records, as pieces that are the same, removed or added. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

__all__ = ["PieceState", "RecordPiece", "record_difference"]

# Words and single separators: a change of one value leaves its neighbours unmarked.
_WORD = re.compile(r"[A-Za-z0-9_.@+/%!-]+|\s+|.", re.DOTALL)
# Comparing takes time that grows with more than the square of the pieces: longer texts are shown as replaced whole.
_MOST_WORDS = 500


class PieceState(StrEnum):
    """Where a piece of text is: in both records, only in the one before, only in the one after."""

    same = "same"
    removed = "removed"
    added = "added"


@dataclass(frozen=True, slots=True)
class RecordPiece:
    """A piece of text and where it is."""

    text: str
    state: PieceState


def record_difference(before: str, after: str) -> tuple[RecordPiece, ...]:
    """The pieces in order. Those that are not added make up `before`, those that are not removed `after`."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    if len(old) + len(new) > _MOST_WORDS:
        return _pieces([(before, PieceState.removed), (after, PieceState.added)])
    pieces: list[tuple[str, PieceState]] = []
    for what, first, last, begin, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            pieces.append(("".join(old[first:last]), PieceState.same))
        else:
            pieces.append(("".join(old[first:last]), PieceState.removed))
            pieces.append(("".join(new[begin:end]), PieceState.added))
    return _pieces(pieces)


def _pieces(pairs: list[tuple[str, PieceState]]) -> tuple[RecordPiece, ...]:
    return tuple(RecordPiece(text, state) for text, state in pairs if text)
