"""A failure report as plain text, and the line behind which the reported message stands, in however many lines it is.

Pure.

Exim writes "------ This is a copy of the headers that were received before the error was detected."; mail programs and
gateways wrap it, indent it and take its hyphens away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dmarcworks.reports.charsets import text_of

__all__ = [
    "QuotedCopy",
    "begins_with_headers",
    "copy_in_feedback",
    "form_text",
    "is_text_form",
    "own_text",
    "quoted_copy",
    "unquoted_copy",
]

_LINE = re.compile(r"^[^\n]*", re.MULTILINE)
_RULE = re.compile(r"[ \t>]{0,20}[-=_*#~]{3}")
_FIELD = re.compile(r"[!-9;-~]{1,100}[ \t]{0,10}:")
_ANNOUNCED = re.compile(
    r"copy of (?:the|your|this) (?:original |reported |failed )?(?:headers?|message|mail|e-?mail)"
    r"|(?:original|message|full|reported|mail) headers(?: follow|:| were|$)"
    r"|headers of the (?:original )?(?:message|mail)",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"\s*+(?:received|return-path|from|to|subject|date|message-id|dkim-signature|mime-version)[ \t]{0,10}:",
    re.IGNORECASE,
)
_TEXT_FIELD = re.compile(
    r"^[ \t]*(?:sender (?:domain|ip address)|received date|(?:spf|dkim) alignment|dmarc results)[ \t]*:[^\n]*",
    re.MULTILINE | re.IGNORECASE,
)
# Header fields that nearly every message has; two of them in a row begin a copy.
_USUAL = re.compile(
    rb"\s{0,100}(?:From [^\r\n]{1,998}[\r\n]{1,2})?(?:(?:received|return-path|delivered-to|from|to|cc|subject|date"
    rb"|message-id|dkim-signature|mime-version|content-type|authentication-results"
    rb"|arc-[a-z-]{1,40}|x-[a-z0-9-]{1,60})[ \t]{0,10}:[^\r\n]{0,998}"
    rb"(?:\r\n|\r|\n|\Z)(?:[ \t][^\r\n]{0,998}(?:\r\n|\r|\n|\Z)){0,50}){2}",
    re.IGNORECASE,
)
_EMPTY_LINE = re.compile(rb"(?>\r\n|\n|\r)[ \t]{0,40}(?>\r\n|\n|\r)")
_QUOTED = re.compile(r"^[ \t]{0,40}(?:>[ \t]?){1,5}", re.MULTILINE)
_QUOTING = re.compile(r"[ \t]{0,40}(?:>[ \t]?){0,5}")
_TEXT_FORM = b"message claiming to be from you has failed the published dmarc policy"
# Banners of gateways and the words of who forwards a report precede it.
_FORM_WITHIN = 16 * 1024
# A sentence that is longer is none of these.
_LINES, _LONGEST = 4, 200
_LOOKED_AT = 8192


@dataclass(frozen=True, slots=True)
class QuotedCopy:
    """Where the sentence before the copy begins, and where the copy itself begins."""

    start: int
    end: int


def is_text_form(content: bytes) -> bool:
    """Whether the bytes are the plain text form, even if it is quoted as a whole."""
    head = content[:_FORM_WITHIN]
    # Not an archive that holds such a text uncompressed.
    if b"\0" in head:
        return False
    return _states_form(head) or (b">" in head and _states_form(form_text(content)[:_FORM_WITHIN].encode()))


def form_text(content: bytes) -> str:
    """The text form as text; without the quoting of a reply or forward if it is quoted as a whole."""
    text = text_of(content)
    return text if _states_form(content[:_FORM_WITHIN]) else _unquoted(text)


def _states_form(head: bytes) -> bool:
    return _TEXT_FORM in b" ".join(head.lower().split())


def quoted_copy(text: str) -> QuotedCopy | None:
    """The first place where a copy is announced, or else header fields behind the report's own; line ends are LF."""
    recent: list[tuple[int, str]] = []
    for line in _LINE.finditer(text):
        stated = line[0]
        if not stated.strip() or len(stated) > _LONGEST:
            recent = []
            continue
        if _RULE.match(stated):
            recent = []
        recent = [*recent[-(_LINES - 1) :], (line.start(), stated.strip())]
        # Wrapped anywhere, the sentence is whole in the lines up to this one.
        for first in range(len(recent) - 1, -1, -1):
            sentence = " ".join(words for _, words in recent[first:])
            if _ANNOUNCED.search(sentence) and (_RULE.match(recent[first][1]) or _is_sentence(sentence)):
                start = next((at for at, words in recent if _RULE.match(words)), recent[first][0])
                return QuotedCopy(start, _end(text, line.end()))
    own = len(own_text(text)) if _TEXT_FIELD.search(text) else len(text)
    return QuotedCopy(own, own) if _HEADER.match(text, own) else _unannounced(text, own)


