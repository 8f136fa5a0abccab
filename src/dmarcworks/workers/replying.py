"""When a mail may be answered and what an answer must be. Pure; `UsageError` in the words of the original platform.

No answer to automatic mail, to a bounce, to a thread of a hundred, or to a mail that does not pass DMARC; the answer
comes from the domain that the mail came to, goes to its sender and names the mail that it answers.
"""

from __future__ import annotations

import re

from dmarcworks.errors import UsageError
from dmarcworks.workers.message import EmailMessage, Headers, Message

NOT_REPLYABLE = "Original email is not replyable"
_IDS = 100
_MESSAGE_ID = re.compile(r"<[^<>@\s]{1,250}@[^<>@\s]{1,250}>")
_BROKEN = re.compile(rb"\r(?!\n)|\0")
_ADDRESS = re.compile(r"<([^<>]*)>\s*$")


def replyable(message: Message, dmarc: str) -> None:
    """Whether the mail may be answered at all; `dmarc` is its result."""
    headers = message.headers
    automatic = (headers.get("auto-submitted") or "no").strip().lower() != "no"
    suppressed = (headers.get("x-auto-response-suppress") or "none").strip().lower() != "none"
    references = headers.get("references")
    half = (headers.get("in-reply-to") is None) != (references is None)
    unnamed = not _MESSAGE_ID.fullmatch((headers.get("message-id") or "").strip())
    long = references is not None and len(_MESSAGE_ID.findall(references)) >= _IDS
    if automatic or suppressed or half or unnamed or long or not message.from_ or dmarc != "pass":
        raise UsageError(NOT_REPLYABLE)


def proper(message: Message, reply: EmailMessage) -> str:
    """Check the answer; its Message-ID."""
    data = reply.data
    end = data.find(b"\r\n\r\n")
    if _BROKEN.search(data[: end if end >= 0 else len(data)]):
        raise UsageError("the reply's header holds a bare CR or a NUL")
    headers = Headers.of(data[: data.find(b"\r\n\r\n") + 2] if b"\r\n\r\n" in data else data)
    author = (headers.get("from") or "").strip()
    match = _ADDRESS.search(author)
    if (match[1] if match else author).strip().lower() != reply.from_.strip().lower() or not reply.from_:
        raise UsageError("From: header does not match mail from")
    if reply.from_.rpartition("@")[2].lower() != message.to.rpartition("@")[2]:
        raise UsageError("the reply's sender is not of the domain that the mail came to")
    if reply.to.strip().lower() != message.from_.strip().lower():
        raise UsageError("the reply's recipient is not the mail's sender")
    message_id = (headers.get("message-id") or "").strip()
    if not _MESSAGE_ID.fullmatch(message_id):
        raise UsageError("invalid message-id")
    if "received" in headers:
        raise UsageError("invalid headers set")
    answered, original = headers.get("in-reply-to"), (message.headers.get("message-id") or "").strip()
    if answered is None:
        raise UsageError("no In-Reply-To header found in reply message")
    if answered.strip() != original:
        raise UsageError("In-Reply-To does not match original Message-ID")
    references = headers.get("references")
    earlier = _MESSAGE_ID.findall(message.headers.get("references") or "")
    if references is not None and _MESSAGE_ID.findall(references) not in ([*earlier, original], [original]):
        raise UsageError("provided References header is invalid")
    return message_id
