"""Promise of `replay`: the figures are what the archive says, in one step; what comes in meanwhile is not lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.authenticity import AuthenticityCatalogue, AuthenticityRow
from dmarcworks.errors import ConflictError, NotFoundError
from dmarcworks.ingest.accept import new_item
from dmarcworks.ingest.item import Gate
from dmarcworks.ingest.report_rows import new_report
from dmarcworks.reports.read import read_mail
from dmarcworks.upkeep import jobs
from dmarcworks.upkeep.replay import rebuild, swap
from tests.support.failures import tls_mail
from tests.support.filled import FAILURE, TLS, filled
from tests.support.harness import Harness
from tests.support.mails import BEGIN, DAY, mail, report_mail
from tests.support.waiting import wait_until


async def lose(harness: Harness) -> None:
    for table in ("dmarc_reports", "tls_reports", "failure_reports"):
        await harness.analytics.execute(f"TRUNCATE TABLE {table}")


async def other(harness: Harness) -> tuple[int, int]:
    """Rows of the TLS and the failure table."""
    (row,) = await harness.query(
        "SELECT (SELECT count() FROM tls_reports) AS t, (SELECT count() FROM failure_reports) AS f"
    )
    return int(row["t"]), int(row["f"])


async def test_analytics_is_rebuilt_from_archive_and_catalogue(harness: Harness) -> None:
    """All rows lost: afterwards every kind is there again, sums by domain and day are the same, nothing differs."""
    await filled(harness)
    before = await harness.sums()
    assert await other(harness) == (1, 1)
    await lose(harness)
    assert await harness.sums() == []
    events = await harness.do("replay")
    assert events[-1] | {"version": "", "seconds": 0} == {
        "event": "result",
        "state": "swapped",
        "version": "",
        "reports": 6,
        "kept": 0,
        "changed": 6,
        "shown": 6,
        "seconds": 0,
    }
    assert await harness.sums() == before
    assert await other(harness) == (1, 1)
    assert await harness.kinds() == []
    aggregate = next(event for event in events if event["event"] == "domain" and event["kind"] == "aggregate")
    assert aggregate["domain"] == "example.com"
    assert aggregate["before"] == {"reports": 0, "records": 0, "messages": 0}
    assert aggregate["after"] == {"reports": 4, "records": 8, "messages": 33}


async def test_what_was_found_out_about_a_mail_stays_with_its_rows(harness: Harness) -> None:
    """Whether a report's mail was genuine is not in the archive: rebuilt and mended rows say it as before."""
    domain = await harness.add_domain()
    await harness.receive(domain, report_mail("genuine"), report_mail("unknown", begin=BEGIN + DAY))
    rows = await harness.query("SELECT report_id, report_key, object_key FROM dmarc_reports LIMIT 1 BY report_id")
    keys = {row["report_id"]: row["report_key"] for row in rows}
    ((mail_id,),) = harness.sql(f"SELECT mail_id FROM reports WHERE key = '{keys['genuine']}'")
    await AuthenticityCatalogue(harness.stores.database).record(
        [AuthenticityRow(mail_id, "pass", "pass", "pass", "none")]
    )
    question = (
        "SELECT report_id, report_authentic, count() AS rows FROM dmarc_reports"
        " GROUP BY report_id, report_authentic ORDER BY report_id"
    )
    told = [("genuine", "pass", 2), ("unknown", None, 2)]

    async def said() -> list[tuple[str, str | None, int]]:
        return [(row["report_id"], row["report_authentic"], int(row["rows"])) for row in await harness.query(question)]

    await lose(harness)
    await harness.do("replay")
    assert await said() == told
    await harness.analytics.execute(f"DELETE FROM dmarc_reports WHERE report_key = '{keys['genuine']}'")
    await harness.do("verify", repair=True)
    assert await said() == told


async def test_policies_of_another_domain_stay_uncounted(harness: Harness) -> None:
    """A TLS report about two domains is rebuilt with the policies of ours, and nothing differs."""
    domain = await harness.add_domain()
    await harness.receive(domain, tls_mail("t-1", domains=("other.example", "example.com", "mx.example.com")))
    question = "SELECT policy_domain, successful_sessions AS n FROM tls_reports ORDER BY policy_domain"
    counted = [("example.com", 5), ("mx.example.com", 5)]
    assert [(row["policy_domain"], int(row["n"])) for row in await harness.query(question)] == counted
    assert await harness.kinds() == []
    await lose(harness)
    await harness.do("replay")
    assert [(row["policy_domain"], int(row["n"])) for row in await harness.query(question)] == counted
    assert await harness.kinds() == []


