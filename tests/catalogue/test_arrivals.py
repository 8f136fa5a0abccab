"""A report is counted once: reporter, domain, id and dates are its identity; content tells copies from variants."""

from __future__ import annotations

import dataclasses
import random
from datetime import UTC, date, datetime
from pathlib import Path
from typing import cast

import pytest

from dmarcworks.bindings.contracts import Database
from dmarcworks.bindings.sqlite import SqliteDatabase
from dmarcworks.catalogue import recording
from dmarcworks.catalogue.arrivals import Arrivals, MailRow, NewReport, ReportDay
from dmarcworks.reports.days import day_of
from tests.support.catalogue import Catalogue

DAY = 86_400
BEGIN = 1_790_035_200  # 2026-09-22 00:00 UTC
RECEIVED = datetime(2026, 9, 23, 4, 17, tzinfo=UTC)


def report(**changes: object) -> NewReport:
    base = NewReport(
        account_id="a" * 32,
        domain_id="d" * 32,
        kind="aggregate",
        org_name="google.com",
        org_email="noreply@google.com",
        policy_domain="example.com",
        report_id="1234",
        begin=BEGIN,
        end=BEGIN + DAY - 1,
        received=RECEIVED,
        records=2,
        messages=5,
        content="c" * 64,
        object_key="2026/9/x/report.zip",
        file_name="report.zip",
        mail_id="m1",
        where="part 1 > report.zip > a.xml",
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]  # fields by name


async def test_a_new_report_is_new_and_not_yet_published(catalogue: Catalogue) -> None:
    """Its row says what it is; publishing is noted apart."""
    recorded = await catalogue.arrivals.record_report(report())
    assert recorded.outcome == "new"
    row = recorded.row
    assert (row.org_name, row.messages, row.day, row.published, row.warnings) == (
        "google.com",
        5,
        date(2026, 9, 22),
        False,
        (),
    )
    await catalogue.arrivals.mark_published([row.key])
    found = await catalogue.arrivals.report("a" * 32, row.key)
    assert found is not None
    assert (found.published, found.duplicates) == (True, 0)


async def test_the_same_report_again_is_a_duplicate(catalogue: Catalogue) -> None:
    """By another mail, or twice in one mail: noted, and still one row."""
    first = await catalogue.arrivals.record_report(report())
    again = await catalogue.arrivals.record_report(report(mail_id="m2", file_name="other.zip"))
    twice = await catalogue.arrivals.record_report(report(where="part 2 > report.zip > a.xml"))
    assert (again.outcome, twice.outcome) == ("duplicate", "duplicate")
    assert again.row.key == twice.row.key == first.row.key
    (row,) = await catalogue.arrivals.reports("a" * 32)
    assert (row.file_name, row.mail_id) == ("report.zip", "m1")
    found = await catalogue.arrivals.report("a" * 32, row.key)
    assert found is not None
    assert found.duplicates == 2


async def test_a_failure_report_that_comes_again_is_a_duplicate(catalogue: Catalogue) -> None:
    """Its document is its identity: without a date of its own however late, and with other line ends."""
    made = {"kind": "failure", "content": "c1" * 32, "report_id": "c1" * 32, "alike": "a1" * 32, "dated": False}
    first = await catalogue.arrivals.record_report(report(**made))
    later = {"begin": BEGIN + 70, "end": BEGIN + 70, "mail_id": "m2"}
    again = await catalogue.arrivals.record_report(report(**made, **later))
    lines = {"content": "a1" * 32, "report_id": "a1" * 32, "alike": ""}
    other = await catalogue.arrivals.record_report(report(**made | later | lines | {"mail_id": "m3"}))
    assert (first.outcome, again.outcome, other.outcome) == ("new", "duplicate", "duplicate")
    assert first.row.key == again.row.key == other.row.key
    unlike = {"content": "c2" * 32, "report_id": "c2" * 32, "alike": "a2" * 32, "mail_id": "m4"}
    assert (await catalogue.arrivals.record_report(report(**made | unlike))).outcome == "new"


