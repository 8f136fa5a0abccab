"""Streams out of gzip and zip bytes: RFC 1952 with every member, PKZIP by its own headers; nothing in memory at once.

Sizes in headers are never believed: deflate ends where it ends. Refused by name: truncated or damaged data, encrypted
members, other compressions. The caller counts the bytes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import cast

from isal import isal_zlib

from dmarcworks.reports.notes import Notes, Refused

# isal types its own error as a function.
_DAMAGED = cast(type[Exception], isal_zlib.error)
CHUNK = 256 * 1024
GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"
# Writers that compress in parallel make one member for some 64 KiB.
GZIP_MEMBERS = 10_000
_FIRST = 4096
# Data grows a little where it cannot be compressed; blocks of nothing would take time and count for nothing.
_IDLE = 1024 * 1024
_PADDING = re.compile(rb"[\0\r\n\t ]*+")
_EMPTY_ZIP = b"PK\x05\x06"
# The first member of a document of Office or LibreOffice or of a program library.
_DOCUMENT = (b"[Content_Types].xml", b"mimetype", b"_rels/.rels", b"META-INF/MANIFEST.MF", b"word/", b"xl/")
_CENTRAL = b"PK\x01\x02"
_ENCRYPTED = 0x1
_DESCRIPTOR = 0x8
_STORED, _DEFLATED = 0, 8
_END = struct.Struct("<10xHLL")
_ENTRY = struct.Struct("<8xHH4xLLLHHH8xL")


def is_gzip(data: bytes) -> bool:
    """Whether the bytes begin as gzip."""
    return data.startswith(GZIP)


def is_zip(data: bytes) -> bool:
    """Whether the bytes begin as a zip archive."""
    return data.startswith((ZIP, _EMPTY_ZIP))


def gunzip(data: bytes, where: str, notes: Notes) -> Iterator[bytes]:
    """Inflate all members in chunks; junk after a trailer is noted (Mimecast sends CRLF)."""
    position = count = 0
    while True:
        count += 1
        if count > GZIP_MEMBERS:
            raise Refused("members", f"The gzip data has more than {GZIP_MEMBERS} members.")
        # A later member may be tiny: it is not given a whole chunk to copy.
        position += yield from _inflate(data, position, 31, "gzip", CHUNK if count == 1 else _FIRST)
        rest = position + len(_PADDING.match(data, position)[0])  # type: ignore[index]  # matches anywhere
        if rest == len(data):
            if rest > position:
                notes.add("gzip_trailing", where, f"{rest - position} bytes of padding after the gzip data.")
            return
        if not data.startswith(GZIP, rest):
            notes.add("gzip_trailing", where, f"{len(data) - position} bytes that are not gzip after the gzip data.")
            return
        position = rest


def small_gzip(data: bytes, most: int) -> bytes | None:
    """The content of a gzip of one whole member with nothing behind it; None when it is not that or longer."""
    engine = isal_zlib.decompressobj(wbits=31)
    try:
        content = engine.decompress(data, most)
    except _DAMAGED:
        return None
    return content if engine.eof and not engine.unused_data else None


def small_zip(data: bytes, most: int) -> tuple[bytes | None, str]:
    """The content and name of the only file of a zip archive with a directory; None when it is not that or longer."""
    end = len(data) - 22
    if end < 0 or not data.startswith(_EMPTY_ZIP, end):
        return None, ""
    count, size, offset = _END.unpack_from(data, end)
    begin = end - size
    moved = begin - offset
    if count != 1 or begin < 0 or moved < 0 or size < 46 or not data.startswith(_CENTRAL, begin):
        return None, ""
    flags, method, crc, _, _, name, extra, comment, local = _ENTRY.unpack_from(data, begin)
    if flags & _ENCRYPTED or method != _DEFLATED or begin + 46 + name + extra + comment != end:
        return None, ""
    try:
        content = isal_zlib.decompressobj(wbits=-15)
        inflated = content.decompress(memoryview(data)[_content(data, local + moved) :], most)
    except (_DAMAGED, Refused):
        return None, ""
    if not content.eof or (crc and isal_zlib.crc32(inflated) != crc):
        return None, ""
    return inflated, _name(data[begin + 46 : begin + 46 + name], flags)


def _inflate(data: bytes, start: int, wbits: int, kind: str, step: int = CHUNK) -> Generator[bytes, None, int]:
    """Yield inflated chunks, `step` bytes fed at first; returns how many bytes of `data` the stream took."""
    engine = isal_zlib.decompressobj(wbits=wbits)
    view = memoryview(data)
    position = start
    produced = 0
    tail = b""
    try:
        while not engine.eof:
            if not tail:
                tail = bytes(view[position : position + step])
                position += len(tail)
                step = min(2 * step, CHUNK)
            fed = bool(tail)
            chunk = engine.decompress(tail, CHUNK)
            tail = engine.unconsumed_tail
            produced += len(chunk)
            if position - start - len(tail) - produced > _IDLE:
                raise Refused(f"{kind}_corrupt", f"The {kind} data holds far more blocks than content.")
            if chunk:
                yield chunk
            elif not fed and not engine.eof:
                raise Refused(
                    f"{kind}_truncated" if kind == "gzip" else f"{kind}_corrupt",
                    f"The {kind} data ends before its end.",
                )
    except _DAMAGED as error:
        raise Refused(f"{kind}_corrupt", f"The {kind} data is damaged: {error}") from None
    return position - len(engine.unused_data) - start


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """A file in a zip archive: where its local header begins, and its entry in the central directory."""

    name: str
    offset: int
    flags: int
    method: int
    crc: int
    packed: int
    listed: bool


def members(data: bytes) -> Iterator[ArchiveMember]:
    """The archive's files by its directory, or by its local headers where the directory is missing or lies."""
    directory = _directory(data)
    if directory is not None:
        yield from directory
        return
    yield from _scan(data)


