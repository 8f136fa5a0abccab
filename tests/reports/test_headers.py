"""Header fields, parameters, encoded words and parts: as the standard library reads them, and up to the bounds."""

from __future__ import annotations

import base64
import email
import email.header
import email.message
import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.reports import charsets, headers, mime, transfer
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.read import read_mail
from tests.support.mails import document

BOUNDS = Bounds()
_WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=30)
_NAMES = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=("Cc",), exclude_characters='"\\'),
    min_size=1,
    max_size=120,
)


@given(st.lists(_WORDS, min_size=1, max_size=5), st.sampled_from(["utf-8", "utf-16", "iso-8859-1"]), st.booleans())
def test_encoded_words_are_those_of_the_standard_library(texts: list[str], charset: str, plain: bool) -> None:
    """Words in the library's own encoding, alone and between plain text."""
    pieces = [email.header.Header(text.encode(charset, "replace").decode(charset), charset).encode() for text in texts]
    value = (" plain ".join(pieces) if plain else "\n ".join(pieces)).replace("\n", "")
    expected = str(email.header.make_header(email.header.decode_header(value)))
    assert headers.words(value, BOUNDS) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        ("=?utf-8?b?w6?= =?utf-8?b?pA==?=", "Ã¤".encode("latin-1").decode()),
        ("=?utf-8?q?a=5F_b?=", "a_ b"),
        ("=?x-none?q?a?= b", "=?x-none?q?a?= b"),
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        ("a=?utf-8?q?b?=c", "abc"),
        ("=?", "=?"),
    ],
)
def test_encoded_words_by_hand(value: str, expected: str) -> None:
    """RFC 2047 §6.2, a character split over two words, and what is no word."""
    assert headers.words(value, BOUNDS) == expected


def test_words_past_the_bound_stay_as_they_stand() -> None:
    """Two of three words are decoded, and the bound is named."""
    over: set[str] = set()
    assert headers.words("=?utf-8?q?a?= " * 3, Bounds(encoded_words=2), over) == "aa =?utf-8?q?a?= "
    assert over == {"encoded_words"}


@given(_NAMES)
def test_parameters_are_those_that_the_standard_library_writes(value: str) -> None:
    """Quoted, extended and continued parameters as `add_header` makes them."""
    message = email.message.EmailMessage()
    message["Content-Disposition"] = "attachment"
    message.set_param("filename", value, "Content-Disposition")
    block = headers.block(message.as_bytes(), 0, BOUNDS)
    written = headers.unfolded(block.first(b"content-disposition") or b"")
    found = headers.parameters(written, BOUNDS)
    again = email.message_from_bytes(message.as_bytes())
    assert found.value == "attachment"
    assert found.named["filename"].split() == (again.get_filename() or "").split()


@given(st.binary(max_size=300), st.integers(1, 80))
def test_base64_is_undone_with_anything_between(data: bytes, width: int) -> None:
    """Lines of any length, junk between letters; two pieces behind each other are both read."""
    letters = base64.b64encode(data)
    lines = b"!\r\n ".join(letters[at : at + width] for at in range(0, len(letters), width))
    assert transfer.base64(lines) == data
    assert transfer.base64(letters + b"\n" + letters) == data * 2


@given(st.text(max_size=60))
def test_a_charset_is_a_codec_of_the_table_or_none(name: str) -> None:
    """No name raises, and no codec is anything but a text encoding."""
    found = charsets.codec(name)
    assert found is None or isinstance(b"a".decode(found, "replace"), str)


@pytest.mark.parametrize(
    "name", ["punycode", "idna", "zip", "bz2", "hex", "rot13", "utf-7", "unicode_escape", "uu", "none", ""]
)
def test_what_is_no_charset_of_mails_is_not_looked_up(name: str) -> None:
    """Codecs that are slow, no text, or make halves of characters."""
    assert charsets.codec(name) is None
    assert charsets.codec("UTF-8") == "utf_8"
    assert charsets.codec("windows-1252") == "cp1252"


@pytest.mark.parametrize(
    ("value", "domain"),
    [
        ("a@example.com", "example.com"),
        ('"x@y.example" <a@example.com>', "example.com"),
        ("(x@y.example (z)) a@example.com", "example.com"),
        ("a@example.com, b@example.net", "example.com"),
        ('"a@b"@example.com', "example.com"),
        ("(" * 2000 + "a@example.com", ""),
        ("nobody", ""),
        ("a@example.com <>", "example.com"),
    ],
)
def test_the_domain_of_the_author(value: str, domain: str) -> None:
    """Comments in any depth, quoted text and display names say nothing."""
    assert headers.author_domain(value) == domain


