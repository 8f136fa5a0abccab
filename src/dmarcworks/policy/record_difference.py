"""The difference between a record as published and as it should be, in pieces to mark. Pure."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

__all__ = ["DifferencePiece", "record_difference"]

# Tags, addresses and what separates them: a piece that changes is one of these.
_TOKEN = re.compile(r"[;,]|\s+|[^;,\s]+")
# Longer texts are shown as replaced whole: comparing takes time that grows with the square.
_TOKENS = 400


@dataclass(frozen=True, slots=True)
class DifferencePiece:
    """Text that is in both records (`same`), only in the new one (`added`) or only in the old one (`removed`)."""

    kind: str
    text: str


def record_difference(before: str, after: str) -> tuple[DifferencePiece, ...]:
    """The pieces in order: same and removed ones make up `before`, same and added ones `after`."""
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    if len(old) + len(new) > _TOKENS:
        return tuple(_piece(kind, [text]) for kind, text in (("removed", before), ("added", after)) if text)
    pieces: list[DifferencePiece] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for operation, first, last, start, end in matcher.get_opcodes():
        if operation == "equal":
            pieces.append(_piece("same", old[first:last]))
            continue
        pieces += [_piece("removed", old[first:last])] if last > first else []
        pieces += [_piece("added", new[start:end])] if end > start else []
    return tuple(pieces)


def _piece(kind: str, tokens: list[str]) -> DifferencePiece:
    return DifferencePiece(kind, "".join(tokens))