async def test_rows_that_differ_are_shown_and_repaired_and_can_be_taken_back(harness: Harness) -> None:
    """The changed report is named with its rows; --back asks the old rows again; --drop-old ends that."""
    reports = await filled(harness)
    before = await harness.sums()
    await harness.analytics.execute(
        f"ALTER TABLE dmarc_reports UPDATE count = 77 WHERE report_key = '{reports[0]['key']}' AND record_index = 0"
        " SETTINGS mutations_sync = 2"
    )
    wrong = await harness.sums()
    events = await harness.do("replay")
    changed = [event for event in events if event["event"] == "report"]
    assert changed == [
        {"event": "report", "kind": "aggregate", "report": reports[0]["key"], "rows_gone": 1, "rows_new": 1}
    ]
    assert await harness.sums() == before
    domain = await harness.context.domain("example.com")
    assert domain is not None
    await harness.receive(domain, report_mail("since"))
    with pytest.raises(ConflictError, match="--drop-old"):
        await harness.do("replay")
    await harness.do("replay-back")
    assert sum(row[3] for row in await harness.sums()) == sum(row[3] for row in wrong) + 5
    with pytest.raises(NotFoundError, match="no older version"):
        await harness.do("replay-back")
    assert len((await harness.do("replay", keep_old=True))[-1]["version"]) > 10
    assert await harness.kinds() == []
    assert len((await harness.do("replay-drop"))[-1]["versions"]) == 2
    names = {
        row["name"] for row in await harness.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
    }
    assert {name for name in names if "_reports" in name} == {"dmarc_reports", "tls_reports", "failure_reports"}
    assert await harness.kinds() == []


async def test_only_a_domain_and_only_since_a_day(harness: Harness) -> None:
    """The others' rows are copied as they are; the part is read again."""
    one, two = await harness.add_domain("one.example"), await harness.add_domain("two.example")
    await harness.receive(
        one, report_mail("a", domain="one.example"), report_mail("b", domain="one.example", begin=BEGIN + DAY)
    )
    await harness.receive(
        two, report_mail("c", domain="two.example"), mail(("t.json", TLS.replace(b"example.com", b"two.example")))
    )
    before = await harness.sums()
    spoil = "ALTER TABLE dmarc_reports UPDATE count = 50 WHERE 1 SETTINGS mutations_sync = 2"
    await harness.analytics.execute(spoil)
    day = before[1][1]
    assert (await harness.do("replay", domain="one.example", since=day))[-1]["reports"] == 1
    assert await harness.sums() == [(*before[0][:3], 100), before[1], (*before[2][:3], 100)]
    await harness.do("replay-drop")
    assert (await harness.do("replay", domain="two.example"))[-1]["reports"] == 2
    assert await harness.sums() == [(*before[0][:3], 100), before[1], before[2]]
    assert await other(harness) == (1, 0)


async def test_what_cannot_be_read_again_keeps_its_rows(harness: Harness) -> None:
    """A lost attachment is named, and its rows stay what they were."""
    reports = await filled(harness)
    before = await harness.sums()
    harness.object(reports[1]["object"]).unlink()
    events = await harness.do("replay")
    assert [(event["report"], event["reason"]) for event in events if event["event"] == "kept"] == [
        (reports[1]["key"], "the archived attachment is missing")
    ]
    assert events[-1]["kept"] == 1
    assert await harness.sums() == before


async def test_rows_that_nobody_counts_do_not_come_along(harness: Harness) -> None:
    """Rows of unknown reports and double rows are gone after a replay."""
    reports = await filled(harness)
    before = await harness.sums()
    same = f"SELECT * FROM dmarc_reports WHERE report_key = '{reports[0]['key']}'"
    await harness.analytics.execute(f"INSERT INTO dmarc_reports {same}")
    await harness.analytics.execute(f"INSERT INTO dmarc_reports SELECT * REPLACE ('x' AS report_key) FROM ({same})")
    await harness.do("replay")
    assert await harness.sums() == before
    assert await harness.kinds() == []


async def test_the_catalogue_takes_over_what_is_read_now(harness: Harness) -> None:
    """Figures that an older reader noted are renewed at the swap, and are the old ones again after --back."""
    reports = await filled(harness)
    key = reports[0]["key"]
    harness.sql(f"UPDATE reports SET records = 9, messages = 99, warnings = '[]' WHERE key = '{key}'")
    await harness.do("replay", only_build=True)
    wanted = f"SELECT records, messages FROM reports WHERE key = '{key}'"
    assert harness.sql(wanted) == [(9, 99)]
    await harness.do("replay")
    assert harness.sql(wanted) == [(2, 11)]
    await harness.do("replay-back")
    assert harness.sql(wanted) == [(9, 99)]


class Cut(BaseException):
    """As if the process had ended here."""


