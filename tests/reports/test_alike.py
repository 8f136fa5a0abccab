"""The hash without what transport may change: stored with each report, so it must never become another one."""

from __future__ import annotations

import gzip
import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.reports.alike import LineHash, StreamHash, alike, alike_of_document
from dmarcworks.reports.read import read_bytes, read_mail
from dmarcworks.reports.unpack import WHOLE
from tests.support.report_samples import TEXT, attachment, mail, record, xml

WHITE = [b">", b" ", b"\t", b"\r", b"\n", b"a"]
REPORT = xml(record()).replace(b"><", b">\n<")
MARK = b"\xef\xbb\xbf"
SENT = {
    "with CRLF": REPORT.replace(b"\n", b"\r\n"),
    "with CR": REPORT.replace(b"\n", b"\r"),
    "with CRCRLF": REPORT.replace(b"\n", b"\r\r\n"),
    "with spaces at the ends of lines": REPORT.replace(b"\n", b" \t\n"),
    "without the last line end": REPORT.rstrip(),
    "with a mark": MARK + REPORT,
    "with a mark and CRLF": MARK + REPORT.replace(b"\n", b"\r\n"),
    "with empty lines around it": b"\r\n\r\n" + REPORT + b"\r\n\r\n",
    "with text before it": b"This is a DMARC report.\n\n" + REPORT,
    "with the footer of a list": REPORT + b"\n-- \nreports mailing list\nhttps://lists.example/\n",
    "with NULs behind it": REPORT + b"\0\0\0\0",
}


def plainest(data: bytes) -> bytes:
    return b"\n".join(line.rstrip() for line in re.split(rb"\r\r\n|\r\n|\r|\n", data.strip())) + b"\n"


def test_the_stored_hash_of_the_usual_report_stays() -> None:
    """Of its bytes, when it has one line break at its end; these values stand in catalogues."""
    usual = b"<feedback>\n  <a/>\n</feedback>\n"
    stored = hashlib.sha256(usual).hexdigest()
    assert [alike(usual, stored), alike(usual.replace(b"\n", b"\r\n"), "?"), alike(usual[:-1], "?")] == [stored] * 3


@given(st.lists(st.sampled_from(WHITE), max_size=12).map(b"".join))
def test_the_hash_is_of_the_plainest_form(data: bytes) -> None:
    """Whatever white space the document has, and wherever."""
    usual = data.endswith(b">\n") and b"\r" not in data and not re.search(rb"[ \t]\n", data) and not data[0:1].isspace()
    plain = data if usual else plainest(data)
    own = hashlib.sha256(data).hexdigest()
    assert alike(data, own) == hashlib.sha256(plain).hexdigest()
    assert alike(MARK + data, "another") == hashlib.sha256(plainest(data)).hexdigest()
    assert alike_of_document(data, 0, own) == alike(data, own)
    assert alike_of_document(b"x\n" + data, 2, "another") == hashlib.sha256(plainest(data)).hexdigest()


@given(st.lists(st.lists(st.sampled_from(WHITE), max_size=6).map(b"".join), max_size=8))
def test_in_pieces_it_is_the_same(pieces: list[bytes]) -> None:
    """Wherever a piece ends."""
    lines, both = LineHash(), StreamHash(0)
    for piece in pieces:
        lines.update(piece)
        both.update(piece)
    whole = b"".join(pieces)
    assert lines.hexdigest() == both.alike() == hashlib.sha256(plainest(whole)).hexdigest()
    assert both.hexdigest() == hashlib.sha256(whole).hexdigest()


def test_more_white_space_than_is_held() -> None:
    """A bomb of it costs no memory; the document is then known by its bytes only."""
    both = StreamHash(0)
    for piece in (b"a", *[b" " * 65536] * 17, b"b"):
        both.update(piece)
    assert both.alike() == both.hexdigest()


@pytest.mark.parametrize("sent", SENT)
def test_T2_the_same_report_however_it_was_sent(sent: str) -> None:
    """As a file, and as text in a mail beside its gzip form."""
    (first,) = read_bytes(REPORT).items
    (same,) = read_bytes(SENT[sent]).items
    assert same.alike == first.alike
    assert same.report.kind == "aggregate"
    as_text = b"Content-Type: text/xml\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + SENT[sent]
    both = read_mail(mail(TEXT, as_text, attachment(gzip.compress(REPORT))))
    assert [item.alike for item in both.items] == [first.alike] * 2


def test_T2_a_report_that_is_read_as_a_stream() -> None:
    """More than is taken at once: with CRLF it is over the bound, with LF below it, and both are the same."""
    one = record()
    large = xml(*[one] * ((WHOLE - 2000) // len(one)))
    assert WHOLE - 3000 < len(large) < WHOLE < len(large.replace(b"\n", b"\r\n"))
    ways = [large, large.replace(b"\n", b"\r\n"), MARK + large.replace(b"\n", b"\r\n"), b"Report:\n" + large]
    items = [item for way in ways for item in read_bytes(way).items]
    assert len({item.alike for item in items}) == 1
    assert len({item.digest for item in items}) == len(ways)
