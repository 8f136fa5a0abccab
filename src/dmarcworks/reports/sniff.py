"""What a file is, by its first bytes: XML with its root and encoding, JSON, a mail, or none of these.

In: the head of a file. Out: a `Head`. Nothing is refused here; a DOCTYPE is only seen (the readers refuse it).
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

LOOKED_AT = 64 * 1024
# The most other text before the XML (RFC 7489 allows none, but gateways add lines).
_LEADING = 1024
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_START = re.compile(r"<\?xml[\s?]|<!--|<!DOCTYPE|<(?:[A-Za-z_][\w.-]*:)?feedback[\s/>]", re.IGNORECASE)
_ENCODING = re.compile(r"<\?xml[^>]{0,200}?\bencoding\s*=\s*[\"']([A-Za-z0-9._:-]{1,40})[\"']")
_ROOT = re.compile(r"<(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)")
_FIELD = re.compile(r"[!-9;-~]{1,76}:")
# How nearly every report begins; for these the result is known without inspecting the rest.
_USUAL = re.compile(rb"(?:<\?xml version=\"1\.0\"(?: encoding=\"((?:utf|UTF)-8)\")? ?\?>\s*+)?<feedback[\s>]")
_SPACE = "\ufeff \t\r\n\0"


@dataclass(frozen=True, slots=True)
class Head:
    """The kind ("xml", "json", "mail", "ole", "empty", "other"), and for XML its prolog and root element.

    `skip` is the count of bytes before the XML, `leading` whether they are more than white space; `codec` is the
    encoding that the bytes themselves show (a mark or NULs), `declared` the one the declaration names.
    """

    kind: str
    skip: int = 0
    leading: bool = False
    root: str = ""
    doctype: bool = False
    codec: str = ""
    declared: str = ""


_USUAL_PLAIN = Head("xml", root="feedback")
_USUAL_UTF8 = Head("xml", root="feedback", declared="utf-8")


def look(head: bytes) -> Head:
    """Detect the kind of content that begins with these bytes."""
    if (usual := _USUAL.match(head)) is not None:
        return _USUAL_UTF8 if usual.group(1) else _USUAL_PLAIN
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return Head("ole")
    codec, text = _text(head[:LOOKED_AT])
    bare = text.lstrip(_SPACE)
    if not bare:
        return Head("empty")
    if bare[0] in "{[":
        return Head("json", codec=codec)
    start = len(text) - len(bare)
    leading = False
    if bare[0] != "<":
        match = _START.search(text[:_LEADING])
        if match is None:
            return Head("mail" if _FIELD.match(bare) or bare.startswith("From ") else "other", codec=codec)
        start, leading = match.start(), True
    root, doctype, end = _prolog(text, start)
    if leading and root.lower() != "feedback":
        return Head("mail" if _FIELD.match(bare) else "other", codec=codec)
    declared = _ENCODING.search(text, start, max(start, end))
    skip = len(text[:start].encode(codec)) if codec else start
    return Head("xml", skip, leading, root, doctype, codec, declared.group(1).lower() if declared else "")


def _text(head: bytes) -> tuple[str, str]:
    """The head as text; bytes without a mark are read as Latin-1, so that offsets stay byte offsets."""
    for mark, codec in _BOMS:
        if head.startswith(mark):
            return codec, head.decode(codec, "replace")
    if head.startswith((b"<\0", b"{\0")):
        return "utf-16-le", head.decode("utf-16-le", "replace")
    if head.startswith((b"\0<", b"\0{")):
        return "utf-16-be", head.decode("utf-16-be", "replace")
    return "", head.decode("latin-1")


def _prolog(text: str, position: int) -> tuple[str, bool, int]:
    """Root name, whether a DOCTYPE precedes it, and where the root begins."""
    doctype = False
    while 0 <= position < len(text):
        position = text.find("<", position)
        if position < 0:
            break
        if text.startswith("<?", position):
            position = text.find("?>", position)
        elif text.startswith("<!--", position):
            position = text.find("-->", position)
        elif text[position : position + 9].upper() == "<!DOCTYPE":
            doctype = True
            position = text.find(">", position)
        elif text.startswith("<!", position):
            position += 2
        else:
            root = _ROOT.match(text, position)
            if root is not None:
                return root.group(1), doctype, position
            position += 1
    return "", doctype, len(text)


def like_mail(data: bytes) -> bool:
    """Whether it begins with a header field (or an mbox `From ` line) and not like XML, JSON, gzip or zip."""
    head = data[:1024].lstrip(b"\r\n")
    if head.startswith((b"\x1f\x8b", b"PK", b"<", b"{", b"[", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return False
    line = head.split(b"\n", 1)[0]
    name, colon, _ = line.partition(b":")
    return line.startswith(b"From ") or bool(colon and name and all(33 <= byte <= 126 for byte in name.rstrip()))
