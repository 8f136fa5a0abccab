"""The hash of a document without what transport may change of it: line ends, white space at the ends of lines. Pure.

The same report comes by SMTP with CRLF and out of a Maildir with LF, as text and compressed: it is counted once.
"""

from __future__ import annotations

import hashlib

__all__ = ["alike"]


def alike(data: bytes, digest: str) -> str:
    """The SHA-256 (hex) of the document in its plainest form; `digest` is that of its bytes."""
    plain = data.strip()
    if b"\r" in plain or b" \n" in plain or b"\t\n" in plain:
        plain = b"\n".join([line.rstrip() for line in plain.splitlines()])
    return digest if len(plain) == len(data) else hashlib.sha256(plain).hexdigest()
