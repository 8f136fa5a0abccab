"""Until when a certificate holds: the `notAfter` (RFC 5280 §4.1.2.5) of the first certificate in a PEM file.

In: the file's bytes. Out: the time, in UTC. Refused with `ValueError`: what has no certificate that can be read. Only
the few fields before it are stepped over; whether the certificate is a good one is for the TLS library to say.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime

_PEM = re.compile(rb"-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----(.*?)-----END \1?CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _INTEGER, _VERSION, _UTC_TIME, _TIME = 0x30, 0x02, 0xA0, 0x17, 0x18


def until(pem: bytes) -> datetime:
    """The last second of the file's first certificate, the one that is shown."""
    found = _PEM.search(pem)
    if found is None:
        raise ValueError("there is no certificate in PEM form")
    try:
        return _until(base64.b64decode(found[2]))
    except IndexError:
        raise ValueError("the certificate is cut off") from None


def _until(der: bytes) -> datetime:
    at, _ = _enter(der, 0, _SEQUENCE)  # Certificate
    at, _ = _enter(der, at, _SEQUENCE)  # TBSCertificate
    if der[at] == _VERSION:
        _, at = _enter(der, at, _VERSION)
    for tag in (_INTEGER, _SEQUENCE, _SEQUENCE):  # serial number, signature algorithm, issuer
        _, at = _enter(der, at, tag)
    at, _ = _enter(der, at, _SEQUENCE)  # Validity
    _, at = _enter(der, at, der[at])  # notBefore
    start, end = _enter(der, at, der[at])
    text = der[start:end].decode("ascii")
    if der[at] == _UTC_TIME:
        # Two digits of a year are 1950 to 2049 (RFC 5280 §4.1.2.5.1), not Python's 1969 to 2068.
        text = ("19" if text[:2] >= "50" else "20") + text
    elif der[at] != _TIME:
        raise ValueError("the certificate does not say until when it holds")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _enter(der: bytes, at: int, tag: int) -> tuple[int, int]:
    """Where the content of the element at `at` begins and ends."""
    if der[at] != tag:
        raise ValueError("not a certificate's structure")
    size, start = der[at + 1], at + 2
    if size & 0x80:
        start, digits = start + (size & 0x7F), der[start : start + (size & 0x7F)]
        size = int.from_bytes(digits)
    if start + size > len(der):
        raise IndexError
    return start, start + size