def _flat(part: mime.MailPart) -> list[tuple[str, str, str, bytes]]:
    return [(leaf.number, leaf.type, leaf.name, leaf.read()) for leaf in mime.leaves(part)]


def test_the_tree_of_an_ordinary_mail() -> None:
    """Numbers, types, names and contents; a line that is only like a boundary belongs to the text."""
    raw = (
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\npreamble\r\n--a\r\n\r\none\r\n--ab\r\n--a x\r\n--a  \r\n"
        b"Content-Type: multipart/alternative; boundary=ab\r\n\r\n--ab\r\nContent-Type: text/html\r\n\r\ntwo\r\n"
        b"--ab\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny\r\n--a\r\n"
        b"Content-Type: a/b; name*0=c; name*1=.xml\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--a--\r\nend"
    )
    assert _flat(mime.tree(raw, BOUNDS)) == [
        ("1", "text/plain", "", b"one\r\n--ab\r\n--a x"),
        ("2.1", "text/html", "", b"two"),
        ("2.2", "message/rfc822", "", b"Subject: x\r\n\r\ny"),
        ("3", "a/b", "c.xml", b"abc"),
    ]


_PART = b"Content-Type: application/gzip; name=a.xml.gz\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(
    gzip.compress(document(), mtime=0)
)
_DEEP = b"".join(b"Content-Type: multipart/mixed; boundary=n%d\n\n--n%d\n" % (n, n) for n in range(10_000))
EXTRA_PART = {
    "header_bytes": (b"Subject: " + b"=?" * 500_000 + b"\n", b""),
    "header_fields": (b"a: b\n" * 100_000, b""),
    "header_parameters": (b"", b"Content-Type: text/plain" + b";\r\n a=b" * 5_000 + b"\n\nx\n"),
    "encoded_words": (b"", b'Content-Disposition: inline; filename="' + b"=?utf-8?q?a?= " * 5_000 + b'"\n\nx\n'),
    "mime_depth": (b"", _DEEP),
}


def _with_extra_part(reason: str) -> bytes:
    head, part = EXTRA_PART[reason]
    return (
        head
        + b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=outer\n\n--outer\n"
        + _PART
        + b"--outer\n"
        + (part or b"\nx\n")
        + b"\n--outer\n"
        + _PART
        + b"--outer--\n"
    )


@pytest.mark.parametrize("reason", EXTRA_PART)
def test_reports_next_to_what_exceeds_a_bound_are_read(reason: str) -> None:
    """Before and behind a hostile part; the problem names the bound and its setting."""
    reading = read_mail(_with_extra_part(reason))
    assert [item.report.messages for item in reading.items] == [5, 5]  # type: ignore[union-attr]
    assert [problem.reason for problem in reading.problems] == [reason]
    value = getattr(BOUNDS, reason)
    assert f"{reason} = {value} (setting DMARCWORKS_{reason.upper()})" in reading.problems[0].detail


def test_fifty_arc_sets_of_two_thousand_bytes_are_no_problem() -> None:
    """A long but ordinary header: 150 fields, 100 kB."""
    chain = b"".join(
        b"ARC-Seal: i=%d; b=" % n + b"a" * 2000 + b"\r\nARC-Message-Signature: i=%d\r\n" % n for n in range(50)
    )
    reading = read_mail(chain + b"MIME-Version: 1.0\n" + _PART)
    assert [item.report.kind for item in reading.items] == ["aggregate"]
    assert reading.problems == ()


@pytest.mark.parametrize("reason", ["header_bytes", "mime_depth"])
def test_the_command_reads_the_report_and_lists_the_problem(reason: str, tmp_path: Path) -> None:
    """`dmarcworks parse` on a megabyte of `=?` and on 10,000 nested multiparts, which ended the process once."""
    path = tmp_path / "a.eml"
    path.write_bytes(_with_extra_part(reason))
    command = [sys.executable, "-c", "from dmarcworks.cli import main; main()", "parse", str(path), "--format", "jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row.get("reason", row["kind"]) for row in rows] == ["aggregate", "aggregate", reason]
