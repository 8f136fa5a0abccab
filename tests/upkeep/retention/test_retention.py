"""Promise of retention: what is older than it is kept goes, nothing else does, and `verify` misses nothing of it."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dmarcworks.analytics.tables import NOBODY
from dmarcworks.errors import NotFoundError, UsageError
from dmarcworks.upkeep.retention.periods import KINDS, RetentionPeriods
from dmarcworks.upkeep.retention.runs import Runs
from dmarcworks.workers.point_writer import PointWriter
from dmarcworks.workers.points import DataPointOwner, DataPoints
from tests.support.filled import filled
from tests.support.harness import Harness
from tests.support.mails import BEGIN, DAY, report_mail


async def keep(harness: Harness, kind: str, days: int, account: str = "default") -> None:
    owner = await harness.accounts.account_by_name(account)
    await RetentionPeriods(harness.stores.database, harness.settings).set(owner.id, kind, days)


def age(harness: Harness, days: float) -> None:
    """Everything that is there came in so many days earlier than it did."""
    for table, column in (
        ("mails", "received"),
        ("reports", "received"),
        ("problems", "created"),
        ("activity", "time"),
    ):
        harness.sql(f"UPDATE {table} SET {column} = {column} - {days * DAY}")


async def taken(harness: Harness, **parameters: object) -> dict[str, int]:
    """Things that went, by kind."""
    events = await harness.do("retention", **parameters)
    return {event["kind"]: event["things"] for event in events if event["event"] == "taken"}


def objects(harness: Harness, prefix: str = "") -> int:
    return sum(path.is_file() for path in (harness.path / "objects" / prefix).rglob("*") if ".tmp" not in path.parts)


async def test_everything_is_kept_unless_told(harness: Harness) -> None:
    """By default nothing goes but old lines of the activity log."""
    await filled(harness)
    age(harness, 4000)
    before = await harness.sums(), objects(harness)
    assert await taken(harness) == {"activity_log": 0}
    assert (await harness.sums(), objects(harness)) == before


async def test_raw_mails_go_once_they_are_read(harness: Harness) -> None:
    """Five of six: the sixth is an open problem. Figures and archive stay; verify and replay miss nothing."""
    await filled(harness)
    age(harness, 31)
    before = await harness.sums()
    await keep(harness, "raw_mails", 30)
    (event,) = [event for event in await harness.do("retention", dry_run=True) if event.get("kind") == "raw_mails"]
    inside = sum(path.stat().st_size for path in (harness.path / "objects/inbox").rglob("*.eml"))
    assert (event["things"], objects(harness, "inbox")) == (5, 6)
    assert 0 < event["bytes"] < inside
    assert await taken(harness) == {"raw_mails": 5, "activity_log": 0}
    assert objects(harness, "inbox") == 1
    assert await taken(harness) == {"raw_mails": 0, "activity_log": 0}
    assert await harness.kinds() == []
    assert (await harness.do("replay"))[-1]["kept"] == 0
    assert await harness.sums() == before


async def test_archived_reports_go_and_their_rows_stay(harness: Harness) -> None:
    """A younger report's attachment stays; rows survive a replay although their attachment is gone."""
    await filled(harness)
    age(harness, 31)
    domain = await harness.context.domain("example.com")
    assert domain is not None
    await harness.receive(domain, report_mail("young", begin=BEGIN + DAY))
    before = await harness.sums()
    await keep(harness, "archived_reports", 30)
    assert await taken(harness) == {"archived_reports": 5, "activity_log": 0}
    assert [row[0] for row in harness.sql("SELECT count(*) FROM reports WHERE archive_taken IS NULL")] == [2]
    assert await harness.kinds() == []
    result = (await harness.do("replay"))[-1]
    assert (result["reports"], result["kept"]) == (2, 0)
    assert await harness.sums() == before
    assert await harness.kinds() == []