async def test_a_failure_report_of_an_earlier_version_is_known_again(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was stored with the dates in its identity."""
    made = {"kind": "failure", "content": "c1" * 32, "report_id": "c1" * 32, "alike": "a1" * 32}
    with monkeypatch.context() as before:
        before.setattr(NewReport, "identity", NewReport.former_identity)
        first = await catalogue.arrivals.record_report(report(**made))
    again = await catalogue.arrivals.record_report(report(**made, mail_id="m2"))
    assert (first.outcome, again.outcome) == ("new", "duplicate")
    assert again.row.key == first.row.key


async def test_a_redelivered_mail_is_no_duplicate(catalogue: Catalogue) -> None:
    """The same mail after a crash finds its own row and is new still."""
    first = await catalogue.arrivals.record_report(report())
    again = await catalogue.arrivals.record_report(report())
    assert (again.outcome, again.row) == ("new", first.row)
    found = await catalogue.arrivals.report("a" * 32, first.row.key)
    assert found is not None
    assert found.duplicates == 0


async def test_other_content_is_a_variant_and_both_count(catalogue: Catalogue) -> None:
    """The same identity with other content is kept beside the first, with a warning that says so."""
    first = await catalogue.arrivals.record_report(report())
    other = await catalogue.arrivals.record_report(report(mail_id="m2", content="e" * 64, messages=7))
    assert other.outcome == "variant"
    assert other.row.key != first.row.key
    assert [warning["code"] for warning in other.row.warnings] == ["same_identity_other_content"]
    assert await catalogue.arrivals.days("a" * 32, "d" * 32, date(2026, 9, 1), date(2026, 9, 30)) == [
        ReportDay(date(2026, 9, 22), 2, 12)
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"begin": BEGIN + DAY, "end": BEGIN + 2 * DAY - 1},
        {"end": BEGIN + 3600},
        {"report_id": "1235"},
        {"org_name": "yahoo.com"},
        {"policy_domain": "sub.example.com"},
        {"account_id": "b" * 32},
        {"kind": "tls"},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_another_identity_is_another_report(catalogue: Catalogue, changes: dict[str, object]) -> None:
    """The same id with other dates (Google, Mimecast), reporter, domain or account is a report of its own."""
    await catalogue.arrivals.record_report(report())
    other = await catalogue.arrivals.record_report(report(mail_id="m2", **changes))
    assert (other.outcome, other.row.warnings) == ("new", ())


async def test_the_reporters_case_and_address_make_no_difference(catalogue: Catalogue) -> None:
    """Google.com is google.com; the address speaks only where the name is absent."""
    assert report(org_name="Google.com", org_email="x@google.com").identity == report().identity
    assert report(org_name="").identity != report().identity
    assert report(org_name="").identity == report(org_name="", org_email="NoReply@Google.com").identity


async def test_a_quarantined_report_is_counted_once_it_comes_in_a_mail_that_may(catalogue: Catalogue) -> None:
    """A forgery with a report's exact content must not keep the report itself out; nor does the forgery undo it."""
    apart = await catalogue.arrivals.record_report(report(state="quarantined"))
    assert (apart.row.state, apart.row.published) == ("quarantined", True)
    genuine = await catalogue.arrivals.record_report(report())
    assert (genuine.row.key, genuine.row.state, genuine.outcome) == (apart.row.key, "counted", "new")
    assert not genuine.row.published
    again = await catalogue.arrivals.record_report(report(state="quarantined"))
    assert again.row.state == "counted"


async def test_a_foreign_report_is_kept_and_not_counted(catalogue: Catalogue) -> None:
    """It is listed with its state, no day counts it, and there is nothing to publish."""
    recorded = await catalogue.arrivals.record_report(report(state="foreign"))
    assert (recorded.row.state, recorded.row.published) == ("foreign", True)
    assert await catalogue.arrivals.days("a" * 32, "d" * 32, date(2026, 9, 1), date(2026, 9, 30)) == []
    assert await catalogue.arrivals.newest_day("a" * 32, "d" * 32) is None
    assert len(await catalogue.arrivals.reports("a" * 32)) == 1


async def test_reports_page_without_gap_or_repeat(catalogue: Catalogue) -> None:
    """Newest first, and `before` goes on where the page ended, also among equal times."""
    keys = []
    for number in range(7):
        recorded = await catalogue.arrivals.record_report(report(report_id=str(number), mail_id=f"m{number}"))
        keys.append(recorded.row.key)
    seen: list[str] = []
    before = None
    while page := await catalogue.arrivals.reports("a" * 32, limit=3, before=before):
        seen += [row.key for row in page]
        before = (page[-1].received, page[-1].key)
    assert seen == sorted(keys, reverse=True)


async def test_another_account_sees_no_report(catalogue: Catalogue) -> None:
    """A report's key opens it only with its account."""
    recorded = await catalogue.arrivals.record_report(report())
    assert await catalogue.arrivals.report("b" * 32, recorded.row.key) is None
    assert await catalogue.arrivals.reports("b" * 32) == []
    assert await catalogue.arrivals.last_report("a" * 32, "d" * 32) == RECEIVED
    assert await catalogue.arrivals.last_report("b" * 32, "d" * 32) is None


@pytest.mark.parametrize(
    ("begin", "day"),
    [
        (BEGIN, date(2026, 9, 22)),
        (BEGIN - 1, date(2026, 9, 21)),
        (0, date(2011, 1, 1)),
        (-1, date(2011, 1, 1)),
        (1_700_000_000_000, date(2100, 12, 31)),
        (10**30, date(2100, 12, 31)),
        (-(10**30), date(2011, 1, 1)),
    ],
)
def test_a_day_is_always_a_day(begin: int, day: date) -> None:
    """Whatever a reporter calls its begin, there is a day for it."""
    assert day_of(begin) == day


async def test_hostile_values_are_stored(catalogue: Catalogue) -> None:
    """Lone surrogates, NUL, endless text and numbers beyond 64 bits break no row."""
    recorded = await catalogue.arrivals.record_report(
        report(
            org_name="a\udcff\0",
            report_id="x" * 100_000,
            file_name="../../\udc80",
            where="\ud800" * 2000,
            begin=10**30,
            end=-(10**30),
            messages=10**30,
        )
    )
    row = recorded.row
    assert (row.org_name, row.file_name) == ("a?\N{REPLACEMENT CHARACTER}", "../../?")
    assert (row.begin, row.end, row.messages) == (2**63 - 1, -(2**63), 2**63 - 1)
    assert len(row.report_id) == 100_000


async def test_a_mail_is_noted_once(catalogue: Catalogue) -> None:
    """A redelivery overwrites its own row; another account does not see it."""
    mail = MailRow("m1", "a" * 32, "d" * 32, "x@r.example", "\udcff@s", "127.0.0.1", RECEIVED, 100, "k", "read", 1, 0)
    await catalogue.arrivals.record_mails([mail])
    await catalogue.arrivals.record_mails([dataclasses.replace(mail, id="m2"), dataclasses.replace(mail, problems=2)])
    await catalogue.arrivals.record_mails([])
    found = await catalogue.arrivals.mail("a" * 32, "m1")
    assert found == dataclasses.replace(mail, problems=2, sender="?@s")
    assert await catalogue.arrivals.mail("b" * 32, "m1") is None


async def test_reports_together_are_noted_as_one_by_one(
    catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch with new ones, duplicates, variants and redeliveries: each outcome and row as if it came alone."""
    chance = random.Random(7)
    reports = [
        report(
            account_id=chance.choice("ab") * 32,
            report_id=chance.choice(["r1", "r2", "r3"]),
            content=chance.choice("cd") * 64,
            mail_id=chance.choice(["m1", "m2", "m3"]),
            where=chance.choice(["part 1", "part 2"]),
            state=chance.choice(["counted", "counted", "foreign"]),
        )
        for _ in range(120)
    ]
    alone = SqliteDatabase(tmp_path / "alone.db")
    await alone.migrate()
    one, many = Arrivals(alone), catalogue.arrivals
    expected = [await one.record_report(new) for new in reports]
    # Statements bind so many values at most: pieces of three make every border.
    monkeypatch.setattr(recording, "_BOUND", 3)
    found = []
    for start in range(0, 120, 40):
        found += await many.record_reports(reports[start : start + 40])
    assert found == expected
    assert {recorded.outcome for recorded in found} == {"new", "duplicate", "variant"}
    for account in ("a" * 32, "b" * 32):
        rows = await one.reports(account)
        assert await many.reports(account) == rows
        assert [await many.report(account, row.key) for row in rows] == [
            await one.report(account, row.key) for row in rows
        ]
    await alone.close()


async def test_no_reports_are_noted_without_a_transaction() -> None:
    """A batch of mails without reports asks the database nothing: there is none here."""
    assert await Arrivals(cast(Database, None)).record_reports([]) == []


async def test_any_number_of_reports_is_marked_as_published(catalogue: Catalogue) -> None:
    """A batch of small mails may hold a hundred reports each: more values than any database takes in a statement."""
    first, last = [(await catalogue.arrivals.record_report(report(report_id=name))).row for name in ("1", "2")]
    await catalogue.arrivals.mark_published([first.key, *(f"{n:064x}" for n in range(260_000)), last.key])
    again = [(await catalogue.arrivals.record_report(report(report_id=name))).row for name in ("1", "2")]
    assert [row.published for row in again] == [True, True]


async def test_T17_reports_over_several_days_are_known_by_their_first_day(catalogue: Catalogue) -> None:
    """The longest of a day counts; one day in any time zone is one day; what reaches into the period is named."""
    day, begin = 86_400, 1_790_035_200  # 22 September 2026, 00:00 UTC
    lengths = {
        "a": (0, day - 1),
        "b": (7 * 3600, day),
        "c": (0, 7 * day - 1),
        "d": (0, 3 * day),
        "e": (-day * 5, day * 9),
    }
    for name, (shift, length) in lengths.items():
        begins = begin + shift
        await catalogue.arrivals.record_report(
            report(report_id=name, begin=begins, end=begins + length, content=name * 64)
        )
    first = date(2026, 9, 22)
    found = await catalogue.arrivals.long_reports("a" * 32, "d" * 32, first, date(2026, 9, 30))
    assert found == {first: 7, date(2026, 9, 17): 9}
    assert await catalogue.arrivals.long_reports("b" * 32, "d" * 32, first, date(2026, 9, 30)) == {}
