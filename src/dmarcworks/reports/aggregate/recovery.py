"""Broken XML text → text that a strict parser may read, without changing the report's content.

In: a file's chunks or text. Out: decoded text, the documents in it, escaped markup. Nothing is guessed: a document
without its closing tag does not count, and the caller compares how many records begin with how many were read.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dmarcworks.reports.notes import Notes
from dmarcworks.reports.sniff import Head

# Encodings that reporters declare and that decode in linear time; any other is read as UTF-8.
_CODECS = re.compile(
    r"(?:utf-?8|utf-?16(?:-?[lb]e)?|utf-?32(?:-?[lb]e)?|us-ascii|ascii|iso-?8859-?\d{1,2}|latin-?1|windows-?\d{3,4}|cp\d{3,4}"
    r"|koi8-[ru]|gb2312|gbk|gb18030|big5|shift_jis|euc-(?:jp|kr)|macintosh)",
    re.IGNORECASE,
)
_WORDS = (
    "feedback version report_metadata org_name email extra_contact_info report_id date_range begin end error generator "
    "policy_published domain adkim aspf p sp np pct fo rf ri testing discovery_method record row source_ip count "
    "policy_evaluated disposition dkim spf reason type comment identifiers identities header_from envelope_from "
    "envelope_to auth_results selector scope result human_result extension"
)
WORDS = frozenset(_WORDS.split())
_TAG = r"(?:[A-Za-z_][\w.-]{0,60}:)?(?:" + "|".join(sorted(WORDS, key=len, reverse=True)) + r")(?=[\s/>])"
_KNOWN = re.compile(rf"</?{_TAG}", re.IGNORECASE)
_UNESCAPED = re.compile(rf"<(?!/?{_TAG}|!--|!\[CDATA\[|\?)")
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)(?:#(\d{1,7});|#x([0-9A-Fa-f]{1,6});)?")
_OPEN = re.compile(r"<(?:[A-Za-z_][\w.-]{0,60}:)?feedback(?=[\s/>])")
_CLOSE = re.compile(r"</(?:[A-Za-z_][\w.-]{0,60}:)?feedback\s{0,100}>")
_RECORD = re.compile(r"<(?:[A-Za-z_][\w.-]{0,60}:)?record(?=[\s/>])")
_RECORD_END = re.compile(r"</(?:[A-Za-z_][\w.-]{0,60}:)?record\s{0,100}>")
_COMMENT = re.compile(r"<\?|<!--")
_COMMENT_END = {"<?": ">", "<!--": "-->"}
# What XML 1.0 does not allow as a character (§2.2); NUL is padding and goes.
_NOT_XML = {n: "�" for n in (*range(1, 32), 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)) if n not in (9, 10, 13)}
_NOT_XML[0] = ""


@dataclass(frozen=True, slots=True)
class Documents:
    """The complete documents of a text, the text around them, and whether that text contains an incomplete report."""

    documents: tuple[str, ...]
    around: str
    unfinished: bool


def decoded(chunks: Iterable[bytes], head: Head, where: str, notes: Notes) -> Iterator[str]:
    """The file as text from where its XML begins, wrong bytes and characters replaced (noted)."""
    codec = head.codec or head.declared or "utf-8"
    if not _CODECS.fullmatch(codec) or (not head.codec and codec.startswith(("utf-16", "utf16", "utf-32", "utf32"))):
        notes.add(
            "encoding_unknown",
            where,
            f"The declared encoding {codec!r} is not that of the text, which was read as UTF-8.",
        )
        codec = "utf-8"
    try:
        decoder = codecs.getincrementaldecoder(codec)("replace")
    except LookupError:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
    skip = head.skip
    replaced = False
    for chunk in _then_end(chunks):
        if skip:
            chunk, skip = chunk[skip:], max(0, skip - len(chunk))
        piece = decoder.decode(chunk, not chunk and not skip)
        clean = piece.translate(_NOT_XML)
        if not replaced and (clean != piece.replace("\0", "") or "�" in clean):
            replaced = True
            notes.add(
                "characters_replaced", where, f"Bytes that are no {codec} text or no XML characters were replaced."
            )
        yield clean


def _then_end(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if chunk:
            yield chunk
    yield b""


def documents(text: str, where: str, notes: Notes) -> Documents:
    """The text cut into its documents, each from the root's opening to its closing tag, known tags in lower case."""
    lower = _KNOWN.sub(lambda match: match.group().lower(), text)
    if lower != text:
        notes.add("upper_case_tags", where, "Element names in upper case were read as if in lower case.")
    documents: list[str] = []
    pieces: list[str] = []
    position = 0
    for close in _CLOSE.finditer(lower):
        begin = _OPEN.search(lower, position, close.end())
        if begin is None:
            pieces.append(lower[position : close.end()])
        else:
            pieces.append(lower[position : begin.start()])
            documents.append(lower[begin.start() : close.end()])
        position = close.end()
    rest = lower[position:]
    pieces.append(rest)
    around = _without_comments("".join(pieces)).strip()
    return Documents(tuple(documents), around, bool(_OPEN.search(rest) or _RECORD.search(around)))


def _without_comments(text: str) -> str:
    """The text without instructions and comments; one search per kind that has no end, so that time stays linear."""
    pieces: list[str] = []
    endless: set[str] = set()
    position = kept = 0
    while begin := _COMMENT.search(text, position):
        kind = begin.group()
        position = begin.end()
        end = -1 if kind in endless else text.find(_COMMENT_END[kind], position)
        if end < 0:
            endless.add(kind)
            continue
        pieces.append(text[kept : begin.start()])
        position = kept = end + len(_COMMENT_END[kind])
    return "".join((*pieces, text[kept:]))


def escaped(text: str, where: str, notes: Notes) -> str:
    """The text with `&` and `<` escaped where they begin no reference and no tag of a report."""
    repaired = _UNESCAPED.sub("&lt;", _ENTITY.sub(_reference, text))
    if repaired != text:
        notes.add("markup_escaped", where, "Characters & or < that were not escaped were read as text.")
    return repaired


def _reference(match: re.Match[str]) -> str:
    decimal, hexadecimal = match.groups()
    number = int(decimal) if decimal else int(hexadecimal, 16) if hexadecimal else 0
    allowed = number in (9, 10, 13) or 32 <= number <= 0xD7FF or 0xE000 <= number <= 0x10FFFF
    allowed = allowed and number not in (0xFFFE, 0xFFFF)
    return match.group() if allowed else "&amp;" + match.group()[1:]


def count_records(text: str) -> tuple[int, int]:
    """How many records begin in the text, and how many end."""
    return len(_RECORD.findall(text)), len(_RECORD_END.findall(text))
