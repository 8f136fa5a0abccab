"""Header fields of a mail (RFC 5322) → names and values, parameters (RFC 2045, 2231) and words (RFC 2047). Pure.

Each function takes time in proportion to its input: patterns are possessive and consume what they look at. The bounds
of `Bounds` cut what is longer; `over` names those that did.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from dmarcworks.reports import charsets
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.transfer import base64

__all__ = ["Block", "Parameters", "author_domain", "block", "body_start", "is_utf8", "parameters", "unfolded", "words"]

# A field ends with the line that no white space follows.
_FIELD_END = re.compile(rb"\n(?![ \t])")
_NAME = re.compile(rb"([!-9;-~]*+)[ \t]*+:")
_BLANK = re.compile(rb"\n\r?\n")
_FOLD = re.compile(r"\r?\n")
_MIME_FIELD = re.compile(rb"\n(content-(?:type|transfer-encoding|disposition))[ \t]*+:", re.IGNORECASE)
# One parameter and the semicolon behind it: name, quoted or bare value.
_PARAMETER = re.compile(
    r"[;\s]*+([^=;\"\s]*+)\s*+(?:=\s*+(?:\"((?:[^\"\\]|\\.)*+)\"|([^;]*+)))?+[^;]*+(?:;|\Z)", re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PIECE = re.compile(r"(.*?)\*(\d{1,6})(\*?)", re.DOTALL)
_ADDRESS_TOKEN = re.compile(r"\"(?:[^\"\\]|\\.)*+\"|\\.|[()]|[^\"\\()]++|.", re.DOTALL)
_WORD = re.compile(r"=\?([^?\s]{1,75}+)\?([bBqQ])\?([^?]*+)\?=")


@dataclass(slots=True)
class Block:
    """A block of header fields: (name, value) as they stand, in order, and where the body begins."""

    fields: list[tuple[bytes, bytes]]
    body: int
    over: set[str]

    def first(self, name: bytes) -> bytes | None:
        """The first field of that name, which is given in lower case."""
        return next((value for field_name, value in self.fields if field_name.lower() == name), None)


@dataclass(slots=True)
class Parameters:
    """A value and its parameters by name in lower case, of several the first; extended ones decoded."""

    value: str
    named: dict[str, str] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)


def block(raw: bytes, start: int, bounds: Bounds) -> Block:
    """The fields from `start`, to the blank line or the first line that is no field.

    A field longer than `header_bytes` is cut. Beyond `header_fields` only the fields that MIME needs are taken.
    """
    block_ = Block([], len(raw), set())
    at, size = start, len(raw)
    while at < size:
        if raw.startswith((b"\n", b"\r\n"), at):
            block_.body = at + (1 if raw[at] == 10 else 2)
            return block_
        end = _FIELD_END.search(raw, at)
        stop = size if end is None else end.start()
        # White space that continues no field is passed over, as in any other reader.
        if raw[at] not in b" \t":
            name = _NAME.match(raw, at, stop)
            if name is None:
                block_.body = at
                return block_
            if len(block_.fields) >= bounds.header_fields:
                block_.over.add("header_fields")
                block_.body = body_start(raw, at)
                for late in _MIME_FIELD.finditer(raw, at - 1, block_.body):
                    end = _FIELD_END.search(raw, late.end())
                    _add(block_, late[1], raw, late.start() + 1, late.end(), end.start() if end else size, bounds)
                    if len(block_.fields) >= 2 * bounds.header_fields:
                        break
                return block_
            _add(block_, name[1], raw, at, name.end(), stop, bounds)
        at = stop + 1
    return block_


def _add(block_: Block, name: bytes, raw: bytes, start: int, value: int, stop: int, bounds: Bounds) -> None:
    if stop - start > bounds.header_bytes:
        block_.over.add("header_bytes")
        stop = max(value, start + bounds.header_bytes)
    block_.fields.append((name, raw[value:stop]))


def body_start(raw: bytes, start: int = 0) -> int:
    """Where the body begins, by the first blank line alone."""
    if raw.startswith((b"\n", b"\r\n"), start):
        return start + (1 if raw[start] == 10 else 2)
    blank_line = _BLANK.search(raw, start)
    return len(raw) if blank_line is None else blank_line.end()


def unfolded(value: bytes) -> str:
    """A field's value as one line of text; bytes that are no UTF-8 are read as Latin-1."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    return _FOLD.sub("", text).strip()


