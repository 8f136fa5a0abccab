"""Mails of every kind that come in real life, and what must be counted or listed under Problems of each.

In: a seed. Out: parcels, each with its raw mail, the reports that it brings (rows and messages, exactly) and the
reasons under which it must stand under Problems. A parcel's number stands in its mail as `X-Parcel`.
"""

from __future__ import annotations

import gzip
import io
import random
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.support.failures import arf, tls
from tests.support.mails import document, mail

AGGREGATE, TLS, FAILURE = "dmarc_reports", "tls_reports", "failure_reports"
_PARCEL = re.compile(rb"^X-Parcel: (\d+)\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Counted:
    """What a report adds to its table: rows, and messages (sessions, 1 for a failure report)."""

    rows: int
    messages: int


Reports = Mapping[tuple[str, str], Counted]
"""By (table, the report's id)."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A mail to send and what must come of it."""

    number: int
    kind: str
    raw: bytes
    reports: Reports
    problems: tuple[str, ...] = ()


def number_of(raw: bytes) -> int:
    """The number of the parcel that a kept mail is."""
    found = _PARCEL.search(raw)
    assert found, raw[:300]
    return int(found[1])


def parcels(count: int, seed: int = 7) -> list[Parcel]:
    """So many, of all kinds; the first ones are one of each kind."""
    dice = random.Random(seed)
    names, weights = list(KINDS), [weight for weight, _ in KINDS.values()]
    kinds = (names + dice.choices(names, weights, k=max(0, count - len(names))))[:count]
    return [_parcel(number, kind, dice) for number, kind in enumerate(kinds, 1)]


def _parcel(number: int, kind: str, dice: random.Random) -> Parcel:
    raw, reports, problems = KINDS[kind][1](number, dice)
    return Parcel(number, kind, b"X-Parcel: %d\r\n" % number + raw, reports, tuple(problems))


_Made = tuple[bytes, Reports, Sequence[str]]
_Kind = Callable[[int, random.Random], _Made]


def _report(number: int, part: int, dice: random.Random, *, records: int = 0, odd: str = "") -> tuple[bytes, Reports]:
    rows = [
        (f"192.0.2.{dice.randint(1, 254)}", dice.randint(1, 1000), dice.choice(("pass", "fail")), "pass")
        for _ in range(records or dice.randint(1, 10))
    ]
    report_id = f"{number}-{part}{odd}"
    made = Counted(len(rows), sum(count for _, count, _, _ in rows))
    return document(report_id, records=rows), {(AGGREGATE, report_id): made}


def _zip(*documents: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for index, xml in enumerate(documents):
            archive.writestr(f"report-{index}.xml", xml)
    return packed.getvalue()


def _gz(number: int, dice: random.Random) -> _Made:
    xml, reports = _report(number, 1, dice)
    return mail(("report.xml.gz", gzip.compress(xml))), reports, ()


def _zipped(number: int, dice: random.Random) -> _Made:
    xml, reports = _report(number, 1, dice)
    return mail(("report.zip", _zip(xml))), reports, ()


def _plain(number: int, dice: random.Random) -> _Made:
    xml, reports = _report(number, 1, dice)
    return mail(("report.xml", xml)), reports, ()


def _several(number: int, dice: random.Random) -> _Made:
    made = [_report(number, part, dice) for part in range(1, 6)]
    documents = [xml for xml, _ in made]
    attached = (
        ("one.xml.gz", gzip.compress(documents[0])),
        ("two.zip", _zip(*documents[1:4])),
        ("three.xml", documents[4]),
    )
    return mail(*attached), {key: counted for _, reports in made for key, counted in reports.items()}, ()


def _large(number: int, dice: random.Random) -> _Made:
    xml, reports = _report(number, 1, dice, records=2_000)
    return mail(("report.xml.gz", gzip.compress(xml))), reports, ()


def _twice_inside(number: int, dice: random.Random) -> _Made:
    """The same report as gzip and as zip in one mail: one report."""
    xml, reports = _report(number, 1, dice)
    return mail(("report.xml.gz", gzip.compress(xml)), ("report.zip", _zip(xml))), reports, ()


def _tls(number: int, dice: random.Random) -> _Made:
    report_id = f"{number}-1"
    made = {(TLS, report_id): Counted(2, 14)}
    return mail(("report.json.gz", gzip.compress(tls(report_id, domains=("example.com", "a.example.com"))))), made, ()


def _failure(number: int, dice: random.Random) -> _Made:
    return arf(number), {(FAILURE, f"<{number}@x.example>"): Counted(1, 1)}, ()


def _truncated(number: int, dice: random.Random) -> _Made:
    xml, _ = _report(number, 1, dice)
    return mail(("report.xml.gz", gzip.compress(xml)[:60])), {}, ["gzip_truncated"]


def _half_good(number: int, dice: random.Random) -> _Made:
    bad, _ = _report(number, 1, dice)
    good, reports = _report(number, 2, dice)
    attached = (("bad.xml.gz", gzip.compress(bad)[:60]), ("good.zip", _zip(good)))
    return mail(*attached), reports, ["gzip_truncated"]


def _no_report(number: int, dice: random.Random) -> _Made:
    return mail(text=f"No report in here, number {number}."), {}, ["no_report"]


def _bomb(number: int, dice: random.Random) -> _Made:
    xml, _ = _report(number, 1, dice)
    evil = xml.replace(b"<feedback>", b'<!DOCTYPE f [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><feedback>', 1)
    return mail(("report.xml.gz", gzip.compress(evil))), {}, ["doctype"]


def _hostile(number: int, dice: random.Random) -> _Made:
    """Words that mean something to a shell, SQL, HTML, a spreadsheet or a path: to us they are an id."""
    odd = dice.choice(("'); DROP TABLE reports; --", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "../../../etc"))
    xml, reports = _report(number, 1, dice, odd=odd)
    return mail(("../../../" + "x" * 120 + ".xml.gz", gzip.compress(xml))), reports, ()


def _foreign(number: int, dice: random.Random) -> _Made:
    xml = document(f"{number}-1", domain="other.example")
    return mail(("report.xml.gz", gzip.compress(xml))), {}, ["other_domain"]


def _impossible_count(number: int, dice: random.Random) -> _Made:
    """A record that cannot be is left out and named; its neighbours count."""
    rows = [("192.0.2.1", 3, "pass", "pass"), ("192.0.2.2", -5, "pass", "pass"), ("192.0.2.3", 4, "fail", "fail")]
    report_id = f"{number}-1"
    xml = document(report_id, records=rows)
    return mail(("report.xml", xml)), {(AGGREGATE, report_id): Counted(2, 7)}, ["count_invalid"]


KINDS: dict[str, tuple[int, _Kind]] = {
    "gzip": (30, _gz),
    "zip": (15, _zipped),
    "plain": (6, _plain),
    "several": (10, _several),
    "large": (1, _large),
    "twice inside": (4, _twice_inside),
    "tls": (6, _tls),
    "failure": (5, _failure),
    "truncated": (5, _truncated),
    "half good": (5, _half_good),
    "no report": (2, _no_report),
    "bomb": (2, _bomb),
    "hostile": (5, _hostile),
    "foreign": (2, _foreign),
    "impossible count": (2, _impossible_count),
}
"""Weight and maker of each kind."""
