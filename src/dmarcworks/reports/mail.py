"""A mail (RFC 5322, MIME) → all its parts, regardless of type and name, with the transfer encoding decoded.

Parsed by fast-mail-parser, with the standard library's parser for what the first cannot read or reads badly. Both take
quadratic time over hostile header fields and recurse over nested parts, so they get ordinary mails only (`ordinary`):
small ones with few fields, parameters and words. Every other mail is for `mime.tree`. Number of parts and depth of
mails in mails are the caller's to bound.
"""

from __future__ import annotations

import email
import email.errors
import email.message
import email.policy
from functools import partial

import fast_mail_parser

from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.mime import MailPart, leaves, tree, without_from
from dmarcworks.reports.notes import Refused

__all__ = ["SMALL", "MailPart", "leaves", "ordinary", "parts", "slow_parts", "tree", "without_from"]

# Up to here the parsers' worst is bearable: what a mail hides in a base64 part is not counted before it is decoded.
SMALL = 64 * 1024


class _TooDeep(Exception):
    """A multipart lies deeper than the bound."""


def ordinary(raw: bytes, bounds: Bounds) -> bool:
    """Whether no bound of header fields can be exceeded in the mail; counts of the whole mail stand for its headers."""
    return (
        len(raw) <= SMALL
        and len(raw) <= bounds.header_bytes
        and raw.count(b":") <= bounds.header_fields
        and raw.count(b";") <= bounds.header_parameters
        and raw.count(b"?") <= bounds.encoded_words
    )


def parts(raw: bytes, bounds: Bounds = Bounds()) -> MailPart:  # noqa: B008 - frozen
    """The mail's tree."""
    if not ordinary(raw, bounds):
        return tree(raw, bounds)
    try:
        root = fast_mail_parser.parse_email_tree(without_from(raw), mode="lazy")
        return _fast(root, "", bounds.mime_depth)
    except (fast_mail_parser.ParseError, ValueError):
        return slow_parts(raw, bounds)
    except _TooDeep:
        return tree(raw, bounds)


def slow_parts(raw: bytes, bounds: Bounds = Bounds()) -> MailPart:  # noqa: B008 - frozen
    """The mail's tree by the standard library."""
    if not ordinary(raw, bounds):
        return tree(raw, bounds)
    try:
        message = email.message_from_bytes(without_from(raw), policy=email.policy.compat32)
        return _slow(message, "", bounds.mime_depth)
    except (_TooDeep, RecursionError):
        return tree(raw, bounds)
    # The standard library's parser is not written for hostile mails: LookupError, AttributeError and more are seen.
    except Exception as error:
        raise Refused("unreadable_mail", f"The mail's parts cannot be determined: {error!r:.100}") from None


def _fast(node: fast_mail_parser.PyLazyMimePart, number: str, depth: int) -> MailPart:
    message = node.is_message
    children: tuple[MailPart, ...] = ()
    if not message and (below := node.children):
        if not depth:
            raise _TooDeep
        prefix = f"{number}." if number else ""
        children = tuple([_fast(child, f"{prefix}{n}", depth - 1) for n, child in enumerate(below, start=1)])
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


def _slow(node: email.message.Message, number: str, depth: int) -> MailPart:
    kind = node.get_content_type()
    children: tuple[MailPart, ...] = ()
    message = kind.startswith("message/") and node.is_multipart()
    if node.is_multipart() and not message:
        if not depth:
            raise _TooDeep
        below = node.get_payload()
        children = tuple(
            _slow(child, f"{number}.{n}" if number else str(n), depth - 1)
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
