"""The lines and fields of a mail as `redact` writes them: header lines, plain and encoded bodies, archives. Pure."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from urllib.parse import quote

from dmarcworks.reports import mail, unpack
from dmarcworks.reports.notes import Refused

__all__ = [
    "FIELD",
    "LINES",
    "MARK",
    "base64_body",
    "header_lines",
    "mark",
    "part_fields",
    "plain_body",
    "sure_header_lines",
    "without_fields",
    "zip_archive",
]

# What stands where a reported message was dropped: its hash.
MARK = b"X-Removed-SHA256"
LINES = re.compile(rb"\r\n|\n|\r")
FIELD = re.compile(rb"([!-9;-~]{1,100})[ \t]{0,10}:")
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}")
# How the boundaries of a rebuilt mail begin.
_BOUNDARY = b"--=_cut"


def header_lines(raw: bytes) -> list[bytes]:
    """The lines of a mail's headers, to the first that is none."""
    kept: list[bytes] = []
    for line in LINES.split(raw):
        envelope = not kept and line.startswith((b"From ", b">From "))
        folded = bool(kept) and line[:1] in (b" ", b"\t") and bool(line.strip())
        if envelope:
            continue
        if not folded and (not FIELD.match(line) or line.startswith(_BOUNDARY)):
            break
        kept.append(line)
    return kept


def sure_header_lines(raw: bytes) -> list[bytes]:
    """The lines of a mail's headers where it is certain where they end; refused where a line that is none stops them.

    What comes behind such a line may be headers or body: cut it would be lost, kept it would be kept unasked.
    """
    kept = header_lines(raw)
    lines = LINES.split(raw)
    skipped = sum(1 for line in lines[:1] if line.startswith((b"From ", b">From ")))
    behind = lines[skipped + len(kept) :]
    if raw.strip() and (not kept or (behind and behind[0].strip())):
        raise Refused("copy_unclear", "Where the headers of the reported message end is unclear.")
    return kept


def without_fields(lines: list[bytes], names: set[bytes]) -> list[bytes]:
    """The lines of header fields without the fields of these names."""
    kept: list[bytes] = []
    wanted = False
    for line in lines:
        if line[:1] not in (b" ", b"\t"):
            field = FIELD.match(line)
            wanted = field is not None and field.group(1).lower() not in names
        if wanted:
            kept.append(line)
    return kept


def mark(content: bytes) -> bytes:
    """The hash of a message's headers: the same whether its body was cut before or not."""
    headers = b"\r\n".join(header_lines(content.lstrip(b"\r\n")))
    return MARK + b": " + hashlib.sha256(headers).hexdigest().encode()


def part_fields(kind: str, part: mail.MailPart, plain: bool) -> list[bytes]:
    """The header fields of a part: its type, transfer encoding and name."""
    if not _TYPE.fullmatch(kind) or kind.startswith("multipart/"):
        kind = "text/plain"
    fields = [b"Content-Type: " + kind.encode()]
    if kind != "message/rfc822":
        fields.append(b"Content-Transfer-Encoding: " + (b"8bit" if plain else b"base64"))
    if part.name:
        name = quote(part.name.encode("utf-8", "replace"), safe="")
        fields += [b"Content-Disposition: attachment;", b" filename*=utf-8''" + name.encode()]
    return fields


def plain_body(content: bytes) -> bytes:
    """Lines of text, none of which ends a part."""
    lines = LINES.split(content.rstrip(b"\r\n"))
    return b"\r\n".join(line for line in lines if not line.startswith(_BOUNDARY))


def base64_body(content: bytes) -> bytes:
    """The content in base64, in lines."""
    return base64.encodebytes(content).replace(b"\n", b"\r\n").rstrip(b"\r\n")


def zip_archive(members: list[tuple[str, bytes]]) -> bytes:
    """A zip archive of named files; equal files make equal bytes."""
    packed = io.BytesIO()
    seen: set[str] = set()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (name, content) in enumerate(members):
            name = unpack.label(name or f"{number}").encode("utf-8", "replace").decode()
            name = f"{number}-{name}" if name in seen else name
            seen.add(name)
            # A date of its own would make another file of the same content.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()
