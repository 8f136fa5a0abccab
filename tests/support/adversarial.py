"""Mails that are made to take long: runs of one thing in every place where something reads it.

`NAMES` lists them, `mail(name, to)` makes one, of 100 kB to 25 MB, with no line over the default of `smtp_line_bytes`.
Each is a whole mail that the SMTP front door accepts by its size. Those that are signed hold a report about `DOMAIN`,
so that whoever checks report mail checks them; most others hold none.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Callable

from tests.support.mails import document

__all__ = ["DOMAIN", "LARGEST", "LINE", "NAMES", "mail", "multipart"]

LARGEST = 25 * 1024 * 1024
LINE = 900_000
DOMAIN = "adversarial.example.com"
_KILO, _MEGA = 1000, 1000 * 1000
_MAKERS: dict[str, Callable[[], tuple[list[str] | str, bytes]]] = {}


def _kept(function: Callable[[], tuple[list[str] | str, bytes]]) -> Callable[[], tuple[list[str] | str, bytes]]:
    _MAKERS[function.__name__.strip("_")] = function
    return function


def mail(name: str, to: str = "rua@reports.example.net", sender: str = "reports@receiver.example") -> bytes:
    """The mail of that name: an ordinary beginning, then what is made to take long."""
    fields, body = _MAKERS[name]()
    if isinstance(fields, str):
        fields = [fields]
    head = [f"From: <{sender}>", f"To: <{to}>", "Message-ID: <adversarial@receiver.example>", *fields]
    if not any(field.lower().startswith("subject:") for field in fields):
        head.append("Subject: Report domain: example.com")
    made = "\r\n".join(head).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body
    assert len(made) <= LARGEST, f"{name} has {len(made)} bytes"
    return made


def multipart(boundary: str = "b") -> list[str]:
    """The fields of a mail in parts."""
    return ["MIME-Version: 1.0", f'Content-Type: multipart/mixed; boundary="{boundary}"']


def _attached(content: bytes, name: str, kind: str = "application/gzip") -> tuple[list[str], bytes]:
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
    fields = [f"Content-Type: {kind}; name={name}", "Content-Transfer-Encoding: base64"]
    return ["MIME-Version: 1.0", f"Content-Disposition: attachment; filename={name}", *fields], encoded


def _signature(number: int = 1, headers: str = "from:to:subject", field: str = "DKIM-Signature") -> str:
    return (
        f"{field}: {'i=' + str(number) + '; ' if field != 'DKIM-Signature' else 'v=1; '}a=rsa-sha256; "
        f"c=relaxed/relaxed; d=receiver.example; s=s{number};\r\n\th={headers};\r\n"
        f"\tbh={'A' * 43}=;\r\n\tb={'B' * 342}=="
    )


def _chain(sets: int) -> list[str]:
    made: list[str] = []
    for number in range(sets, 0, -1):
        made.append(
            f"ARC-Seal: i={number}; a=rsa-sha256; t=1; cv={'none' if number == 1 else 'pass'}; d=receiver.example; "
            f"s=s1;\r\n\tb={'B' * 342}=="
        )
        made.append(_signature(number, field="ARC-Message-Signature"))
        made.append(f"ARC-Authentication-Results: i={number}; receiver.example; dkim=pass header.d=receiver.example")
    return made


def _signed(fields: list[str], text: bytes) -> tuple[list[str], bytes]:
    """A mail with a report, behind a text."""
    digest = hashlib.sha256("".join(fields).encode() + text).hexdigest()
    packed = gzip.compress(document(digest[:20], domain=DOMAIN), mtime=0)
    encoded = base64.encodebytes(packed).replace(b"\n", b"\r\n")
    body = b"--b\r\nContent-Type: text/plain\r\n\r\n" + text + b"--b\r\nContent-Type: application/gzip; name=r.xml.gz"
    return [*fields, *multipart()], body + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded + b"--b--\r\n"


def _lines(line: bytes, size: int) -> bytes:
    return (line + b"\r\n") * (size // (len(line) + 2))


# Signed bodies that canonicalisation reads


@_kept
def blanks_122_kB() -> tuple[list[str] | str, bytes]:
    return _signed([_signature()], b"a" + b" " * (122 * _KILO) + b"b\r\n")


@_kept
def blanks_8_MB() -> tuple[list[str] | str, bytes]:
    return _signed([_signature()], _lines(b"a" + b" " * (LINE - 2) + b"b", 8 * _MEGA))


@_kept
def blanks_25_MB() -> tuple[list[str] | str, bytes]:
    return _signed([_signature()], _lines(b" " * LINE, 25 * _MEGA))


@_kept
def tabs_1_MB() -> tuple[list[str] | str, bytes]:
    return _signed([_signature()], _lines(b"a" + b"\t" * (LINE - 2) + b"b", _MEGA))


@_kept
def blanks_and_tabs_5_MB() -> tuple[list[str] | str, bytes]:
    return _signed([_signature()], _lines(b" \t" * (LINE // 2), 5 * _MEGA))


@_kept
def empty_lines_10_MB() -> tuple[list[str] | str, bytes]:
    return _signed([_signature()], b"\r\n" * (5 * _MEGA) + b"end\r\n")


@_kept
def bare_carriage_returns_5_MB() -> tuple[list[str] | str, bytes]:
    return _signed([_signature()], _lines(b"\r" * LINE, 5 * _MEGA))


@_kept
def signatures_2000() -> tuple[list[str] | str, bytes]:
    return _signed([_signature(number) for number in range(2000)], _lines(b"text " * 10, 100 * _KILO))


@_kept
def signed_headers_100000() -> tuple[list[str] | str, bytes]:
    return _signed([_signature(headers=":\r\n\t".join(["from"] * 100 * _KILO))], b"text\r\n")


@_kept
def signed_headers_of_many_fields() -> tuple[list[str] | str, bytes]:
    names = [f"X-{number}" for number in range(20 * _KILO)]
    return _signed([_signature(headers=":\r\n\t".join(names)), *(f"{name}: 1" for name in names)], b"text\r\n")


@_kept
def signature_of_blanks() -> tuple[list[str] | str, bytes]:
    return _signed([f"DKIM-Signature: v=1;{' ' * 500 * _KILO}a=rsa-sha256{' ' * 300 * _KILO}"], b"text\r\n")


@_kept
def signature_of_a_million_tags() -> tuple[list[str] | str, bytes]:
    return _signed(["DKIM-Signature: v=1;" + "\r\n\tx=1;" * (_MEGA)], b"text\r\n")


@_kept
def arc_chain_of_50() -> tuple[list[str] | str, bytes]:
    return _signed(_chain(50), _lines(b"a" + b" " * 1000 + b"b", 5 * _MEGA))


@_kept
def arc_chain_of_1000() -> tuple[list[str] | str, bytes]:
    return _signed(_chain(1000), b"text\r\n")


# Header fields


@_kept
def folded_header_of_a_million_lines() -> tuple[list[str] | str, bytes]:
    return "X-Folded: begin" + "\r\n a" * _MEGA, b"text\r\n"


@_kept
def folded_header_of_blank_lines() -> tuple[list[str] | str, bytes]:
    return "X-Folded: begin" + "\r\n \t" * (500 * _KILO) + "end", b"text\r\n"


@_kept
def fields_100000() -> tuple[list[str] | str, bytes]:
    return [f"X-Field-{number}: value" for number in range(100 * _KILO)], b"text\r\n"


@_kept
def received_50000() -> tuple[list[str] | str, bytes]:
    return ["Received: from a.example by b.example; Mon, 1 Jan 2024 00:00:00 +0000"] * 50_000, b"text\r\n"


@_kept
def subject_of_encoded_word_beginnings() -> tuple[list[str] | str, bytes]:
    return "Subject: " + "\r\n ".join(["=?" * (LINE // 4)] * 2), b"text\r\n"


@_kept
def subject_of_100000_encoded_words() -> tuple[list[str] | str, bytes]:
    return "Subject:" + "\r\n =?utf-8?q?a?=" * (100 * _KILO), b"text\r\n"


@_kept
def subject_of_question_marks() -> tuple[list[str] | str, bytes]:
    return "Subject: =?utf-8?q?" + "?" * (LINE - 100), b"text\r\n"


@_kept
def parameters_1000000() -> tuple[list[str] | str, bytes]:
    return "Content-Type: application/gzip" + ";\r\n a=b" * _MEGA, b"text\r\n"


@_kept
def semicolons_1000000() -> tuple[list[str] | str, bytes]:
    return "Content-Type: text/plain" + "\r\n ".join([";" * (LINE // 2)] * 3), b"text\r\n"


@_kept
def continued_parameters_100000() -> tuple[list[str] | str, bytes]:
    pieces = "".join(f";\r\n name*{number}=a" for number in range(100 * _KILO))
    return f"Content-Type: application/gzip{pieces}", b"text\r\n"


@_kept
def quoted_parameter_of_backslashes() -> tuple[list[str] | str, bytes]:
    return 'Content-Disposition: attachment; filename="' + "\\" * (LINE - 100), b"text\r\n"


@_kept
def comments_in_addresses() -> tuple[list[str] | str, bytes]:
    return "Reply-To: " + "(" * (LINE // 2) + ")" * (LINE // 2 - 20), b"text\r\n"


@_kept
def addresses_500000() -> tuple[list[str] | str, bytes]:
    return "Cc: a@b.example" + ",\r\n a@b.example" * (500 * _KILO), b"text\r\n"


# Parts


@_kept
def boundaries_1000000() -> tuple[list[str] | str, bytes]:
    return multipart(), b"--b\r\n" * _MEGA


@_kept
def nearly_boundaries() -> tuple[list[str] | str, bytes]:
    boundary = "-" * 70
    return multipart(boundary), _lines(b"-" * 71, 20 * _MEGA)


@_kept
def boundaries_of_blanks() -> tuple[list[str] | str, bytes]:
    return multipart(), _lines(b"--b" + b" " * 200 * _KILO, 10 * _MEGA)


@_kept
def parts_in_parts_20000() -> tuple[list[str] | str, bytes]:
    nested = "".join(
        f"--b{depth}\r\nContent-Type: multipart/mixed; boundary=b{depth + 1}\r\n\r\n" for depth in range(20 * _KILO)
    )
    return multipart("b0"), nested.encode()


@_kept
def mails_in_mails_20000() -> tuple[list[str] | str, bytes]:
    return "Content-Type: message/rfc822", b"Content-Type: message/rfc822\r\n\r\n" * (20 * _KILO)


@_kept
def parts_of_text_100000() -> tuple[list[str] | str, bytes]:
    return multipart(), b"--b\r\nContent-Type: text/plain\r\n\r\na\r\n" * (100 * _KILO)


@_kept
def base64_of_rubbish() -> tuple[list[str] | str, bytes]:
    fields, _ = _attached(b"", "report.xml.gz")
    return fields, _lines(b"=*" * 38, 20 * _MEGA)


@_kept
def quoted_printable_of_equal_signs() -> tuple[list[str] | str, bytes]:
    fields = ["Content-Type: text/xml; name=a.xml", "Content-Transfer-Encoding: quoted-printable"]
    return fields, _lines(b"=" * 76, 20 * _MEGA) + _lines(b"a" + b" " * (LINE - 2), 2 * _MEGA)


@_kept
def text_report_of_blanks() -> tuple[list[str] | str, bytes]:
    return "Content-Type: text/plain", b"Feedback-Type: auth-failure\r\n" + _lines(b"a:" + b" " * (LINE - 3), 5 * _MEGA)


# What is attached


@functools.cache
def _zeros(size: int) -> bytes:
    return gzip.compress(bytes(size), 9)


@_kept
def gzip_bomb() -> tuple[list[str] | str, bytes]:
    return _attached(_zeros(300 * _MEGA), "report.xml.gz")


@_kept
def gzip_bombs_50() -> tuple[list[str] | str, bytes]:
    bomb = base64.encodebytes(_zeros(300 * _MEGA)).replace(b"\n", b"\r\n")
    part = b"--b\r\nContent-Type: application/gzip; name=r.xml.gz\r\nContent-Transfer-Encoding: base64\r\n\r\n" + bomb
    return multipart(), part * 50


@_kept
def zip_of_many_files() -> tuple[list[str] | str, bytes]:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(50 * _KILO):
            archive.writestr(f"{number}.xml", "")
    return _attached(file.getvalue(), "report.zip", "application/zip")


@_kept
def xml_depth_1000000() -> tuple[list[str] | str, bytes]:
    packed = gzip.compress(b"<feedback>" + b"<a>" * _MEGA, 1)
    return _attached(packed + bytes(100 * _KILO), "report.xml.gz")


@_kept
def xml_of_attributes() -> tuple[list[str] | str, bytes]:
    attributes = b" ".join(b'a%d="1"' % number for number in range(500 * _KILO))
    return _attached(gzip.compress(b"<feedback " + attributes + b"></feedback>", 1), "report.xml.gz")


@_kept
def xml_of_one_text() -> tuple[list[str] | str, bytes]:
    text = b"<feedback><report_metadata><org_name>" + b" " * 100 * _MEGA
    return _attached(gzip.compress(text, 5), "report.xml.gz")


@_kept
def xml_broken_throughout() -> tuple[list[str] | str, bytes]:
    return _attached(b"<feedback>" + b"<record>&" * (1500 * _KILO), "report.xml", "text/xml")


@_kept
def records_without_counts() -> tuple[list[str] | str, bytes]:
    begin, _, end = document("many").decode().partition("<record>")
    records = "<record><row></row></record>" * (400 * _KILO) + "<record>"
    return _attached(gzip.compress((begin + records + end).encode(), 5) + bytes(100 * _KILO), "report.xml.gz")


@_kept
def reports_30000() -> tuple[list[str] | str, bytes]:
    one = document("number", domain=DOMAIN).partition(b"?>")[2]
    text = b"\n".join(one.replace(b"number", b"number %d" % number) for number in range(30 * _KILO))
    return _attached(text[: 18 * _MEGA], "report.xml", "text/xml")


@_kept
def json_depth_1000000() -> tuple[list[str] | str, bytes]:
    return _attached(b'{"organization-name":' + b"[" * _MEGA, "report.json", "application/tlsrpt+json")


@_kept
def json_of_many_policies() -> tuple[list[str] | str, bytes]:
    policy = {"policy": {"policy-type": "sts"}, "summary": {"total-successful-session-count": 1}}
    text = json.dumps({"organization-name": "x", "report-id": "1", "policies": [policy] * (40 * _KILO)})
    return _attached(text.encode(), "report.json", "application/tlsrpt+json")


@_kept
def json_of_digits() -> tuple[list[str] | str, bytes]:
    text = b'{"organization-name":"x","report-id":' + b"9" * (3 * _MEGA) + b',"policies":[]}'
    return _attached(text, "report.json", "application/tlsrpt+json")


NAMES: tuple[str, ...] = tuple(_MAKERS)