def is_utf8(value: bytes) -> bool:
    """Whether `unfolded` reads the value as UTF-8."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def parameters(text: str, bounds: Bounds) -> Parameters:
    """The value before the first semicolon and what follows it."""
    value, _, rest = text.partition(";")
    result = Parameters(value.strip())
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    at = count = 0
    rest = rest.rstrip("; \t\r\n")
    while at < len(rest):
        match = _PARAMETER.match(rest, at)
        if match is None or match.end() == at:
            break
        if count == bounds.header_parameters:
            result.over.add("header_parameters")
            break
        count += 1
        at = match.end()
        name = match[1].lower()
        if name and (match[2] is not None or match[3] is not None):
            given = _ESCAPED.sub(r"\1", match[2]) if match[2] is not None else match[3].strip()
            _note(name, given, result.named, pieces)
    for name, parts in pieces.items():
        if name not in result.named:
            result.named[name] = _joined(parts)
    return result


def _note(name: str, value: str, named: dict[str, str], pieces: dict[str, dict[int, tuple[str, bool]]]) -> None:
    if "*" in name:
        numbered = _PIECE.fullmatch(name)
        if numbered is not None:
            pieces.setdefault(numbered[1], {}).setdefault(int(numbered[2]), (value, bool(numbered[3])))
            return
        if name.endswith("*"):
            pieces.setdefault(name[:-1], {}).setdefault(0, (value, True))
            return
    named.setdefault(name, value)


def _joined(parts: dict[int, tuple[str, bool]]) -> str:
    """The pieces of a value (RFC 2231 §3, §4), of which the first may name the charset of the extended ones."""
    charset = "utf-8"
    data: list[bytes] = []
    for number, (text, extended) in sorted(parts.items()):
        if extended and number == 0 and text.count("'") >= 2:
            named, _, text = text.split("'", 2)
            charset = named if charsets.codec(named) else charset
        codec = charsets.codec(charset) or "utf-8"
        data.append(unquote_to_bytes(text) if extended else text.encode(codec, "replace"))
    return charsets.decoded(b"".join(data), charset) or ""


def author_domain(text: str) -> str:
    """The domain of the first address of a From field (RFC 5322 §3.4), comments nested in any depth; "" for none."""
    kept: list[str] = []
    depth = 0
    for token in _ADDRESS_TOKEN.finditer(text):
        if token[0] in "()":
            depth = max(0, depth + (1 if token[0] == "(" else -1))
        elif not depth and token[0][0] not in '"\\':
            kept.append(token[0])
    plain = "".join(kept)
    angle = plain.partition("<")[2].partition(">")[0]
    addresses = [angle] if "@" in angle else [piece for piece in plain.split(",") if "@" in piece]
    return addresses[0].rpartition("@")[2].strip(" \t<>") if addresses else ""


def words(text: str, bounds: Bounds, over: set[str] | None = None) -> str:
    """The text with its encoded words decoded; a word that cannot be, and all past `encoded_words`, as they stand."""
    if "=?" not in text:
        return text
    out: list[str] = []
    joined: list[bytes] = []
    charset = ""
    at = 0
    for number, match in enumerate(_WORD.finditer(text)):
        if number == bounds.encoded_words:
            if over is not None:
                over.add("encoded_words")
            break
        between = text[at : match.start()]
        data = _word(match[2], match[3])
        # A language may follow the charset (RFC 2231 §5).
        named = match[1].partition("*")[0]
        codec_name = charsets.codec(named) if data is not None else None
        # White space between words is no part of the text, and a character may be split over two of them.
        if joined and (codec_name is None or codec_name != charset or between.strip()):
            out.append(_text(joined, charset))
            joined = []
            near = codec_name is not None and not between.strip()
        else:
            near = bool(joined)
        at = match.end()
        if codec_name is None or data is None:
            out += [between, match[0]]
            continue
        if not near:
            out.append(between)
        charset = codec_name
        joined.append(data)
    if joined:
        out.append(_text(joined, charset))
    out.append(text[at:])
    return "".join(out)


def _text(pieces: list[bytes], charset: str) -> str:
    return b"".join(pieces).decode(charset, "replace").encode("utf-8", "replace").decode()


def _word(encoding: str, text: str) -> bytes | None:
    data = text.encode("utf-8", "replace")
    try:
        return base64(data) if encoding in "bB" else binascii.a2b_qp(data, header=True)
    except (binascii.Error, ValueError):
        return None
