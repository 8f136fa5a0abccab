"""Text that a spreadsheet would run as a formula when it opens a CSV file.

Excel, LibreOffice and Google Sheets take a cell that begins with one of `= + - @ |` for a formula, a command or a DDE
call; some importers fold the full-width and other compatibility forms to the same characters, and drop blanks, control
characters, invisible characters and quotes before them.
"""

from __future__ import annotations

import re

__all__ = ["PATTERN", "harmless"]

# Code points: the signs, every character that compatibility normalisation (NFKC) turns into one of them, and dashes
# that are read as a minus.
_SIGNS = (
    "002b 002d 003d 0040 007c 2010-2011 207a 207c 208a 208c 2212 2a75-2a76 fb29 fe62-fe63 fe66 fe6b ff0b ff0d ff1d"
    " ff20 ff5c"
)
# What may precede one: controls, format characters, separators (Cc, Cf, Zs, Zl, Zp) and quotes.
_BEFORE = (
    "0000-0020 0022 0027 0060 007f-00a0 00ab 00ad 00bb 0600-0605 061c 06dd 070f 0890-0891 08e2 1680 180e 2000-200f"
    " 2018-2019 201c-201d 2028-202f 205f-2064 2066-206f 3000 feff ff02 ff07 fff9-fffb"
)


def _class(points: str) -> str:
    """A character class that Python's `re` and RE2 read alike."""
    ranges = [point.partition("-")[::2] for point in points.split()]
    return "[" + "".join(f"{_char(low)}-{_char(high or low)}" for low, high in ranges) + "]"


def _char(point: str) -> str:
    # Both read \xhh; above that the character stands for itself.
    code = int(point, 16)
    return f"\\x{code:02x}" if code < 0x80 else chr(code)


PATTERN = f"^(?:[\\t\\r]|{_class(_BEFORE)}*{_class(_SIGNS)})"
_PATTERN = re.compile(PATTERN)


def harmless(text: str) -> str:
    """The text in a form that is safe in a cell: with an apostrophe before it when it could be run."""
    return "'" + text if _PATTERN.match(text) else text
