"""Object keys: which text may name an object. Pure; the same for every store, so that any archive fits any store."""

from __future__ import annotations

import re

from dmarcworks.bindings.contracts import OBJECT_KEY_BYTES
from dmarcworks.errors import BoundError

__all__ = ["RESERVED", "SEGMENT_BYTES", "check", "segments"]

SEGMENT_BYTES = 255
# The folder store writes here before an object gets its name.
RESERVED = ".tmp"
# A backslash, and Unicode's control characters (category Cc).
_MISREAD = re.compile(r"[\\\x00-\x1f\x7f-\x9f]")


def check(text: str, what: str = "key") -> None:
    """`BoundError` when the text is no UTF-8, too long, or holds what a path or a terminal would misread."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise BoundError(f"object {what} {text!r} is not UTF-8 text") from None
    if size > OBJECT_KEY_BYTES:
        raise BoundError(f"an object {what} may have {OBJECT_KEY_BYTES} bytes, this one has {size}")
    if _MISREAD.search(text):
        raise BoundError(f"object {what} {text!r} holds a backslash or a control character")


def segments(key: str) -> list[str]:
    """The key's path, segment by segment; `BoundError` when one of them is unsafe."""
    check(key)
    parts = key.split("/")
    for part in parts:
        if part in ("", ".", ".."):
            raise BoundError(f'object key {key!r} has a segment that is empty, "." or ".."')
        if len(part.encode()) > SEGMENT_BYTES:
            raise BoundError(f"a segment of an object key may have {SEGMENT_BYTES} bytes: {key!r}")
    if parts[0] == RESERVED:
        raise BoundError(f"object keys below {RESERVED}/ are the store's own")
    return parts
