"""The parts of a mail (RFC 2045, 2046) in one pass over its bytes: time grows with their number alone. Pure.

The bytes are searched once for lines that begin with two hyphens; each is looked up among the boundaries that are open,
of which there are at most `mime_depth`. What lies beyond a bound is left, and `over` of the root names the bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from dmarcworks.reports import headers, transfer
from dmarcworks.reports.bounds import Bounds

__all__ = ["MailPart", "hidden_multipart", "leaves", "tree", "without_from"]

_DEFAULT, _DIGEST, _MESSAGE = "text/plain", "multipart/digest", "message/rfc822"
_MESSAGES = (_MESSAGE, "message/global")
_LONGEST_TYPE = 200
_HYPHENS = re.compile(rb"\n--([^\n]*+)")
_UNANNOUNCED = re.compile(rb"\n--([^\s\"\\]{1,70})[ \t]{0,10}\r?\n(?=content-[a-z-]{2,30}[ \t]{0,10}:)", re.IGNORECASE)
_CR = ord("\r")
_NOT_OURS = (-1, False)
_TOKEN = re.compile(r"[A-Za-z0-9-]+")
_COMMENT = re.compile(r"\([^()]*+\)")


@dataclass(slots=True)
class MailPart:
    """A node of a mail: `number` as in IMAP ("2.1"), `type` lower case, `message` for an embedded mail.

    `read` gives a leaf's or an embedded mail's content, its transfer encoding undone; `Refused` when it cannot be.
    `over` of the root names the bounds that the mail's structure and header fields exceed.
    """

    number: str
    type: str
    name: str
    attached: bool
    message: bool
    read: Callable[[], bytes]
    children: tuple[MailPart, ...]
    over: tuple[str, ...] = ()


@dataclass(slots=True)
class _Node:
    """A part while its end is not known: where its content begins, and the boundary of its own parts, if it has any."""

    number: str
    type: str
    name: str
    attached: bool
    encoding: str
    start: int
    end: int
    boundary: bytes = b""
    children: list[_Node] = field(default_factory=list)


def tree(raw: bytes, bounds: Bounds) -> MailPart:
    """The mail's tree. Parts beyond `members` are omitted, and a multipart deeper than `mime_depth` is not split."""
    raw = without_from(raw)
    if b"\n" not in raw:
        raw = raw.replace(b"\r", b"\n")
    over: set[str] = set()
    root = _Build(raw, bounds, over).root()
    return _part(raw, root, tuple(sorted(over)))


def leaves(part: MailPart) -> Iterator[MailPart]:
    """Its leaves and embedded mails, in order; an embedded mail's own parts are not entered."""
    if part.message or not part.children:
        yield part
        return
    for child in part.children:
        yield from leaves(child)


def hidden_multipart(raw: bytes) -> bytes | None:
    """A mail whose body has parts that its header does not announce, with a header that does; None for other mails.

    The field is misspelt, lacks the boundary or states another one, or a gateway made it text/plain.
    """
    boundary = _UNANNOUNCED.search(raw)
    if boundary is None:
        return None
    head = b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="%s"\r\n\r\n' % boundary[1]
    return head + raw[boundary.start() + 1 :]


def without_from(raw: bytes) -> bytes:
    """Without the envelope line that mailbox files put before a mail."""
    if raw.startswith((b"From ", b">From ")):
        return raw[raw.find(b"\n") + 1 :]
    return raw


