"""Promise of the activity log: each mail is a line, counted in its step, seen by its own account only, for so long."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import mail_tables
from dmarcworks.catalogue.activity import Activity, ActivityLine
from dmarcworks.errors import StoreError

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def line(minutes: float, outcome: str = "handled", account: str = "a", **fields: object) -> ActivityLine:
    made = ActivityLine(
        time=NOON + timedelta(minutes=minutes),
        sender="s@example.org",
        recipient="r@example.com",
        peer="192.0.2.1",
        size=10,
        rule="rua address",
        action="worker dmarc",
        outcome=outcome,
        status={"rejected": "550", "failed": "451"}.get(outcome, "250"),
        account_id=account,
    )
    return replace(made, **fields)  # type: ignore[arg-type]  # a test's own fields


async def test_lines_come_back_as_they_were_noted(database: Database) -> None:
    """Nothing is written before a flush, all of it after, newest first, each field as it was; too long is cut."""
    activity = Activity(database)
    first, second = line(0, helo="mail", tls="TLSv1.3", error="x", seconds=0.25), line(1, "rejected", subject="a\0b")
    activity.note(first)
    activity.note(second)
    assert await activity.lines("a") == []
    await activity.flush()
    assert await activity.lines("a") == [
        replace(second, subject="a\N{REPLACEMENT CHARACTER}b", id=2),
        replace(first, id=1),
    ]
    activity.note(line(2, sender="s" * 400, subject="t" * 400, error="e" * 2000))
    await activity.flush()
    cut = (await activity.lines("a", limit=1))[0]
    assert (len(cut.sender), len(cut.subject), len(cut.error)) == (320, 255, 1000)


async def test_an_account_sees_its_own_lines(database: Database) -> None:
    """Neither list, nor line, nor summary tells of a neighbour; the operator (None) sees all."""
    activity = Activity(database)
    for account in ("a", "b", ""):
        activity.note(line(0, account=account))
    await activity.flush()
    assert [found.account_id for found in await activity.lines("b")] == ["b"]
    assert len(await activity.lines(None)) == 3
    assert await activity.line("b", 1) is None
    assert (await activity.line("a", 1)) is not None
    (bucket,) = await activity.summary("a", NOON, NOON + timedelta(hours=1), 3600)
    assert bucket.outcomes == {"handled": 1}


async def test_the_summary_counts_each_mail_in_its_step(database: Database) -> None:
    """Steps begin at `since`; the first instant of a step is its own; empty steps are there; the end is left out."""
    activity = Activity(database)
    for minutes, outcome in ((0, "handled"), (9.999, "handled"), (10, "forwarded"), (25, "dropped"), (30, "rejected")):
        activity.note(line(minutes, outcome))
    activity.note(line(-0.001))
    await activity.flush()
    found = await activity.summary("a", NOON, NOON + timedelta(minutes=30), 600)
    assert [(bucket.start, bucket.outcomes) for bucket in found] == [
        (NOON, {"handled": 2}),
        (NOON + timedelta(minutes=10), {"forwarded": 1}),
        (NOON + timedelta(minutes=20), {"dropped": 1}),
    ]
    assert [bucket.received for bucket in found] == [2, 1, 1]


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ({"outcome": "rejected"}, [2]),
        ({"text": "Öffnung"}, [3]),
        ({"text": "%"}, [1]),
        ({"since": NOON + timedelta(minutes=1)}, [3, 2]),
        ({"until": NOON + timedelta(minutes=1)}, [1]),
        ({"before": 3, "limit": 1}, [2]),
        ({"domain_id": "d"}, [3]),
    ],
)
async def test_the_list_can_be_narrowed(database: Database, asked: dict[str, object], ids: list[int]) -> None:
    """By outcome, text, time, domain and page; a wildcard is only a character."""
    activity = Activity(database)
    activity.note(line(0, subject="100 % off"))
    activity.note(line(1, "rejected"))
    activity.note(line(2, subject="Zur Öffnung", domain_id="d"))
    await activity.flush()
    assert [found.id for found in await activity.lines("a", **asked)] == ids  # type: ignore[arg-type]


async def test_what_is_found_out_later_stands_in_the_line(database: Database) -> None:
    """A report mail's authenticity is known after it was accepted; its line shows it then."""
    activity = Activity(database)
    activity.note(line(0, mail_id="m"))
    activity.note(line(1, spf="fail", dkim="none", dmarc="fail", arc="none"))
    await activity.flush()
    values = {
        "mail_id": "m",
        "checked": 1.0,
        "spf": "pass",
        "dkim": "pass",
        "dmarc": "pass",
        "arc": "none",
        "detail": "",
    }
    async with database.write() as connection:
        await connection.execute(insert(mail_tables.authenticity).values(values))
    later, first = await activity.lines("a")
    assert (first.spf, first.dkim, first.dmarc, first.arc) == ("pass", "pass", "pass", "none")
    assert (later.spf, later.dkim, later.dmarc, later.arc) == ("fail", "none", "fail", "none")


async def test_old_lines_are_taken_away(database: Database) -> None:
    """The retention is days back from now; a line on its edge stays."""
    activity = Activity(database, clock=lambda: (NOON + timedelta(days=30)).timestamp())
    activity.note(line(-0.01))
    activity.note(line(0))
    await activity.flush()
    assert await activity.purge(30) == 1
    assert [found.id for found in await activity.lines("a")] == [2]


async def test_an_away_store_costs_the_mail_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines wait while the database is away, are written once when it is back, and `stop` writes the rest."""
    activity = Activity(database)
    real, away, refused = database.step, True, asyncio.Event()

    def step(work: Any) -> Any:
        if away:
            refused.set()
            raise StoreError("disk full")
        return real(work)

    monkeypatch.setattr(database, "step", step)
    activity.start()
    activity.note(line(0))
    await asyncio.wait_for(refused.wait(), 10)
    away = False
    activity.note(line(1))
    await activity.stop()
    assert [found.id for found in await activity.lines("a")] == [2, 1]
