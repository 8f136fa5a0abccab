"""The hash of a document without what transport may change of it: line ends, white space at the ends of lines. Pure.

The same report comes by SMTP with CRLF and out of a Maildir with LF, as text and compressed: it is counted once.
"""

from __future__ import annotations

import hashlib

__all__ = ["alike"]


def alike(data: bytes, digest: str) -> str:
    """The SHA-256 (hex) of the document in its plainest form; `digest` is that of its bytes."""
    # One byte is found thirty times as fast as two, and two fastest from the end.
    if b"\r" not in data and data.rfind(b" \n") < 0 and (b"\t" not in data or data.rfind(b"\t\n") < 0):
        # As most reporters write it: one line break at the end.
        if data.endswith(b">\n") and not data[0:1].isspace():
            return digest
        plain = data.strip()
    else:
        plain = b"\n".join([line.rstrip() for line in data.strip().splitlines()])
    return hashlib.sha256(plain + b"\n").hexdigest()
