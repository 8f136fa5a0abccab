"""The token that a session's forms carry: proof that a form was sent from one of our own pages. Pure but for the mask.

Each page shows the token under a random mask of its own. Pages are compressed, and they repeat text from their address;
a token that stayed the same could be guessed byte by byte from the length of many responses (the BREACH attack).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

__all__ = ["form_token", "is_form_token"]

_BYTES = hashlib.sha256().digest_size


def form_token(secret: str) -> str:
    """A token for the session with this secret, different at each call; empty without a session."""
    if not secret:
        return ""
    mask = secrets.token_bytes(_BYTES)
    return mask.hex() + _mixed(mask, _digest(secret)).hex()


def is_form_token(text: str, secret: str) -> bool:
    """Whether `text` is a token of the session with this secret."""
    try:
        both = bytes.fromhex(text)
    except ValueError:
        return False
    if len(both) != 2 * _BYTES:
        return False
    return hmac.compare_digest(_mixed(both[:_BYTES], both[_BYTES:]), _digest(secret))


def _digest(secret: str) -> bytes:
    return hmac.new(secret.encode(), b"dmarcworks form", hashlib.sha256).digest()


def _mixed(one: bytes, other: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(one, other, strict=True))
