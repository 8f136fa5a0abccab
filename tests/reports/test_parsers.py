"""A mail with a problem is read by other parsers of its parts only where they find other parts."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from dmarcworks.reports import mail, read
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.model import Reading

CORPUS = Path(__file__).parents[1] / "corpus"
SHARED = Path(__file__).parents[3] / "shared"
HEAD = b"From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: text/xml\r\n"
BROKEN = HEAD + b"\r\n<feedback><report_metadata></feedback>\r\n"


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One for each time that a whole mail is read."""
    counted: list[int] = []
    whole = read._guarded

    def guarded(*arguments: object) -> tuple[Reading, bool]:
        counted.append(1)
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(read, "_guarded", guarded)
    return counted


@pytest.mark.parametrize(
    ("raw", "reasons"),
    [
        (BROKEN, ["no_date_range"]),
        (b"From: a@b.example\r\nSubject: hello\r\n\r\nNo report.\r\n", ["no_report"]),
    ],
    ids=["a broken report", "no report"],
)
def test_equal_parts_are_read_once(rounds: list[int], raw: bytes, reasons: list[str]) -> None:
    assert [problem.reason for problem in read.read_mail(raw).problems] == reasons
    assert len(rounds) == 1


def test_other_parts_are_read_again(rounds: list[int]) -> None:
    """A comment behind the encoding: two parsers leave the part as it is, the third decodes it and is asked alone."""
    encoded = base64.b64encode(b"<feedback><report_metadata></feedback>")
    raw = HEAD + b"Content-Transfer-Encoding: base64 (sic)\r\n\r\n" + encoded + b"\r\n"
    parsers = (mail.parts, mail.slow_parts, mail.tree)
    begins = [part.read()[:1] for parse in parsers for part in mail.leaves(parse(raw, Bounds()))]
    assert begins == [b"P", b"P", b"<"]
    read.read_mail(raw)
    assert len(rounds) == 2


def test_nothing_is_read_differently(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every mail of the corpus, and every case, as if all parsers had always been asked."""
    mails = [path.read_bytes() for folder in (CORPUS, SHARED / "cases") for path in sorted(folder.rglob("*.eml"))]
    assert mails
    quick = [read.read_mail(raw) for raw in mails]
    monkeypatch.setattr(read, "_contents", lambda raw, bounds, parse: None)
    assert [read.read_mail(raw) for raw in mails] == quick
