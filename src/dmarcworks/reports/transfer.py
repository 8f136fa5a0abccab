"""The transfer encodings of MIME (RFC 2045 §6) and uuencode, undone in linear time and as far as can be. Pure."""

from __future__ import annotations

import binascii
import contextlib
import io
import re

__all__ = ["base64", "content", "recovered", "undone", "unquoted"]

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_OTHER = bytes(byte for byte in range(256) if byte not in _ALPHABET)
_BEGIN = re.compile(rb"^begin [^\n]*+\n", re.MULTILINE)
_PADDED = re.compile(rb"([^=]{2,}+)=*+")

# How the beginnings of what holds a report read in base64: gzip, zip, XML with and without a mark, JSON, bzip2, xz,
# zstd, TNEF, tar of a pax header, a feedback report.
_PACKED = (
    *(b"H4sI", b"UEsD", b"UEsF", b"PD94", b"PD9Y", b"PGZl", b"PEZF", b"PCEt", b"77u/", b"eyJ", b"ewo", b"ew0K", b"eyA"),
    *(b"QlpoO", b"QlpoM", b"/Td6WFo", b"KLUv/", b"eJ8+Ig", b"Li8uL0", b"RmVlZGJhY2st", b"//48AD", b"/v8APA"),
)
_PLAIN = re.compile(rb"\s*+(?:<|\{|\x1f\x8b|PK\x03\x04|\xef\xbb\xbf|BZh[1-9]1AY)")
_LINES_OF_BASE64 = re.compile(rb"\s*+(?:[A-Za-z0-9+/=]++[ \t]*+\r*+(?:\n\s*+|\Z))++")
_QUOTED_XML = re.compile(rb"\s*+<\?xml\s++version=3D", re.IGNORECASE)
# Lines of quoted-printable are not longer (RFC 2045 §6.7).
_LONGEST_LINE = 76
_LOOKED_AT = 4096
_BEGINS = re.compile(rb"\s*+begin [0-7]{3,4} [^\n]*+\n")
# A file in uuencode behind other text: its first line and the whole line that follows.
_FILE_BEHIND = re.compile(rb"\nbegin [0-7]{3,4} [^\n]{1,255}\n[ -`]{2,90}\r?\n")
_FILE = (b"\x1f\x8b", b"PK\3\4", b"<", b"{", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"\x78\x9f\x3e\x22")
_SEARCHED = 64 * 1024


def content(data: bytes, encoding: str) -> bytes:
    """The content of a part. The bytes decide: a wrong, broken or absent Content-Transfer-Encoding hides no report."""
    wrong = encoding == "base64" and (_PLAIN.match(data) is not None or _BEGINS.match(data) is not None)
    return recovered(data if wrong else undone(data, encoding))


def recovered(decoded: bytes) -> bytes:
    """What the content itself shows to be encoded still, decoded: base64, uuencode, XML in quoted-printable."""
    if decoded[:64].lstrip().startswith(_PACKED) and (lines := _LINES_OF_BASE64.match(decoded)) is not None:
        return base64(lines[0])
    if _BEGINS.match(decoded) is not None:
        return _uudecoded(decoded)
    if (behind := _FILE_BEHIND.search(decoded, 0, _SEARCHED)) is not None:
        file = _uudecoded(decoded[behind.start() + 1 :])
        if file.startswith(_FILE):
            return file
    return unquoted(decoded)


def unquoted(data: bytes) -> bytes:
    """XML that is still quoted-printable decoded, other content as it is: read as it is it would lose its records."""
    head = data[:_LOOKED_AT]
    if not head.lstrip().startswith(b"<"):
        return data
    soft = b"=\n" in head or b"=\r\n" in head
    longest = max(map(len, head.splitlines()[:-1]), default=0)
    if _QUOTED_XML.match(head) is None and not (soft and longest <= _LONGEST_LINE):
        return data
    return binascii.a2b_qp(data)


def undone(data: bytes, encoding: str) -> bytes:
    """The content behind that Content-Transfer-Encoding; unknown ones, 7bit, 8bit and binary leave it as it is."""
    if encoding == "base64":
        return base64(data)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(data)
    if encoding in ("x-uuencode", "uuencode", "uue", "x-uue"):
        return _uudecoded(data)
    return data


def base64(data: bytes) -> bytes:
    """Decode base64 leniently: bytes outside the alphabet are ignored, and data may continue after padding."""
    text = data.rstrip(b"=\r\n\t ")
    if b"=" not in text:
        try:
            return binascii.a2b_base64(data)
        except binascii.Error:  # a character or the padding is missing
            pass
    digits = data.translate(None, _OTHER)
    whole = digits.rstrip(b"=")
    if b"=" not in whole:
        return _quads(whole)
    out = bytearray()
    for piece in _PADDED.finditer(whole):
        out += _quads(piece[1])
    return bytes(out)


def _quads(digits: bytes) -> bytes:
    rest = len(digits) % 4
    if rest == 1:  # six bits are no byte
        digits, rest = digits[:-1], 0
    return binascii.a2b_base64(digits + b"=" * (-rest % 4))


def _uudecoded(data: bytes) -> bytes:
    """The first file in the lines; the data as it is when there is none."""
    begin = _BEGIN.search(data)
    if begin is None:
        return data
    out = bytearray()
    for line in io.BytesIO(data[begin.end() :]):
        line = line.rstrip(b"\r\n")
        if not line.strip(b" `") or line.startswith(b"end"):
            break
        try:
            out += binascii.a2b_uu(line)
        except binascii.Error:
            # Some senders pad lines; the first character gives the number of bytes.
            with contextlib.suppress(binascii.Error):
                out += binascii.a2b_uu(line[: ((((line[0] - 32) & 63) * 4 + 5) // 3)])
    return bytes(out)
