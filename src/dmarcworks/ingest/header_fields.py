"""Header fields that we write: each is one field of whole lines, whatever its value contains. Pure.

Every field that is put before a mail of somebody else is made here (forwarded mail, seals), so that text from strangers
never adds a line, a field or the end of the header (RFC 5322 §2.2). Mail of our own is made in `own_mail.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dmarcworks.errors import UsageError

__all__ = ["field", "header"]

# RFC 5322 §3.6.8 and §2.1.1.
_NAME = re.compile(r"[!-9;-~]{1,76}")
_LINE_BYTES = 998


def field(name: str, *lines: str) -> bytes:
    """One field with its CRLF; `lines` are its value, folded where one ends.

    Control characters, line breaks of any kind and lone surrogates become spaces or U+FFFD, and a line that is too long
    is cut. `UsageError` for a name that is none: names are never a stranger's text.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not the name of a header field")
    start = f"{name}: ".encode()
    folded = [_line(text, _LINE_BYTES - len(start)) for text in lines]
    # A line of blanks alone would end the field, and some readers take it for the end of the header.
    return start + b"\r\n ".join(line for line in folded if line) + b"\r\n"


def header(fields: Sequence[tuple[str, str]]) -> bytes:
    """Several fields, without the empty line that ends a header."""
    return b"".join(field(name, value) for name, value in fields)


def _line(text: str, most: int) -> bytes:
    clean = "".join(char if char.isprintable() else _instead(char) for char in text).strip()
    return clean.encode("utf-8", "replace")[:most].decode("utf-8", "ignore").rstrip().encode()


def _instead(char: str) -> str:
    return "\N{REPLACEMENT CHARACTER}" if "\ud800" <= char <= "\udfff" else " "