def _unannounced(text: str, own: int) -> QuotedCopy | None:
    """A copy behind a rule and up to four lines in words that are not known (another language, a mail program's)."""
    words, end = 0, own
    for line in _LINE.finditer(text, own + 1):
        stated = line[0]
        if not stated.strip():
            continue
        if words and begins_with_headers(text[line.start() : line.start() + _LOOKED_AT].encode("utf-8", "replace")):
            return QuotedCopy(own, end)
        words, end = words + 1, line.end()
        if words > _LINES or len(stated) > _LONGEST or (words == 1 and not _RULE.match(stated)):
            return None
    return None


def begins_with_headers(content: bytes) -> bool:
    """Whether a text begins as a message does: with two of the usual header fields."""
    return _USUAL.match(content[:_LOOKED_AT]) is not None


def copy_in_feedback(content: bytes) -> int | None:
    """Where a copy of the message begins in a feedback report: at a paragraph behind the report's own fields."""
    for gap in _EMPTY_LINE.finditer(content, len(content) - len(content.lstrip())):
        if _USUAL.match(content, gap.end(), gap.end() + _LOOKED_AT):
            return gap.end()
    return None


def unquoted_copy(copy: str) -> str:
    """A copy without the quoting or indentation that all its lines have; the copy itself when one lacks it."""
    lines = copy.lstrip("\n").split("\n")
    quoting = _QUOTING.match(lines[0])
    prefix = quoting[0] if quoting else ""
    if not prefix:
        return copy
    plain = []
    for line in lines:
        if not line.strip(" \t>"):
            plain.append("")
        elif line.startswith(prefix):
            plain.append(line[len(prefix) :])
        else:
            return copy
    return "\n".join(plain)


def _unquoted(text: str) -> str:
    """A text without the ">" of a reply or forward; the text itself unless all its lines from the first quoted one on
    are quoted at least as deeply: whatever somebody wrote between them would be read as part of the quotation.
    """
    first = _QUOTED.search(text)
    if first is None:
        return text
    quoting = re.compile(rf"[ \t]{{0,40}}(?:>[ \t]?){{{first[0].count('>') - 1}}}>")
    lines = text[first.start() :].split("\n")
    prefixes = [quoting.match(line) for line in lines]
    if any(prefix is None and line.strip() for prefix, line in zip(prefixes, lines, strict=True)):
        return text
    plain = [line[prefix.end() :] if prefix else "" for prefix, line in zip(prefixes, lines, strict=True)]
    if all(not line or line[0] in " \t" for line in plain):
        plain = [line[1:] for line in plain]
    return text[: first.start()] + "\n".join(plain)


def own_text(text: str) -> str:
    """A text form without a line before the copy: up to the last of the report's own fields in their paragraph."""
    end = text.find("\n\n") if "\n\n" in text else len(text)
    first = _TEXT_FIELD.search(text)
    if first is None:
        return text[:end]
    blank = text.find("\n\n", first.start())
    last = [*_TEXT_FIELD.finditer(text, first.start(), len(text) if blank < 0 else blank)][-1]
    return text[: last.end()]


def _is_sentence(text: str) -> bool:
    """Whether it is prose and no header field that happens to have these words (a Subject)."""
    return _FIELD.match(text) is None or text.rstrip().endswith((":", ".", "-"))


def _end(text: str, position: int) -> int:
    """Where the sentence ends: its further lines are no header fields."""
    for _ in range(_LINES):
        line = _LINE.match(text, position + 1)
        if line is None or not line[0].strip() or len(line[0]) > _LONGEST:
            break
        if _FIELD.match(line[0]) or line[0].startswith(("From ", ">From ")):
            break
        position = line.end()
    return position
