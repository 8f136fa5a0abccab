"""Streams out of bzip2, xz and zstd bytes, and the names of compressions and archives that are not read.

Nothing is in memory at once and nothing is believed: the caller counts the bytes. Refused by name: truncated data,
damaged data, more members than anybody writes.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator

from dmarcworks.reports.notes import Refused

__all__ = ["CHUNK", "MAGIC", "opener", "unread_format"]

CHUNK = 256 * 1024
_MEMBERS = 1_000
# What an xz file may make its reader allocate.
_MEMORY = 96 * 1024 * 1024
_BZIP2, _XZ, _ZSTD = b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"
# The magic bytes of a first block, or of an empty file.
_BZIP2_BLOCK = (b"1AY&SY", b"\x17rE8P\x90")
_UNREAD = (
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"MSCF\0\0\0\0", "a cabinet archive"),
    (b"LZIP", "lzip data"),
    (b"\x1f\x9d", "data of compress (.Z)"),
    (b"\x04\x22\x4d\x18", "LZ4 data"),
    (b"\x5d\0\0", "LZMA data without a container"),
    (b"\x60\xea", "an ARJ archive"),
    (b"PK\x07\x08", "a split zip archive"),
    (b"\x89LZO", "LZO data"),
    (b"\xff\x06\0\0sNaPpY", "Snappy data"),
    (b"070701", "a cpio archive"),
    (b"070707", "a cpio archive"),
    (b"ZOO ", "a zoo archive"),
    (b"**ACE**", "an ACE archive"),
    (b"xar!", "a xar archive"),
    (b"hsqs", "a file system image"),
    (b"!<arch>\n", "an ar archive"),
    (b"MSWIM\0\0\0", "a WIM archive"),
    (b"StuffIt", "a StuffIt archive"),
    (b"SIT!", "a StuffIt archive"),
    (b"(This file must be converted with BinHex", "BinHex data"),
    (b"=ybegin ", "yEnc data"),
)
# The magic of some follows bytes that vary.
_BEHIND = (
    (re.compile(rb"..-l[hz][0-9ds]-", re.DOTALL), "an LHA archive"),
    (re.compile(rb".{7}\*\*ACE\*\*", re.DOTALL), "an ACE archive"),
)

_UNREAD_MAGIC = tuple(magic for magic, _ in _UNREAD)
MAGIC = (_BZIP2, _XZ, _ZSTD)

_Decompressor = bz2.BZ2Decompressor | lzma.LZMADecompressor


def opener(data: bytes) -> tuple[str, Callable[[bytes], Iterator[bytes]]] | None:
    """The suffix that files of this compression have, and the function that inflates them; None for other bytes."""
    if not data.startswith(MAGIC):
        return None
    if data.startswith(_BZIP2) and data[3:4] in b"123456789" and data[4:10] in _BZIP2_BLOCK:
        return ".bz2", _bunzip2
    if data.startswith(_XZ):
        return ".xz", _unxz
    if data.startswith(_ZSTD):
        return ".zst", _unzstd
    return None


def unread_format(data: bytes) -> str:
    """The name of a compression or archive that is not read; "" for other bytes."""
    if data.startswith(_UNREAD_MAGIC):
        return next(name for magic, name in _UNREAD if data.startswith(magic))
    if (named := next((name for pattern, name in _BEHIND if pattern.match(data)), "")) or not _is_zlib(data):
        return named
    return "zlib data without a container"


def _is_zlib(data: bytes) -> bool:
    """Whether it begins as RFC 1950 has it and inflates; the two bytes alone are those of many texts."""
    if data[:1] != b"\x78" or int.from_bytes(data[:2], "big") % 31:
        return False
    try:
        return len(zlib.decompressobj().decompress(data[:4096], 64)) == 64
    except zlib.error:
        return False


def _bunzip2(data: bytes) -> Iterator[bytes]:
    try:
        yield from _inflated(data, bz2.BZ2Decompressor, _BZIP2)
    except EOFError:
        raise Refused("compressed_truncated", "The bzip2 data ends before its end.") from None
    except (OSError, ValueError) as error:
        raise Refused("compressed_corrupt", f"The bzip2 data is damaged: {error}") from None


def _unxz(data: bytes) -> Iterator[bytes]:
    try:
        yield from _inflated(data, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY), _XZ)
    except EOFError:
        raise Refused("compressed_truncated", "The xz data ends before its end.") from None
    except lzma.LZMAError as error:
        raise Refused("compressed_corrupt", f"The xz data is damaged or needs too much memory: {error}") from None


def _inflated(data: bytes, start: Callable[[], _Decompressor], magic: bytes) -> Iterator[bytes]:
    """Every member in chunks; `EOFError` where the last one has no end. What follows that is no member is padding."""
    position = 0
    for _ in range(_MEMBERS):
        engine = start()
        while not engine.eof:
            piece = data[position : position + CHUNK] if engine.needs_input else b""
            if not piece and engine.needs_input:
                raise EOFError
            position += len(piece)
            if chunk := engine.decompress(piece, CHUNK):
                yield chunk
        position -= len(engine.unused_data)
        if not data.startswith(magic, position):
            return
    raise Refused("members", f"The compressed data has more than {_MEMBERS} members.")


def _unzstd(data: bytes) -> Iterator[bytes]:
    # Loaded when needed only: no reporter sends zstd, and the library is large.
    import pyarrow as pa

    try:
        with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except OSError as error:
        if "runcated" in str(error):
            raise Refused("compressed_truncated", "The zstd data ends before its end.") from None
        raise Refused("compressed_corrupt", f"The zstd data is damaged: {error}") from None
