"""A reading that crosses from one process to another in pieces is the same reading."""

from __future__ import annotations

import gzip
import pickle

import pytest

from dmarcworks.ingest import reading_pieces
from dmarcworks.ingest.read_source import Read, Source, read
from dmarcworks.ingest.reading_pieces import CLASSES, assembled, pieces
from dmarcworks.process.frames import restricted
from dmarcworks.reports.bounds import Bounds
from tests.support.mails import document, mail, report_mail


def crossed(done: Read) -> Read:
    """What the other process has of it."""
    load = restricted(CLASSES)
    return assembled([load(pickle.dumps(piece, 5)) for piece in pieces(done)])


def records(number: int) -> list[tuple[str, int, str, str]]:
    return [(f"192.0.{n // 256}.{n % 256}", n % 7, "pass", "fail" if n % 3 else "pass") for n in range(number)]


@pytest.mark.parametrize("records_of_a_piece", [1, 2, 3, 1000])
def test_a_reading_in_pieces_is_the_same(records_of_a_piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small and large reports, several in an attachment, problems between them, and nothing at all."""
    monkeypatch.setattr(reading_pieces, "_RECORDS", records_of_a_piece)
    monkeypatch.setattr(reading_pieces, "_ITEMS", 2)
    three = b"\n".join(document(f"r{n}", records=records(n)).partition(b"?>")[2] for n in (1, 2, 5))
    raw = mail(
        ("a.xml.gz", gzip.compress(document("a", records=records(4)))),
        ("broken.xml.gz", b"\x1f\x8b\x08 no"),
        ("b.xml", document("b")),
        ("c.xml", three),
    )
    for content in (raw, report_mail(), b"", b"Subject: none\r\n\r\ntext"):
        done = read(Source(content), Bounds(), "headers")
        assert crossed(done) == done
    done = read(Source(raw), Bounds(), "headers")
    assert len(done.reading.items) >= 3
    assert len(done.reading.problems) >= 1


def test_what_is_shared_crosses_once() -> None:
    """The bytes of an attachment with many reports, and what all records of a large report say."""
    done = read(Source(mail(("a.xml", document("a", records=records(50_000))))), Bounds(), "headers")
    sizes = [len(pickle.dumps(piece, 5)) for piece in pieces(done)]
    # The attachment once, and beside it address, count and a number for each record.
    assert sum(sizes) < len(done.reading.items[0].part.content) + 50_000 * 40
    (item,) = crossed(done).reading.items
    assert len({id(said) for said in item.report.records.contents}) == 2  # type: ignore[union-attr]
    many = tuple(done.reading.items) * 500
    contents = [piece for piece in pieces(Read(done.reading.__class__(many, ()))) if piece[0] == "content"]
    assert len(contents) == 1


def test_a_failure_report_and_its_redacted_mail_cross() -> None:
    """The mail that takes the raw one's place is part of the answer."""
    done = Read(read(Source(report_mail()), Bounds(), "headers").reading, b"redacted")
    assert crossed(done) == done