def is_document(data: bytes) -> bool:
    """Whether a zip archive is a document or a program library, whose members are never reports."""
    return data.startswith(ZIP) and data[30:1024].startswith(_DOCUMENT)


def has_directory(data: bytes) -> bool:
    """Whether the archive has a directory that can be followed (a truncated archive has none)."""
    return _directory(data) is not None


def read_member(data: bytes, member: ArchiveMember) -> Iterator[bytes]:
    """Inflate one file in chunks and verify its checksum; for deflate, the sizes stated in the headers are ignored."""
    if member.flags & _ENCRYPTED:
        raise Refused("zip_encrypted", "The file in the zip archive is encrypted.")
    if member.method not in (_STORED, _DEFLATED):
        raise Refused(
            "zip_method", f"The zip archive uses compression method {member.method}; stored and deflate are read."
        )
    start = _content(data, member.offset)
    total = 0
    if member.method == _STORED:
        end = start + member.packed
        if end > len(data):
            raise Refused("zip_corrupt", "The file in the zip archive ends before its end.")
        for position in range(start, end, CHUNK):
            chunk = data[position : min(position + CHUNK, end)]
            total = isal_zlib.crc32(chunk, total)
            yield chunk
    else:
        for chunk in _inflate(data, start, -15, "zip"):
            total = isal_zlib.crc32(chunk, total)
            yield chunk
    if member.crc and total != member.crc:
        raise Refused("zip_corrupt", "The checksum of the file in the zip archive is wrong.")


def _directory(data: bytes) -> Iterator[ArchiveMember] | None:
    end = data.rfind(_EMPTY_ZIP, max(0, len(data) - 65_557))
    if end < 0 or end + 22 > len(data):
        return None
    count, size, offset = _END.unpack_from(data, end)
    # Bytes before the archive move everything by as many; an archive with 64-bit offsets is scanned instead.
    begin = end - size
    moved = begin - offset
    if begin < 0 or moved < 0 or (count and not data.startswith(_CENTRAL, begin)):
        return None
    return _entries(data, begin, end, moved)


def _entries(data: bytes, position: int, end: int, moved: int) -> Iterator[ArchiveMember]:
    while position + 46 <= end and data.startswith(_CENTRAL, position):
        flags, method, crc, packed, _, name, extra, comment, offset = _ENTRY.unpack_from(data, position)
        text = _name(data[position + 46 : position + 46 + name], flags)
        yield ArchiveMember(text, offset + moved, flags, method, crc, packed, True)
        position += 46 + name + extra + comment


def _scan(data: bytes) -> Iterator[ArchiveMember]:
    position = data.find(ZIP)
    while position >= 0 and position + 30 <= len(data):
        flags, method, crc, packed, name = struct.unpack_from("<6xHH4xLL4xH", data, position)
        text = _name(data[position + 30 : position + 30 + name], flags)
        yield ArchiveMember(text, position, flags, method, 0 if flags & _DESCRIPTOR else crc, packed, False)
        position = data.find(ZIP, position + 30 + name)


def _content(data: bytes, offset: int) -> int:
    if offset + 30 > len(data) or not data.startswith(ZIP, offset):
        raise Refused("zip_corrupt", "The zip archive's directory points to where no file is.")
    name, extra = struct.unpack_from("<26xHH", data, offset)
    return int(offset + 30 + name + extra)


def _name(raw: bytes, flags: int) -> str:
    if raw.isascii():
        return raw.decode("ascii")
    return raw.decode("utf-8" if flags & 0x800 else "cp437", "replace")
