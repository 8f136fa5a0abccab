"""What a worker's `email()` sees of a mail: envelope, headers, the raw bytes once, and `set_reject`.

Shape and semantics of the original platform's `ForwardableEmailMessage` (PLATFORM §1.1).
"""

from __future__ import annotations

from email.message import Message as HeaderBlock
from email.parser import BytesHeaderParser
from email.policy import compat32
from functools import cached_property

from dmarcworks.errors import UsageError


class Message:
    """A mail on its way in. `from_` is "" for the null sender; `raw_size` in bytes."""

    def __init__(self, from_: str, to: str, raw: bytes, *, peer: str = "") -> None:
        self.from_ = from_
        self.to = to
        self.peer = peer
        self.raw_size = len(raw)
        self._raw: bytes | None = raw
        self._head = raw[: _end_of_headers(raw)]
        self.reject_reason: str | None = None

    @cached_property
    def headers(self) -> HeaderBlock:
        """The header fields, names without regard to case."""
        return BytesHeaderParser(policy=compat32).parsebytes(self._head)

    async def raw(self) -> bytes:
        """The whole mail as received; readable once (`UsageError` after that)."""
        if self._raw is None:
            raise UsageError("message.raw can be read once")
        raw, self._raw = self._raw, None
        return raw

    def set_reject(self, reason: str) -> None:
        """Refuse the mail for good: 550 5.7.1 with the reason."""
        self.reject_reason = " ".join(reason.split())[:400] or "Rejected"


def _end_of_headers(raw: bytes) -> int:
    ends = [end for end in (raw.find(b"\r\n\r\n", 0, 1 << 20), raw.find(b"\n\n", 0, 1 << 20)) if end >= 0]
    return min(ends) + 2 if ends else min(len(raw), 1 << 20)
