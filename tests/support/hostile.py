"""Adversarial bytes of a wanted size, by name: runs of what readers look for. Each is a function size → bytes."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable

from tests.support.mails import document

Kind = Callable[[int], bytes]
REPORT = gzip.compress(document(), mtime=0)
_XML = document()
_HEAD, _RECORD_AND_END = _XML[: _XML.index(b"<record>")], _XML[_XML.index(b"<record>") :]
_RECORD = _RECORD_AND_END[: _RECORD_AND_END.index(b"</record>") + 9]
_ARF = (
    b"From: a@example.net\nContent-Type: multipart/report; boundary=b\n\n--b\n\nA notice.\n"
    b"--b\nContent-Type: message/feedback-report\n\nFeedback-Type: auth-failure\nVersion: 1\n%b\n"
    b"--b\nContent-Type: message/rfc822\n\n%b\n--b--\n"
)


def run(unit: bytes, before: bytes = b"", after: bytes = b"") -> Kind:
    """The unit over and over between two texts."""
    return lambda size: before + unit * (size // len(unit)) + after


def numbered(unit: bytes, before: bytes = b"", after: bytes = b"") -> Kind:
    """The same with a number in each unit."""
    return lambda size: before + b"".join([unit % number for number in range(size // (len(unit) + 3))]) + after


def field(name: bytes, unit: bytes, value: bytes = b"", after: bytes = b"") -> Kind:
    """A mail with a report whose first field is a run."""
    rest = (
        b"\nMIME-Version: 1.0\nX-Pad: a\n"
        if name.lower().startswith(b"content-")
        else b"\n" + b"Content-Type: text/plain\n"
    )
    return run(unit, name + b": " + value, after + rest + b"\nA text.\n")


def body(encoding: bytes, unit: bytes, before: bytes = b"") -> Kind:
    """A mail with a body in that transfer encoding."""
    head = b"Content-Type: application/gzip; name=a.xml.gz\nContent-Transfer-Encoding: " + encoding + b"\n\n"
    return run(unit, head + before)


def _overlapping(size: int) -> bytes:
    """A zip archive of 100 entries that are all the same long run of empty blocks."""
    packed = b"\0\0\0\xff\xff" * (size // 5) + b"\x03\0"
    local = b"PK\x03\x04" + struct.pack("<HHHHHLLLHH", 20, 0, 8, 0, 0, 0, len(packed), 0, 1, 0) + b"a" + packed
    entry = b"PK\x01\x02" + struct.pack("<HHHHHHLLLHHHHHLL", 20, 20, 0, 8, 0, 0, 0, len(packed), 0, 1, 0, 0, 0, 0, 0, 0)
    directory = (entry + b"a") * 100
    return local + directory + b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 100, 100, len(directory), len(local), 0)


def _prefixes(size: int) -> bytes:
    """Multiparts in each other whose boundaries are prefixes of the next."""
    names = [b"a" * length for length in range(1, int(size**0.5))]
    return b"".join([b"Content-Type: multipart/mixed; boundary=%b\n\n--%b\n" % (name, name) for name in names])


HEADERS: dict[str, Kind] = {
    "subject openings": field(b"Subject", b"=?"),
    "subject closings": field(b"Subject", b"?="),
    "subject words": field(b"Subject", b"=?utf-8?q?a?= "),
    "subject blanks": field(b"Subject", b" "),
    "subject tabs": field(b"Subject", b"\t"),
    "subject colons": field(b"Subject", b":"),
    "from comments": field(b"From", b"("),
    "from commas": field(b"From", b"a@b,"),
    "from angles": field(b"From", b"<"),
    "from at": field(b"From", b"@"),
    "from quotes": field(b"From", b'"'),
    "from backslashes": field(b"From", b"\\", b'"'),
    "folded parameters": field(b"Content-Type", b";\r\n a=b", b"text/plain"),
    "semicolons": field(b"Content-Type", b";", b"text/plain"),
    "quoted semicolons": field(b"Content-Type", b';"', b'text/plain; name="'),
    "quotes": field(b"Content-Type", b'"', b"text/plain; name="),
    "backslashes": field(b"Content-Type", b"\\", b'text/plain; name="'),
    "equal signs": field(b"Content-Type", b"=", b"text/plain; a"),
    "parameter comments": field(b"Content-Type", b"(", b"text/plain "),
    "continuations": numbered(b";filename*%d=b", b"Content-Disposition: attachment", b"\n\nA text.\n"),
    "extended continuations": numbered(b";filename*%d*=%%41", b"Content-Disposition: attachment", b"\n\nA text.\n"),
    "name of words": field(b"Content-Disposition", b"=?utf-8?q?a?= ", b'attachment; filename="', b'"'),
    "long charset": field(b"Content-Type", b"a", b"text/plain; charset="),
    "long encoding": field(b"Content-Transfer-Encoding", b"a "),
    "fields": run(b"a: b\n", b"", b"\nA text.\n"),
    "distinct fields": numbered(b"x%d: b\n", b"", b"\nA text.\n"),
    "mime fields": run(b"Content-Type: text/plain\n", b"", b"\nA text.\n"),
    "folds": run(b" \n", b"a: b\n", b"\nA text.\n"),
    "no field": run(b"a"),
    "line feeds": run(b"\n", b"a: b\n\n"),
    "carriage returns": run(b"\r"),
    "ARC chain": numbered(b"ARC-Seal: i=%d; a=rsa-sha256; b=" + b"a" * 1900 + b"\n", b"", b"\nA text.\n"),
}
PARTS: dict[str, Kind] = {
    "like a boundary": run(b"--bx\n", b"Content-Type: multipart/mixed; boundary=b\n\n"),
    "boundaries": run(b"--b\n", b"Content-Type: multipart/mixed; boundary=b\n\n"),
    "hyphens": run(b"-", b'Content-Type: multipart/mixed; boundary="' + b"-" * 60 + b'b"\n\n'),
    "hyphen lines": run(b"\n--", b"Content-Type: multipart/mixed; boundary=b\n\n"),
    "long boundary": lambda size: (
        b"Content-Type: multipart/mixed; boundary=" + b"a" * (size // 2) + b"\n\n" + b"--aaaaaaaaa\n" * (size // 24)
    ),
    "nested multiparts": run(b"Content-Type: multipart/mixed; boundary=b\n\n--b\n"),
    "nested, own boundaries": lambda size: b"".join(
        [b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(size // 58)]
    ),
    "nested, boundaries are prefixes": _prefixes,
    "embedded mails": run(b"Content-Type: message/rfc822\n\n"),
    "digest": run(b"--b\n\na: b\n\nx\n", b"Content-Type: multipart/digest; boundary=b\n\n"),
    "base64 blanks": body(b"base64", b" "),
    "base64 junk": body(b"base64", b"!a="),
    "base64 padding": body(b"base64", b"="),
    "base64 pieces": body(b"base64", b"YWI="),
    "quoted-printable soft breaks": body(b"quoted-printable", b"=\n"),
    "quoted-printable blanks": body(b"quoted-printable", b" "),
    "quoted-printable equals": body(b"quoted-printable", b"=  "),
    "uuencode begins": body(b"x-uuencode", b"begin 666 a\n"),
    "uuencode lines": body(b"x-uuencode", b"M\n", b"begin 666 a\n"),
}
FAILURES: dict[str, Kind] = {
    "feedback fields": lambda size: _ARF % (b"a: b\n" * (size // 5), b"From: a@example.com\n\nx"),
    "feedback folds": lambda size: _ARF % (b"a: b\n" + b" b\n" * (size // 3), b"From: a@example.com\n\nx"),
    "feedback list": lambda size: _ARF % (b"Identity-Alignment: " + b"a," * (size // 2), b"From: a@example.com\n\nx"),
    "reported fields": lambda size: _ARF % (b"", b"a: b\n" * (size // 5)),
    "reported author": lambda size: _ARF % (b"", b"From: " + b"(" * size + b"\n\nx"),
    "reported subject": lambda size: _ARF % (b"", b"Subject: " + b"=?" * (size // 2) + b"\n\nx"),
    "reported quotes": lambda size: _ARF % (b"", b"Subject: a\n\n" + b"> a\n" * (size // 4)),
    "text form": run(b"a: b\n", b"\nA message claiming to be from you has failed the published DMARC policy\n\n"),
    "text form dashes": run(b"---\n", b"\nA message claiming to be from you has failed the published DMARC policy\n\n"),
}
FILES: dict[str, Kind] = {
    "gzip members": lambda size: gzip.compress(b"", mtime=0) * (size // 20),
    "gzip name": run(b"a", b"\x1f\x8b\x08\x08" + bytes(6)),
    "gzip empty blocks": run(b"\0\0\0\xff\xff", b"\x1f\x8b\x08\0" + bytes(6)),
    "gzip padding": run(b"\0", REPORT),
    "zip overlap": _overlapping,
    "zip headers": run(b"PK\x03\x04"),
    "zip ends": run(b"PK\x05\x06", b"PK\x03\x04"),
    "attributes": numbered(b"a%d='' ", _HEAD + b"<record ", b">" + _RECORD_AND_END),
    "namespaces": numbered(b"xmlns:a%d='u' ", b"<feedback ", b">"),
    "comments": run(b"<!---->", _HEAD, _RECORD_AND_END),
    "instructions": run(b"<?a?>", _HEAD, _RECORD_AND_END),
    "CDATA": run(b"<![CDATA[a]]>", _HEAD + b"<a>", b"</a>" + _RECORD_AND_END),
    "references": run(b"&x;", _HEAD + b"<a>", b"</a>" + _RECORD_AND_END),
    "long text": run(b"a", _HEAD + b"<a>", b"</a>" + _RECORD_AND_END),
    "elements": run(b"<a/>", _HEAD, _RECORD_AND_END),
    "records": run(_RECORD, _HEAD, b"</feedback>"),
    "empty records": run(b"<record/>", _HEAD, b"</feedback>"),
    "angles": run(b"<", _HEAD),
    "open elements": run(b"<a>", _HEAD),
    "open records": run(b"<record>", _HEAD),
    "closing tags": run(b"</a>", _HEAD),
    "roots": run(b"<feedback></feedback>"),
    "open roots": run(b"<feedback>"),
    "namespaces in depth": run(
        b"<a/>", b"<feedback>" + b"".join(b"<record xmlns:a%d='u'>" % number for number in range(200))
    ),
    "comments that begin": run(b"<!--", _HEAD),
    "CDATA that begins": run(b"<![CDATA[", _HEAD),
    "ampersands": run(b"&", _HEAD + b"<a>"),
    "elements that cross": run(b"<record><row></record>", _HEAD),
    "records without an end": run(_RECORD, _HEAD, b"<reco"),
    "UTF-16": run("<a>".encode("utf-16-le"), b"\xff\xfe" + "<feedback>".encode("utf-16-le")),
    "gzip field of an unknown kind": run(b"a", b"\x1f\x8b\x08\x04" + bytes(6) + b"\xff\xff"),
    "JSON half characters": run(b"\\ud800", b'{"policies":"', b'"}'),
    "JSON lists": run(b"[", b'{"policies":'),
    "JSON objects": run(b'{"policies":'),
    "JSON digits": run(b"1", b'{"policies":', b"}"),
    "JSON fraction": run(b"1", b'{"policies":0.', b"}"),
    "JSON escapes": run(b"\\u0041", b'{"policies":"', b'"}'),
    "JSON backslashes": run(b"\\", b'{"policies":"'),
    "JSON policies": run(b"{},", b'{"policies":[', b"{}]}"),
}
