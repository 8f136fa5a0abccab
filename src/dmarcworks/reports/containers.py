"""The files in a tar archive (POSIX ustar, pax, GNU) and in a winmail.dat (TNEF), by one pass over their headers. Pure.

Written here and not taken from a library: headers of strangers make the standard library's tarfile quadratic or endless
(CVE-2024-6232, CVE-2025-8194), and time must grow with the bytes alone. Names are labels; links and devices are passed
over; what is cut short is refused by name after the whole files before it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from dmarcworks.reports.notes import Refused

__all__ = ["TNEF", "is_tar", "is_tnef", "tar_files", "tnef_files"]

_BLOCK = 512
TNEF = b"\x78\x9f\x3e\x22"
_TNEF_ATTRIBUTE = struct.Struct("<BLL")
# [MS-OXTNEF] §2.1.3: where an attachment begins, its name and its content.
_BEGINS, _TITLE, _DATA = 0x00069002, 0x00018010, 0x0006800F
_LONGEST_NAME = 4096


def is_tar(data: bytes) -> bool:
    """Whether the bytes begin with a header of a tar archive, by its checksum."""
    # The check for a NUL excludes text cheaply: every header has NULs after its numbers.
    return len(data) >= _BLOCK and data[0] != 0 and 0 in data[100:_BLOCK] and _sum_is_right(data[:_BLOCK])


def _sum_is_right(header: bytes) -> bool:
    stated = _number(header[148:156])
    return stated is not None and stated == sum(header) - sum(header[148:156]) + 8 * 32


def _number(field: bytes) -> int | None:
    """A number in octal digits, or in base 256 as GNU writes large ones."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    text = field.strip(b" \0")
    if not text.isdigit() or any(digit in b"89" for digit in text):
        return None if text else 0
    return int(text, 8)


def tar_files(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of every regular file."""
    position, long_name = 0, ""
    while position + _BLOCK <= len(data):
        header = data[position : position + _BLOCK]
        if not header.strip(b"\0"):
            return
        size = _number(header[124:136])
        if size is None or not _sum_is_right(header):
            raise Refused("tar_corrupt", f"The tar archive is damaged: no file header at byte {position}.")
        start = position + _BLOCK
        end = start + size
        kind = header[156:157]
        if kind in (b"x", b"g", b"L", b"K"):
            # A pax header or a long name describes the next file.
            long_name = _stated_name(kind, data[start : min(end, start + _LONGEST_NAME)]) or long_name
        elif kind in (b"0", b"\0", b"7"):
            if end > len(data):
                raise Refused("tar_truncated", "The tar archive ends before its end.")
            name = long_name or header[:100].split(b"\0", 1)[0].decode("utf-8", "replace")
            if not name.endswith("/"):
                yield name, data[start:end]
            long_name = ""
        else:
            # Folders and links hold nothing, whatever size they state.
            long_name, size = "", 0 if kind in (b"1", b"2", b"3", b"4", b"5", b"6") else size
        position = start + (size + _BLOCK - 1) // _BLOCK * _BLOCK
    if position > len(data) or position % _BLOCK or (len(data) % _BLOCK and data[position:].strip(b"\0")):
        raise Refused("tar_truncated", "The tar archive ends before its end.")


def _stated_name(kind: bytes, text: bytes) -> str:
    """The name in a long-name block of GNU or in a pax header."""
    if kind == b"L":
        return text.split(b"\0", 1)[0].decode("utf-8", "replace")
    if kind != b"x":
        return ""
    for line in text.split(b"\n"):
        _, separator, value = line.partition(b" path=")
        if separator:
            return value.decode("utf-8", "replace")
    return ""


def is_tnef(data: bytes) -> bool:
    """Whether the bytes begin as TNEF, which Outlook calls winmail.dat."""
    return data.startswith(TNEF)


def tnef_files(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of every attachment."""
    position = 6
    name, content = "", b""
    open_ = False
    while position + _TNEF_ATTRIBUTE.size <= len(data):
        level, kind, size = _TNEF_ATTRIBUTE.unpack_from(data, position)
        start = position + _TNEF_ATTRIBUTE.size
        if level not in (1, 2):
            raise Refused("tnef_corrupt", f"The winmail.dat (TNEF) is damaged at byte {position}.")
        if start + size > len(data):
            raise Refused("tnef_corrupt", "The winmail.dat (TNEF) ends before its end.")
        if kind == _BEGINS:
            if open_ and content:
                yield name, content
            name, content, open_ = "", b"", True
        elif kind == _TITLE:
            name = data[start : start + min(size, _LONGEST_NAME)].split(b"\0", 1)[0].decode("utf-8", "replace")
        elif kind == _DATA:
            content = data[start : start + size]
        # A checksum of two bytes follows.
        position = start + size + 2
    if content:
        yield name, content
