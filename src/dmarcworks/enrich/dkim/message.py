"""A mail as DKIM sees it: its header fields in order and its body, lines ended by CRLF (RFC 6376 §3.4).

Everything is linear in the mail's bytes. A header over the bounds raises `TooLargeError`: it cannot be evaluated.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Postfix truncates a header at 100 kB; no mail of the ordinary world comes near these.
HEADER_BYTES = 1 << 20
FIELDS = 20_000
_NAME = re.compile(rb"[!-9;-~]+")
_TABS = bytes.maketrans(b"\t", b" ")


class TooLargeError(Exception):
    """The header has more bytes or more fields than are examined."""


@dataclass(frozen=True, slots=True)
class HeaderField:
    """A header field: its name in lower case, and its bytes as they stand, with the final CRLF."""

    name: bytes
    raw: bytes

    @property
    def value(self) -> bytes:
        """What follows the colon, unfolded and without white space around it."""
        return self.raw.partition(b":")[2].replace(b"\r\n", b"").strip(b" \t\r\n")


class CanonicalMail:
    """Fields and body of a mail; each body hash is computed once however many signatures need it."""

    def __init__(self, raw: bytes) -> None:
        head, body = _split(raw)
        self.fields = tuple(_fields(head))
        self._body = _whole(body)
        self._canonical: dict[bool, bytes] = {}
        self._hashes: dict[tuple[bool, int | None], bytes] = {}

    def all(self, name: bytes) -> list[HeaderField]:
        """Every field of that name (lower case), from the top."""
        return [field for field in self.fields if field.name == name]

    def body(self, relaxed: bool) -> bytes:
        """The canonical body."""
        if relaxed not in self._canonical:
            self._canonical[relaxed] = relaxed_body(self._body) if relaxed else simple_body(self._body)
        return self._canonical[relaxed]

    def body_hash(self, relaxed: bool, length: int | None = None) -> bytes:
        """SHA-256 of the canonical body or of its first `length` bytes."""
        key = (relaxed, length)
        if key not in self._hashes:
            self._hashes[key] = hashlib.sha256(memoryview(self.body(relaxed))[:length]).digest()
        return self._hashes[key]


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """Header and body: the first empty line parts them; a header's lines are ended by CRLF or by LF."""
    if raw[:2] == b"\r\n":
        return b"", raw[2:]
    if raw[:1] == b"\n":
        return b"", raw[1:]
    ends = [(raw.find(mark, 0, HEADER_BYTES), len(mark)) for mark in (b"\n\r\n", b"\n\n")]
    endings = [(at, length) for at, length in ends if at >= 0]
    if endings:
        at, length = min(endings)
        return raw[: at + 1], raw[at + length :]
    if len(raw) > HEADER_BYTES:
        raise TooLargeError(f"the header has more than {HEADER_BYTES} bytes")
    return raw, b""


def _whole(text: bytes) -> bytes:
    """The text with every line ended by CRLF where it was ended by LF."""
    if text.count(b"\n") == text.count(b"\r\n"):
        return text
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _fields(head: bytes) -> Iterable[HeaderField]:
    """The fields, from the top; a line that is no field is passed over with what continues it."""
    name, lines, count = b"", [], 0
    for line in _whole(head).split(b"\r\n"):
        if line[:1] in (b" ", b"\t"):
            lines.append(line)
            continue
        if name:
            yield HeaderField(name, b"\r\n".join([*lines, b""]))
        count += 1
        if count > FIELDS:
            raise TooLargeError(f"the header has more than {FIELDS} fields")
        before, colon, _ = line.partition(b":")
        name = before.rstrip(b" \t").lower() if colon else b""
        if not _NAME.fullmatch(name):
            name = b""
        lines = [line]
    if name:
        yield HeaderField(name, b"\r\n".join([*lines, b""]))


def simple_body(body: bytes) -> bytes:
    """RFC 6376 §3.4.3: without empty lines at the end; an empty body is one empty line."""
    return _without_empty_lines(body) or b"\r\n"


def relaxed_body(body: bytes) -> bytes:
    """RFC 6376 §3.4.4: no white space before a line's end, one space for any other run of it, no empty lines at the
    end; an empty body stays empty."""
    return _without_empty_lines(_single_spaces(body).replace(b" \r\n", b"\r\n"))


def relaxed_field(field: HeaderField) -> bytes:
    """RFC 6376 §3.4.2: unfolded, single spaces, none around the colon or at the end; ended by CRLF."""
    value = field.raw.partition(b":")[2].replace(b"\r\n", b"")
    return field.name + b":" + _single_spaces(value).strip(b" ") + b"\r\n"


def _single_spaces(text: bytes) -> bytes:
    """Each run of spaces and tabs as one space: at most log2 of the longest run passes, each a single scan."""
    text = text.translate(_TABS)
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text


def _without_empty_lines(body: bytes) -> bytes:
    """A body whose last line is not empty and is ended by CRLF; b"" when there is no such line."""
    if body and not body.endswith(b"\r\n"):
        return body + b"\r\n"
    # Only CR and LF follow here, each LF behind a CR: the run of empty lines begins behind the last CR alone.
    begin = len(body.rstrip(b"\r\n"))
    begin = max(begin, body.rfind(b"\r\r", begin) + 1)
    return body[:begin] + b"\r\n" if begin else b""


def chosen(fields: Sequence[HeaderField], names: Sequence[bytes]) -> list[HeaderField]:
    """The fields that h= names (RFC 6376 §5.4.2): of a repeated name the last one first; a name too many is none."""
    left: dict[bytes, list[HeaderField]] = {name: [] for name in names}
    for field in fields:
        if field.name in left:
            left[field.name].append(field)
    return [left[name].pop() for name in names if left[name]]


def header_hash(mail: CanonicalMail, names: Sequence[bytes], signature: HeaderField, relaxed: bool) -> bytes:
    """SHA-256 of the named fields and the signature's own without its b= (RFC 6376 §3.7)."""
    digest = hashlib.sha256()
    for field in chosen(mail.fields, names):
        digest.update(relaxed_field(field) if relaxed else field.raw)
    last = unsigned(signature)
    digest.update((relaxed_field(last) if relaxed else last.raw).removesuffix(b"\r\n"))
    return digest.digest()


def unsigned(signature: HeaderField) -> HeaderField:
    """The signature's field without the value of its b=."""
    name, _, value = signature.raw.partition(b":")
    specs = value.split(b";")
    for place, spec in enumerate(specs):
        tag, equals, _ = spec.partition(b"=")
        if equals and tag.strip(b" \t\r\n") == b"b":
            specs[place] = tag + b"="
            break
    return HeaderField(signature.name, name + b":" + b";".join(specs).removesuffix(b"\r\n") + b"\r\n")
