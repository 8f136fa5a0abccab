"""A mail (RFC 5322, MIME) → its parts, whatever their types and names say; content with the transfer encoding undone.

Parsed by fast-mail-parser; `slow_parts` is the standard library's parser for mails that the first cannot read or reads
badly. Refused by name: a mail whose parts cannot be told. Depth and number of parts are the caller's to bound.
"""

from __future__ import annotations

import email
import email.errors
import email.message
import email.policy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import fast_mail_parser

from dmarcworks.reports.notes import Refused

_MOST_HEADERS = 4 * 1024 * 1024


@dataclass(slots=True)
class MailPart:
    """A node of a mail: `number` as in IMAP ("2.1"), `type` lower case, `message` for an embedded mail.

    `read` gives a leaf's or an embedded mail's content, its transfer encoding undone; `Refused` when it cannot be.
    """

    number: str
    type: str
    name: str
    attached: bool
    message: bool
    read: Callable[[], bytes]
    children: tuple[MailPart, ...]


def parts(raw: bytes) -> MailPart:
    """The mail's tree."""
    try:
        root = fast_mail_parser.parse_email_tree(_without_from(raw), mode="lazy")
    except (fast_mail_parser.ParseError, ValueError):
        return slow_parts(raw)
    return _fast(root, "")


def slow_parts(raw: bytes) -> MailPart:
    """The mail's tree by the standard library."""
    try:
        return _slow(email.message_from_bytes(_without_from(raw), policy=email.policy.compat32), "")
    # The standard library's parser is not written for hostile mails: LookupError, AttributeError and more are seen.
    except Exception as error:
        raise Refused("unreadable_mail", f"The mail's parts cannot be told: {error!r:.100}") from None


def leaves(part: MailPart) -> Iterator[MailPart]:
    """Its leaves and embedded mails, in order; an embedded mail's own parts are not entered."""
    if part.message or not part.children:
        yield part
        return
    for child in part.children:
        yield from leaves(child)


def _without_from(raw: bytes) -> bytes:
    """Without the envelope line that mailbox files put before a mail."""
    if raw.startswith((b"From ", b">From ")):
        return raw[raw.find(b"\n") + 1 :]
    return raw


def _fast(node: fast_mail_parser.PyLazyMimePart, number: str) -> MailPart:
    message = node.is_message
    children: tuple[MailPart, ...] = ()
    if not message and (below := node.children):
        prefix = f"{number}." if number else ""
        children = tuple([_fast(child, f"{prefix}{n}") for n, child in enumerate(below, start=1)])
    return MailPart(
        number or "1",
        node.content_type.lower(),
        node.filename or "",
        node.disposition == "attachment",
        message,
        partial(_content, node),
        children,
    )


def _content(node: fast_mail_parser.PyLazyMimePart) -> bytes:
    try:
        return node.content or b""
    except fast_mail_parser.ParseError as error:
        raise Refused("unreadable_mail", f"The part's transfer encoding cannot be undone: {error}") from None


def _slow(node: email.message.Message, number: str) -> MailPart:
    kind = node.get_content_type()
    children: tuple[MailPart, ...] = ()
    message = kind.startswith("message/") and node.is_multipart()
    if node.is_multipart() and not message:
        below = node.get_payload()
        children = tuple(
            _slow(child, f"{number}.{n}" if number else str(n))
            for n, child in enumerate(below if isinstance(below, list) else [], start=1)
            if isinstance(child, email.message.Message)
        )

    def read() -> bytes:
        try:
            payload = node.get_payload() if message else node.get_payload(decode=True)
            if isinstance(payload, list):
                return b"\r\n".join(child.as_bytes() for child in payload if isinstance(child, email.message.Message))
            return payload if isinstance(payload, bytes) else b""
        # As above: whatever the standard library stumbles over is this part's problem only.
        except Exception as error:
            raise Refused("unreadable_mail", f"The part cannot be decoded: {error!r:.100}") from None

    try:
        # RFC 2231 names may be in a charset that holds halves of characters.
        name = (node.get_filename() or "").encode("utf-8", "replace").decode()
    except (LookupError, ValueError, TypeError):
        name = ""
    attached = str(node.get("Content-Disposition", "")).lower().startswith("attachment")
    return MailPart(number or "1", kind, name, attached, message, read, children)
