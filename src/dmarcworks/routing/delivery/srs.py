"""Sender rewriting (SRS): a forwarded mail's envelope sender in this host's name, so SPF holds and bounces find back.

`srs0=HASH=TIME=domain=local@host` holds the sender itself, `srs1=HASH=host==…` another host's srs0 form. The hash is
ours, so nobody can make us send to an address of their choice; after 21 days an address is dead.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable

from dmarcworks.errors import RefusedError

_DAYS = 21
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_ROUND = 1024
_HASH = 8
# RFC 5321 §4.5.3.1.3: a path with its brackets has at most 256 octets.
_LONGEST = 254
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_PLAIN = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
NOT_CARRIED = "553 5.1.7 This sender address cannot be forwarded: {}"


class Srs:
    """Rewrites for `hostname`; `clock` returns the unix second."""

    def __init__(self, hostname: str, secret: bytes, clock: Callable[[], float]) -> None:
        self._hostname = hostname.lower()
        self._secret = secret
        self._clock = clock

    def forward(self, sender: str) -> str:
        """The sender to use towards the next server; the null sender and our own addresses stay as they are.

        `RefusedError` for a sender that no rewritten address can stand for.
        """
        local, at, domain = sender.rpartition("@")
        if not at or domain.lower() == self._hostname:
            return sender
        rewritten = self._rewritten(_carried(local, domain), domain)
        if len(rewritten) > _LONGEST:
            raise RefusedError(NOT_CARRIED.format("it is too long"))
        return rewritten

    def _rewritten(self, local: str, domain: str) -> str:
        tag = local[:5].lower()
        if tag in ("srs0=", "srs0-", "srs0+"):
            rest = f"{domain}={local[4:]}"
            return f"srs1={self._hash(rest)}={rest}@{self._hostname}"
        if tag in ("srs1=", "srs1-", "srs1+"):
            # The first host of the chain stays the one that bounces go back to.
            rest = local[5:].partition("=")[2]
            return f"srs1={self._hash(rest)}={rest}@{self._hostname}"
        rest = f"{self._today()}={domain}={local}"
        return f"srs0={self._hash(rest)}={rest}@{self._hostname}"

    def reverse(self, address: str) -> str | None:
        """Who an address of ours stands for; None when it is no such address, forged or too old."""
        local, _, domain = address.rpartition("@")
        if domain.lower() != self._hostname or local[:5].lower() not in ("srs0=", "srs1="):
            return None
        given, _, rest = local[5:].partition("=")
        if not hmac.compare_digest(self._hash(rest).encode(), given.lower().encode("utf-8", "replace")):
            return None
        if local[:5].lower() == "srs1=":
            host, _, tail = rest.partition("=")
            return f"srs0{tail}@{host}" if host and tail else None
        stamp, _, rest = rest.partition("=")
        host, _, name = rest.partition("=")
        return f"{name}@{host}" if host and name and self._fresh(stamp) else None

    def _hash(self, rest: str) -> str:
        # Without regard to case: mail servers on the way may change it.
        digest = hmac.new(self._secret, rest.lower().encode("utf-8", "replace"), hashlib.sha256).digest()
        return base64.b32encode(digest).decode().lower()[:_HASH]

    def _today(self) -> str:
        day = int(self._clock() // 86_400) % _ROUND
        return _ALPHABET[day >> 5] + _ALPHABET[day & 31]

    def _fresh(self, stamp: str) -> bool:
        if len(stamp) != 2 or any(char not in _ALPHABET for char in stamp.lower()):
            return False
        day = _ALPHABET.index(stamp[0].lower()) << 5 | _ALPHABET.index(stamp[1].lower())
        return (int(self._clock() // 86_400) - day) % _ROUND <= _DAYS


def _carried(local: str, domain: str) -> str:
    """The local part without quotation marks where they mean nothing (RFC 5321 §4.1.2); `RefusedError` otherwise."""
    if not (local + domain).isascii():
        raise RefusedError("553 5.6.7 This sender address cannot be forwarded: it is not ASCII")
    if quoted := _QUOTED.fullmatch(local):
        plain = re.sub(r"\\(.)", r"\1", quoted[1])
        if not _PLAIN.fullmatch(plain):
            raise RefusedError(NOT_CARRIED.format("its local part needs quotation marks"))
        return plain
    if not local or any(char in '"\\()<>,:;[]@' or not "!" <= char <= "~" for char in local):
        raise RefusedError(NOT_CARRIED.format("its local part is malformed"))
    return local