async def test_an_attachment_that_another_account_needs_stays(harness: Harness) -> None:
    """The same bytes sent to two accounts in one month are one object: it goes with the last one."""
    one, two = await harness.add_domain("one.example", "one"), await harness.add_domain("two.example", "two")
    for domain in (one, two):
        await harness.receive(domain, report_mail("same", domain="mail.one.example"))
    harness.sql("UPDATE reports SET state = 'counted'")
    assert len({key for (key,) in harness.sql("SELECT object_key FROM reports")}) == 1
    age(harness, 31)
    await keep(harness, "archived_reports", 30, "one")
    assert (await taken(harness))["archived_reports"] == 1
    assert objects(harness, str(time.gmtime().tm_year)) == 1
    await keep(harness, "archived_reports", 7, "two")
    assert (await taken(harness))["archived_reports"] == 1
    assert objects(harness, str(time.gmtime().tm_year)) == 0


async def test_records_go_by_day_and_whole_months_as_partitions(harness: Harness) -> None:
    """One account keeps 30 days, another everything: only the first one's old rows go, then whole months go at once."""
    today = int(time.time()) // DAY * DAY
    one, two = await harness.add_domain("one.example", "one"), await harness.add_domain("two.example", "two")
    for domain in (one, two):
        for days in (100, 40, 5):
            await harness.receive(domain, report_mail(f"{days}", domain=domain.name, begin=today - days * DAY))
    await keep(harness, "records", 30, "one")
    assert await taken(harness, dry_run=True) == {"records": 4, "activity_log": 0}
    assert [row[2] for row in await harness.sums()] == [2] * 6
    assert await taken(harness) == {"records": 4, "activity_log": 0}
    assert [row[0] for row in await harness.sums()] == ["one.example"] + ["two.example"] * 3
    assert await harness.kinds() == []
    await keep(harness, "records", 30, "two")
    months = "SELECT count(DISTINCT partition) AS n FROM system.parts WHERE active AND table = 'dmarc_reports'"
    before = int((await harness.query(months))[0]["n"])
    assert (await taken(harness))["records"] == 4
    assert [row[0] for row in await harness.sums()] == ["one.example", "two.example"]
    assert int((await harness.query(months))[0]["n"]) < before
    assert await harness.kinds() == []
    assert (await harness.do("replay"))[-1]["reports"] == 2
    assert [row[0] for row in await harness.sums()] == ["one.example", "two.example"]
    await harness.receive(one, report_mail("100", domain="one.example", begin=today - 100 * DAY))
    assert len(await harness.sums()) == 2
    assert await harness.kinds() == []


async def test_failure_reports_go_with_the_mail_that_quotes_the_message(harness: Harness) -> None:
    """Row, attachment and raw mail; nothing of the others."""
    await filled(harness)
    age(harness, 8)
    before = await harness.sums(), objects(harness)
    await keep(harness, "failure_reports", 7)
    assert await taken(harness, dry_run=True) == {"failure_reports": 1, "activity_log": 0}
    assert await taken(harness) == {"failure_reports": 1, "activity_log": 0}
    assert (await harness.query("SELECT count() AS n FROM failure_reports"))[0]["n"] in (0, "0")
    assert (await harness.sums(), objects(harness)) == (before[0], before[1] - 2)
    assert await harness.kinds() == []
    assert await taken(harness) == {"failure_reports": 0, "activity_log": 0}


async def test_problems_go_with_mails_that_nothing_was_read_from(harness: Harness) -> None:
    """The problem and its raw mail are gone, and verify does not miss it."""
    await filled(harness)
    age(harness, 91)
    await keep(harness, "problems", 90)
    assert await taken(harness) == {"problems": 1, "activity_log": 0}
    assert harness.sql("SELECT count(*) FROM problems") == [(0,)]
    assert objects(harness, "inbox") == 5
    assert await harness.kinds() == []