def cut_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, call: int, *, after: bool) -> Callable[[], None]:
    """The `call`th call of a function ends everything, before or after its work."""
    real, calls = getattr(owner, name), 0

    async def cut(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            raise Cut
        result = await real(*args, **kwargs)
        if calls == call:
            raise Cut
        return result

    monkeypatch.setattr(owner, name, cut)
    return lambda: monkeypatch.setattr(owner, name, real)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [
        (rebuild, "_insert", 1),
        (rebuild, "_insert", 3),
        (rebuild, "catch_up", 1),
        (swap.versions, "exchange", 1),
        (swap.versions, "exchange", 3),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)).rpartition(".")[2],
)
async def test_it_goes_on_where_it_was_cut_off(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, call: int, after: bool
) -> None:
    """Ended at any step and called again: nothing is lost and nothing double, also of what came in between."""
    monkeypatch.setattr(rebuild, "PAGE", 3)
    domain = await harness.add_domain()
    await harness.receive(domain, *(report_mail(f"r{n}", begin=BEGIN + DAY * (n % 3)) for n in range(10)), FAILURE)
    before = await harness.sums()
    await lose(harness)
    restore = cut_at(monkeypatch, owner, name, call, after=after)
    with pytest.raises(Cut):
        await harness.do("replay")
    restore()
    # Twelve, so that some of their keys lie among those that were written and not noted.
    await harness.receive(domain, *(report_mail(f"meanwhile {n}", begin=BEGIN + 5 * DAY) for n in range(12)))
    assert (await harness.do("replay"))[-1]["state"] == "swapped"
    assert (await harness.sums())[:-1] == before
    assert (await harness.sums())[-1][2:] == (24, 60)
    assert await harness.kinds() == []


async def test_reports_that_come_in_during_a_replay_are_counted_once(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mail is read and published at every step of the replay; in the end all of it is there, once."""
    monkeypatch.setattr(rebuild, "PAGE", 2)
    domain = await harness.add_domain()
    await harness.receive(domain, *(report_mail(f"r{n}") for n in range(8)))
    number = 0

    async def more() -> None:
        nonlocal number
        number += 1
        await harness.receive(domain, report_mail(f"more{number}"))

    real = swap.versions.exchange
    held: list[asyncio.Task[None]] = []

    async def exchange(*args: Any) -> None:
        # Publishing is held here: this one waits until the swap is done.
        held.append(asyncio.create_task(more()))
        await wait_until(
            lambda: harness.sql("SELECT 1 FROM queue WHERE leased IS NOT NULL"), "a mail that is being read"
        )
        await real(*args)

    monkeypatch.setattr(swap.versions, "exchange", exchange)
    async for _ in jobs.run(harness.context, "replay", {}):
        await more()
    await asyncio.gather(*held)
    assert len(held) == 3
    assert number > 8
    assert [row[2:] for row in await harness.sums()] == [(2 * (8 + number), 5 * (8 + number))]
    assert await harness.kinds() == []


async def test_another_scope_does_not_go_on_with_an_unfinished_one(harness: Harness) -> None:
    """It is refused until the first is finished or dropped."""
    await filled(harness)
    await harness.do("replay", only_build=True)
    with pytest.raises(ConflictError, match="begun and not finished"):
        await harness.do("replay", domain="example.com")
    await harness.do("replay-drop")
    assert (await harness.do("replay", domain="example.com"))[-1]["state"] == "swapped"


def key_of(raw: bytes, domain: Domain) -> str:
    """The key that a mail's report will have."""
    (item,) = read_mail(raw).items
    gate = Gate(domain.account_id, domain.id, domain.name)
    return new_report(item, new_item(gate, raw, datetime.now(UTC), recipient=domain.rua), "").key


async def test_what_was_written_and_not_noted_is_found_on_any_page(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New reports push what the cut run had written from its own page to the next: it is counted once all the same."""
    monkeypatch.setattr(rebuild, "PAGE", 3)
    domain = await harness.add_domain()
    await harness.receive(domain, *(report_mail(f"r{n}") for n in range(10)))
    keys = [key for (key,) in harness.sql("SELECT key FROM reports ORDER BY key")]
    assert keys == sorted(key_of(report_mail(f"r{n}"), domain) for n in range(10))
    await lose(harness)
    restore = cut_at(monkeypatch, rebuild, "_insert", 2, after=True)
    with pytest.raises(Cut):
        await harness.do("replay")
    restore()
    assert harness.sql("SELECT last_key FROM replays") == [(keys[2],)]
    # The cut run wrote the fourth to the sixth. Three new ones right before them fill the page where they would be.
    between = (f"m{n}" for n in range(100_000) if keys[2] < key_of(report_mail(f"m{n}"), domain) < keys[3])
    await harness.receive(domain, *(report_mail(name) for name in islice(between, 3)))
    assert [key for (key,) in harness.sql("SELECT key FROM reports ORDER BY key")][6:9] == keys[3:6]
    assert (await harness.do("replay"))[-1]["state"] == "swapped"
    assert [row[2:] for row in await harness.sums()] == [(2 * 13, 5 * 13)]
    assert await harness.kinds() == []
