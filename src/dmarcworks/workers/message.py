"""What a worker's `email()` sees of a mail: envelope, headers, the raw bytes once; `set_reject`, `forward`, `reply`.

Shape and semantics follow `ForwardableEmailMessage` of the original platform. Outgoing delivery is the business of the
`Post`, which is passed in; without one nothing can be forwarded or answered.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from dmarcworks.enrich.authenticity import Authenticity
from dmarcworks.errors import UsageError
from dmarcworks.reports import headers
from dmarcworks.reports.bounds import Bounds

_CHUNK = 65_536
_LARGEST_HEAD = 1 << 20
_BOUNDS = Bounds()
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_NAME = re.compile(r"[Xx]-[!-9;-~]{1,70}")


class Headers:
    """Header fields as written in the mail; names without regard to case, values unfolded and not decoded."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._fields = fields

    @classmethod
    def of(cls, head: bytes) -> Headers:
        """Read a block of header fields up to `header_fields`, each up to `header_bytes`; bytes that are no text become
        U+FFFD.
        """
        block = headers.block(head, 0, _BOUNDS)
        return cls([(name.decode("ascii"), _plain(value)) for name, value in block.fields])

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first field of that name."""
        return next(iter(self.get_all(name)), default)

    def get_all(self, name: str) -> list[str]:
        """Every field of that name, in order."""
        wanted = name.lower()
        return [value for field, value in self._fields if field.lower() == wanted]

    def decoded(self, name: str, default: str = "") -> str:
        """The first field of that name as people read it (RFC 2047)."""
        value = self.get(name)
        return default if value is None else headers.words(value, _BOUNDS)

    def items(self) -> list[tuple[str, str]]:
        """All fields, in order."""
        return list(self._fields)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.get_all(name))

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class Raw:
    """The whole mail as a stream, read once: `await raw()`, `await raw.read(size)` or `async for chunk in raw`.

    Reading on after the end by a second `raw()` or loop is a `UsageError`.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._consumed = False

    async def __call__(self) -> bytes:
        """All of it."""
        self._consume()
        return self._data

    async def read(self, size: int = -1) -> bytes:
        """The next `size` bytes (all that is left when negative); b"" at the end."""
        end = len(self._data) if size < 0 else min(self._at + size, len(self._data))
        part, self._at, self._consumed = self._data[self._at : end], end, True
        return part

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._consume()
        for start in range(0, len(self._data), _CHUNK):
            yield self._data[start : start + _CHUNK]

    def _consume(self) -> None:
        if self._consumed:
            raise UsageError("message.raw can be read once")
        self._consumed = True


@dataclass(frozen=True, slots=True)
class EmailMessage:
    """A mail that a worker made, for `message.reply`: envelope addresses and the mail itself."""

    from_: str
    to: str
    raw: bytes | str

    @property
    def data(self) -> bytes:
        """The mail's bytes, its lines ended by CRLF."""
        raw = self.raw.encode() if isinstance(self.raw, str) else self.raw
        return re.sub(rb"\r?\n", b"\r\n", raw)


class Post(Protocol):
    """How a mail leaves: both return the id of what was sent, and raise what stopped it."""

    async def forward(self, message: Message, to: str, headers: Mapping[str, str]) -> str:
        """Send the mail on."""

    async def reply(self, message: Message, reply: EmailMessage) -> str:
        """Send an answer to the mail's sender."""


@dataclass(frozen=True, slots=True)
class SentMail:
    """A mail that left: "forward" or "reply", to whom, its id, the headers added, its bytes when it is a reply."""

    kind: str
    recipient: str
    message_id: str
    sender: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    raw: bytes = b""


class Message:
    """A mail on its way in. `from_` is "" for the null sender; `raw_size` in bytes; `account_id` and `domain_id` are
    those of its rule, or of its address where `rua` is set."""

    def __init__(
        self,
        from_: str,
        to: str,
        raw: bytes,
        *,
        peer: str = "",
        helo: str = "",
        account_id: str = "",
        domain_id: str = "",
        rua: bool = False,
        post: Post | None = None,
    ) -> None:
        self.from_ = from_
        self.to = to
        self.peer = peer
        self.helo = helo
        self.account_id = account_id
        self.domain_id = domain_id
        self.rua = rua
        self.raw_size = len(raw)
        self.raw = Raw(raw)
        self.data = raw
        self.reject_reason: str | None = None
        self.sent: list[SentMail] = []
        # What a check found, when one was made on the way.
        self.authenticity: Authenticity | None = None
        self._post = post

    @cached_property
    def head(self) -> bytes:
        """The header block as it stands."""
        return self.data[: _end_of_headers(self.data)]

    @cached_property
    def headers(self) -> Headers:
        """The header fields, names without regard to case."""
        return Headers.of(self.head)

    def set_reject(self, reason: str) -> None:
        """Refuse the mail permanently: 550 5.7.1 with the reason."""
        self.reject_reason = " ".join(str(reason).split())[:400] or "Rejected"

    async def forward(self, to: str, headers: Mapping[str, str] | None = None) -> str:
        """Send the mail on to a verified destination, with X- headers added in front; the id of what was sent.

        `UsageError` for another header; `DeniedError` for an unverified destination; `RefusedError` when the next
        server refuses it.
        """
        added = dict(headers or {})
        for name, value in added.items():
            if not _NAME.fullmatch(name) or not str(value).isprintable() or len(str(value)) > 900:
                raise UsageError(f"only X-* headers of one line can be added to a forwarded mail, not {name!r}")
        message_id = await self._outgoing().forward(self, to, {name: str(value) for name, value in added.items()})
        self.sent.append(SentMail("forward", to, message_id, headers=tuple(added.items())))
        return message_id

    async def reply(self, reply: EmailMessage) -> str:
        """Answer the sender, once; the id of what was sent. `UsageError` names the condition that does not hold."""
        if any(sent.kind == "reply" for sent in self.sent):
            raise UsageError("a mail can be replied to once")
        message_id = await self._outgoing().reply(self, reply)
        self.sent.append(SentMail("reply", self.from_, message_id, sender=reply.from_, raw=reply.data))
        return message_id

    def leave_by(self, post: Post) -> None:
        """Use another way out from now on, such as one that can be called from a worker's own thread."""
        self._post = post if self._post is not None else None

    @property
    def post(self) -> Post | None:
        """The way out."""
        return self._post

    def _outgoing(self) -> Post:
        if self._post is None:
            raise UsageError("no mail can leave here: DMARCWORKS_RELAY_URL names no relay")
        return self._post


def _plain(value: bytes) -> str:
    return _FOLD.sub("", value.decode("utf-8", "replace")).strip()


def _end_of_headers(raw: bytes) -> int:
    ends = [end for end in (raw.find(b"\r\n\r\n", 0, _LARGEST_HEAD), raw.find(b"\n\n", 0, _LARGEST_HEAD)) if end >= 0]
    return min(ends) + 2 if ends else min(len(raw), _LARGEST_HEAD)