async def test_data_points_go_by_their_day(harness: Harness) -> None:
    """One account keeps 30 days, the others and nobody the 60 of the setting; a month that all gave up goes whole."""
    harness = Harness(
        harness.path,
        replace(harness.context, settings=harness.settings.model_copy(update={"retention_data_points": 60})),
    )
    one, two = await harness.add_domain("one.example", "one"), await harness.add_domain("two.example", "two")
    now = time.time()
    for days in (200, 59, 29):
        points = DataPoints(lambda days=days: now - days * DAY)  # type: ignore[misc]
        for owner in (DataPointOwner(one.account_id, one.id), DataPointOwner(two.account_id, two.id), DataPointOwner()):
            points.write(owner, "mine", {"blobs": [f"{days}"]})
        await PointWriter(points, harness.analytics).flush()
    await keep(harness, "data_points", 30, "one")
    left = (
        "SELECT account_id AS account, groupArray(blob1) AS days FROM"
        " (SELECT * FROM data_points ORDER BY timestamp) GROUP BY account_id"
    )
    months = "SELECT uniqExact(partition) AS n FROM system.parts WHERE active AND table = 'data_points'"
    before = int((await harness.query(months))[0]["n"])

    async def told(dry_run: bool) -> dict[str, int]:
        events = await harness.do("retention", dry_run=dry_run)
        return {event["account"]: event["things"] for event in events if event.get("kind") == "data_points"}

    assert await told(dry_run=True) == {"one": 2, "two": 1, "(no account)": 1}
    assert {len(row["days"]) for row in await harness.query(left)} == {3}
    mutations = "SELECT countIf(is_done) AS done, count() AS n FROM system.mutations WHERE table = 'data_points'"
    assert await harness.query(mutations) == [{"done": 0, "n": 0}]
    assert await told(dry_run=False) == {"one": 2, "two": 1, "(no account)": 1}
    # One for all accounts: each writes the parts anew.
    assert await harness.query(mutations) == [{"done": 1, "n": 1}]
    assert {row["account"]: row["days"] for row in await harness.query(left)} == {
        one.account_id: ["29"],
        two.account_id: ["59", "29"],
        NOBODY: ["59", "29"],
    }
    assert int((await harness.query(months))[0]["n"]) < before
    assert await told(dry_run=False) == {"one": 0, "two": 0, "(no account)": 0}
    runs = Runs(harness.stores.database)
    assert [(run.kind, run.things) for run in await runs.last(one.account_id)] == [("data_points", 2)]
    # Of one account alone: nobody's are not its business.
    events = await harness.do("retention", account="one")
    assert {event["account"] for event in events if event.get("kind") == "data_points"} == {"one"}


async def test_each_account_has_its_own_days(harness: Harness) -> None:
    """A rule overrides the setting, 0 keeps for ever; unknown kinds, days and accounts are refused."""
    await filled(harness)
    owner = await harness.accounts.account_by_name("default")
    rules = RetentionPeriods(harness.stores.database, harness.settings)
    await keep(harness, "problems", 90)
    assert [(rule.kind, rule.days, rule.own) for rule in await rules.of(owner.id)] == [
        (kind, {"problems": 90, "activity_log": 30}.get(kind, 0), kind == "problems") for kind in KINDS
    ]
    with pytest.raises(UsageError, match="no kind 'mails'"):
        await rules.set(owner.id, "mails", 1)
    with pytest.raises(UsageError, match="0 \\(for ever\\) to 36500"):
        await rules.set(owner.id, "records", -1)
    with pytest.raises(NotFoundError, match="no account nobody"):
        await taken(harness, account="nobody")


async def test_what_went_is_kept_and_shown(harness: Harness) -> None:
    """A line for each kind of which something went, newest first; a dry run and an idle run leave none."""
    await filled(harness)
    age(harness, 31)
    await keep(harness, "raw_mails", 30)
    runs, owner = Runs(harness.stores.database), await harness.accounts.account_by_name("default")
    inside = {path: path.stat().st_size for path in (harness.path / "objects/inbox").rglob("*.eml")}
    await taken(harness, dry_run=True)
    assert await runs.last(owner.id) == []
    await taken(harness)
    await taken(harness)
    size = sum(bytes_ for path, bytes_ in inside.items() if not path.exists())
    (raw,) = [run for run in await runs.last(owner.id) if run.kind == "raw_mails"]
    assert (raw.things, raw.bytes) == (5, size)
    assert abs(raw.time.timestamp() - time.time()) < 60
    assert raw.before[:10] == datetime.fromtimestamp(time.time() - 30 * DAY, UTC).date().isoformat()
    await keep(harness, "records", 30)
    went = await taken(harness)
    newest = (await runs.last(owner.id, 1))[0]
    assert (newest.kind, newest.things) == ("records", went["records"])
    assert await runs.last("0" * 32) == []
