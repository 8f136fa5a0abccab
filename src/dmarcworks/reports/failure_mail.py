"""The parts of a mail → its failure report and the message that it reports, in whatever parts they are. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from dmarcworks.reports import failure
from dmarcworks.reports.copies import begins_with_headers, form_text, is_text_form, quoted_copy
from dmarcworks.reports.mime import MailPart
from dmarcworks.reports.model import Item, Part
from dmarcworks.reports.notes import Notes, Refused, Work

__all__ = ["failure_report", "is_original"]

# RFC 6591 §3.1 and their forms for internationalized mail (RFC 6532, RFC 6533).
_ORIGINALS = ("text/rfc822", "message/global", "message/partial")


def failure_report(raw: bytes, parts: Sequence[MailPart], prefix: str, work: Work) -> tuple[list[Item], set[str]]:
    """A failure report in the mail, and the parts that belong to it.

    The message that it reports is evidence and never a source of reports; elsewhere an embedded mail is forwarded.
    """
    report = text = original = None
    for part in parts[: work.bounds.members]:
        if is_original(part):
            original = original or part
        elif part.type == "message/feedback-report":
            report = report or part
        elif _is_text(part):
            content = _quietly(part)
            if failure.is_feedback(content):
                report = report or part
            elif text is None and is_text_form(content):
                text = part
    main = report or text
    if main is None:
        return [], set()
    evidence = {main.number}
    if original is None and (main is report or not _has_copy(main)):
        original = next((part for part in parts[: work.bounds.members] if part is not main and _is_copy(part)), None)
    for part in parts:
        if is_original(part) or part is text or part is original:
            evidence.add(part.number)
    where = f"{prefix}part {main.number}"
    try:
        content, message = main.read(), original.read() if original is not None else None
        read = failure.read_arf if main is report else failure.read_text
        digest = hashlib.sha256(content + b"\0" + (message or b"")).hexdigest()
        item = Item(read(content, message, where, Notes(), work), Part("failure-report.eml", raw, where), digest)
    except Refused as refused:
        work.problem(refused.reason, where, refused.detail)
        return [], evidence
    return [item], evidence


def is_original(part: MailPart) -> bool:
    """Whether a part is the reported message or its headers, by its type.

    The standard library takes a feedback report for a message too, and loses broken lines of both: its reading of such
    a mail finds no report, so that nothing is redacted by it.
    """
    if part.type.startswith("message/global-delivery") or part.type.startswith("message/global-disposition"):
        return False
    return part.message or part.type.startswith(_ORIGINALS)


def _is_text(part: MailPart) -> bool:
    plain = part.type.startswith("text/") and not part.type.startswith("text/html")
    return plain or part.type == "application/octet-stream"


def _has_copy(part: MailPart) -> bool:
    """Whether the text form quotes the message itself."""
    text = form_text(_quietly(part))
    copy = quoted_copy(text)
    return copy is not None and bool(text[copy.end :].strip())


def _is_copy(part: MailPart) -> bool:
    """Whether a text behind the first part is the message or its headers, under a type that does not state it."""
    return part.number not in ("1", "1.1") and _is_text(part) and begins_with_headers(_quietly(part))


def _quietly(part: MailPart) -> bytes:
    try:
        return part.read()
    except Refused:
        return b""
