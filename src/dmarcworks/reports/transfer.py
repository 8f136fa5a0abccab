"""The transfer encodings of MIME (RFC 2045 §6) and uuencode, undone in linear time and as far as can be. Pure."""

from __future__ import annotations

import binascii
import contextlib
import io
import re

__all__ = ["base64", "undone"]

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_OTHER = bytes(byte for byte in range(256) if byte not in _ALPHABET)
_BEGIN = re.compile(rb"^begin [^\n]*+\n", re.MULTILINE)
_PADDED = re.compile(rb"([^=]{2,}+)=*+")


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
    """What the letters of the alphabet say; other bytes are passed over, and data may go on after its padding."""
    text = data.rstrip(b"=\r\n\t ")
    if b"=" not in text:
        try:
            return binascii.a2b_base64(data)
        except binascii.Error:  # a letter is missing or the padding is
            pass
    letters = data.translate(None, _OTHER)
    whole = letters.rstrip(b"=")
    if b"=" not in whole:
        return _quads(whole)
    out = bytearray()
    for piece in _PADDED.finditer(whole):
        out += _quads(piece[1])
    return bytes(out)


def _quads(letters: bytes) -> bytes:
    rest = len(letters) % 4
    if rest == 1:  # six bits are no byte
        letters, rest = letters[:-1], 0
    return binascii.a2b_base64(letters + b"=" * (-rest % 4))


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
            # Some senders pad lines; the first letter says how many bytes there are.
            with contextlib.suppress(binascii.Error):
                out += binascii.a2b_uu(line[: ((((line[0] - 32) & 63) * 4 + 5) // 3)])
    return bytes(out)