class _Build:
    def __init__(self, raw: bytes, bounds: Bounds, over: set[str]) -> None:
        self._raw = raw
        self._bounds = bounds
        self._over = over
        # The multiparts that are not closed yet, from the outermost on.
        self._open: list[_Node] = []
        # The text after the hyphens of a boundary line → the multipart's level, and whether the line closes it.
        self._known: dict[bytes, tuple[int, bool]] = {}
        self._leaves = self._nodes = 0

    def root(self) -> _Node:
        """Every part with its place."""
        raw = self._raw
        root = self._node(0, "", _DEFAULT)
        # The leaf that the lines belong to; None before the first part of a multipart and behind the last.
        part = None if self._opens(root) else root
        # Behind a header field there is a line break before each line of the body.
        line = _HYPHENS.search(raw, max(0, root.start - 1))
        while self._open and line is not None:
            at = line.end()
            level, closing = self._known.get(line[1].rstrip(b" \t\r"), _NOT_OURS)
            if level >= 0:
                if part is not None:
                    # The line break before a boundary is the boundary's.
                    end = line.start() - (raw[line.start() - 1] == _CR)
                    part.end, part = max(part.start, end), None
                self._close(level if closing else level + 1)
                if not closing:
                    if self._full():
                        return root
                    part = self._begin(at + 1)
                    at = (part or self._open[-1]).start - 1
            line = _HYPHENS.search(raw, at)
        return root

    def _full(self) -> bool:
        """Whether there are more parts than are read; the reader itself counts those that are no multiparts."""
        if self._nodes > 2 * self._bounds.members + self._bounds.mime_depth:
            self._over.add("members")
            return True
        return self._leaves > self._bounds.members

    def _begin(self, start: int) -> _Node | None:
        """A part of the innermost multipart; None when it is a multipart itself."""
        above = self._open[-1]
        number = str(len(above.children) + 1)
        part = self._node(
            start,
            f"{above.number}.{number}" if above.number else number,
            _MESSAGE if above.type == _DIGEST else _DEFAULT,
        )
        above.children.append(part)
        if self._opens(part):
            return None
        self._leaves += 1
        return part

    def _opens(self, node: _Node) -> bool:
        """Whether the part is a multipart that is entered."""
        self._nodes += 1
        if not node.boundary or not node.type.startswith("multipart/"):
            return False
        if len(self._open) >= self._bounds.mime_depth:
            self._over.add("mime_depth")
            return False
        self._open.append(node)
        self._close(len(self._open))
        return True

    def _close(self, level: int) -> None:
        """Close the multiparts from that level on."""
        del self._open[level:]
        self._known = {}
        for number, node in enumerate(self._open):
            self._known[node.boundary] = (number, False)
            self._known[node.boundary + b"--"] = (number, True)

    def _node(self, start: int, number: str, default: str) -> _Node:
        bounds = self._bounds
        block = headers.block(self._raw, start, bounds)
        self._over |= block.over
        node = _Node(number, default, "", False, "", block.body, len(self._raw))
        if (value := block.first(b"content-type")) is not None:
            given = headers.parameters(headers.unfolded(value), bounds)
            self._over |= given.over
            node.type = given.value.lower()[:_LONGEST_TYPE]
            node.name = given.named.get("name", "")
            boundary = given.named.get("boundary", "").rstrip()
            node.boundary = boundary.encode("utf-8" if headers.is_utf8(value) else "latin-1", "replace")
        if (value := block.first(b"content-disposition")) is not None:
            given = headers.parameters(headers.unfolded(value), bounds)
            self._over |= given.over
            node.attached = given.value.lower() == "attachment"
            node.name = given.named.get("filename", node.name)
        if (value := block.first(b"content-transfer-encoding")) is not None:
            word = _TOKEN.search(_COMMENT.sub(" ", headers.unfolded(value[:_LONGEST_TYPE])))
            node.encoding = "" if word is None else word[0].lower()
        node.name = headers.words(node.name, bounds, self._over)
        return node


def _part(raw: bytes, node: _Node, over: tuple[str, ...] = ()) -> MailPart:
    return MailPart(
        node.number or "1",
        node.type,
        node.name,
        node.attached,
        node.type in _MESSAGES,
        partial(_content, raw, node),
        tuple([_part(raw, child) for child in node.children]),
        over,
    )


def _content(raw: bytes, node: _Node) -> bytes:
    return transfer.content(raw[node.start : node.end], node.encoding)
