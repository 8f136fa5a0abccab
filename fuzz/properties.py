"""What must hold for any bytes at all; shared by the atheris target and the tests.

An input's first byte says how the rest is wrapped (as it is, as a mail, gzipped, zipped, attached to a mail), so that a
mutation reaches the XML and JSON readers through intact archives.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from dmarcworks.reports import unpack
from dmarcworks.reports.aggregate import fast_path
from dmarcworks.reports.archive import GZIP, gunzip, is_zip, members, read_member
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.model import AggregateReport, Reading, TlsReport
from dmarcworks.reports.notes import Notes
from dmarcworks.reports.plain import plain
from dmarcworks.reports.problems import REASONS
from dmarcworks.reports.read import read_bytes, read_mail
from dmarcworks.reports.values import LARGEST

# Small, so that mutations hit them.
BOUNDS = Bounds(
    mail_bytes=256 * 1024,
    inflated_bytes=1024 * 1024,
    members=10,
    nesting=3,
    xml_depth=12,
    records=50,
    json_depth=12,
    json_bytes=128 * 1024,
)
LONGEST = 64 * 1024


def _gz(data: bytes) -> bytes:
    return gzip.compress(data, 1, mtime=0)


def _zip(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        # With a date of its own: the same data must be the same archive a second later.
        archive.writestr(zipfile.ZipInfo("a.xml"), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _attached(data: bytes) -> bytes:
    return (
        b'Content-Type: multipart/mixed; boundary="=_b"\r\n\r\n--=_b\r\n'
        b'Content-Type: application/gzip; name="a.xml.gz"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(_gz(data)) + b"\r\n--=_b--\r\n"
    )


CHECKS: tuple[Callable[[bytes], Reading], ...] = (
    lambda data: read_bytes(data, "", BOUNDS),
    lambda data: read_mail(data, BOUNDS),
    lambda data: read_bytes(_gz(data), "a.xml.gz", BOUNDS),
    lambda data: read_bytes(_zip(data), "a.zip", BOUNDS),
    lambda data: read_mail(_attached(data), BOUNDS),
)


def check(data: bytes) -> Reading:
    """Read one input in its way; AssertionError names the property that does not hold."""
    way = CHECKS[data[0] % len(CHECKS)] if data else CHECKS[0]
    content = data[1 : 1 + LONGEST]
    reading = way(content)
    hold(reading)
    assert _generally(way, content) == reading, "the quick ways and the general one differ"
    return reading


def _generally(way: Callable[[bytes], Reading], content: bytes) -> Reading:
    """The same without the quick ways: neither through archives nor through records."""
    single, quick = unpack.single, fast_path.read
    unpack.single, fast_path.read = (lambda *_: None), (lambda *_: None)
    try:
        return way(content)
    finally:
        unpack.single, fast_path.read = single, quick


def hold(reading: Reading) -> None:
    """The properties of any reading."""
    for problem in reading.problems:
        assert problem.reason in REASONS, f"unknown reason {problem.reason}"
        assert problem.reason != "internal", problem.detail
        assert problem.detail
        assert problem.where
    assert reading.items or reading.problems, "neither a report nor a problem"
    assert len(reading.items) <= BOUNDS.members + 1
    json.dumps([plain(problem) for problem in reading.problems], ensure_ascii=False).encode()
    for item in reading.items:
        report = item.report
        assert len(bytes.fromhex(item.digest)) == 32
        item.part.name.encode()
        # What goes on into stores and pages is text that UTF-8 can hold.
        json.dumps(plain(report), ensure_ascii=False).encode()
        if isinstance(report, AggregateReport):
            assert len(report.records) <= BOUNDS.records
            assert all(0 <= record.count <= LARGEST for record in report.records)
            assert report.messages <= LARGEST
            assert report.policy.domain
        if isinstance(report, TlsReport):
            assert 0 <= report.sessions <= LARGEST
        if isinstance(report, AggregateReport | TlsReport):
            assert report.report_id
            datetime.fromtimestamp(report.begin, UTC)
            datetime.fromtimestamp(report.end, UTC)


def seeds(corpus: Path) -> Iterator[bytes]:
    """The golden corpus as inputs: mails as mails, archives also unpacked and wrapped anew."""
    for path in sorted(
        path for path in corpus.rglob("*") if path.is_file() and not path.name.endswith(".expected.json")
    ):
        data = path.read_bytes()
        yield (b"\1" if path.suffix == ".eml" else b"\0") + data
        for inner in _inner(data):
            yield from (bytes([way]) + inner for way in (0, 2, 3, 4))


def _inner(data: bytes) -> Iterator[bytes]:
    if data.startswith(GZIP):
        yield b"".join(gunzip(data, "", Notes()))
    elif is_zip(data):
        for member in members(data):
            yield b"".join(read_member(data, member))
    elif data.lstrip()[:1] in (b"<", b"{"):
        yield data
