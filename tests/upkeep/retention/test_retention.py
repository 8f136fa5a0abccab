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
from tests.support.mails import BEGIN, DAY, report_mail
from tests.support.upkeep import Home
from tests.upkeep.verify.test_verify import filled


async def keep(home: Home, kind: str, days: int, account: str = "default") -> None:
    owner = await home.house.stores.accounts.account_by_name(account)
    await RetentionPeriods(home.house.stores.database, home.house.settings).set(owner.id, kind, days)


def age(home: Home, days: float) -> None:
    """Everything that is there came in so many days earlier than it did."""
    for table, column in (
        ("mails", "received"),
        ("reports", "received"),
        ("problems", "created"),
        ("activity", "time"),
    ):
        home.sql(f"UPDATE {table} SET {column} = {column} - {days * DAY}")


async def taken(home: Home, **parameters: object) -> dict[str, int]:
    """Things that went, by kind."""
    events = await home.do("retention", **parameters)
    return {event["kind"]: event["things"] for event in events if event["event"] == "taken"}


def objects(home: Home, prefix: str = "") -> int:
    return sum(path.is_file() for path in (home.path / "objects" / prefix).rglob("*") if ".tmp" not in path.parts)


async def test_everything_is_kept_unless_told(home: Home) -> None:
    """By default nothing goes but old lines of the activity log."""
    await filled(home)
    age(home, 4000)
    before = await home.sums(), objects(home)
    assert await taken(home) == {"activity_log": 0}
    assert (await home.sums(), objects(home)) == before


async def test_raw_mails_go_once_they_are_read(home: Home) -> None:
    """Five of six: the sixth is an open problem. Figures and archive stay; verify and replay miss nothing."""
    await filled(home)
    age(home, 31)
    before = await home.sums()
    await keep(home, "raw_mails", 30)
    (event,) = [event for event in await home.do("retention", dry_run=True) if event.get("kind") == "raw_mails"]
    inside = sum(path.stat().st_size for path in (home.path / "objects/inbox").rglob("*.eml"))
    assert (event["things"], objects(home, "inbox")) == (5, 6)
    assert 0 < event["bytes"] < inside
    assert await taken(home) == {"raw_mails": 5, "activity_log": 0}
    assert objects(home, "inbox") == 1
    assert await taken(home) == {"raw_mails": 0, "activity_log": 0}
    assert await home.kinds() == []
    assert (await home.do("replay"))[-1]["kept"] == 0
    assert await home.sums() == before


async def test_archived_reports_go_and_their_rows_stay(home: Home) -> None:
    """A younger report's attachment stays; rows survive a replay although their attachment is gone."""
    await filled(home)
    age(home, 31)
    domain = await home.house.domain("example.com")
    assert domain is not None
    await home.mail(domain, report_mail("young", begin=BEGIN + DAY))
    before = await home.sums()
    await keep(home, "archived_reports", 30)
    assert await taken(home) == {"archived_reports": 5, "activity_log": 0}
    assert [row[0] for row in home.sql("SELECT count(*) FROM reports WHERE archive_taken IS NULL")] == [2]
    assert await home.kinds() == []
    result = (await home.do("replay"))[-1]
    assert (result["reports"], result["kept"]) == (2, 0)
    assert await home.sums() == before
    assert await home.kinds() == []


async def test_an_attachment_that_another_account_needs_stays(home: Home) -> None:
    """The same bytes sent to two accounts in one month are one object: it goes with the last one."""
    one, two = await home.domain("one.example", "one"), await home.domain("two.example", "two")
    for domain in (one, two):
        await home.mail(domain, report_mail("same", domain="mail.one.example"))
    home.sql("UPDATE reports SET state = 'counted'")
    assert len({key for (key,) in home.sql("SELECT object_key FROM reports")}) == 1
    age(home, 31)
    await keep(home, "archived_reports", 30, "one")
    assert (await taken(home))["archived_reports"] == 1
    assert objects(home, str(time.gmtime().tm_year)) == 1
    await keep(home, "archived_reports", 7, "two")
    assert (await taken(home))["archived_reports"] == 1
    assert objects(home, str(time.gmtime().tm_year)) == 0


async def test_records_go_by_day_and_whole_months_as_partitions(home: Home) -> None:
    """One account keeps 30 days, another everything: only the first one's old rows go, then whole months go at once."""
    today = int(time.time()) // DAY * DAY
    one, two = await home.domain("one.example", "one"), await home.domain("two.example", "two")
    for domain in (one, two):
        for days in (100, 40, 5):
            await home.mail(domain, report_mail(f"{days}", domain=domain.name, begin=today - days * DAY))
    await keep(home, "records", 30, "one")
    assert await taken(home, dry_run=True) == {"records": 4, "activity_log": 0}
    assert [row[2] for row in await home.sums()] == [2] * 6
    assert await taken(home) == {"records": 4, "activity_log": 0}
    assert [row[0] for row in await home.sums()] == ["one.example"] + ["two.example"] * 3
    assert await home.kinds() == []
    await keep(home, "records", 30, "two")
    months = "SELECT count(DISTINCT partition) AS n FROM system.parts WHERE active AND table = 'dmarc_reports'"
    before = int((await home.query(months))[0]["n"])
    assert (await taken(home))["records"] == 4
    assert [row[0] for row in await home.sums()] == ["one.example", "two.example"]
    assert int((await home.query(months))[0]["n"]) < before
    assert await home.kinds() == []
    assert (await home.do("replay"))[-1]["reports"] == 2
    assert [row[0] for row in await home.sums()] == ["one.example", "two.example"]
    await home.mail(one, report_mail("100", domain="one.example", begin=today - 100 * DAY))
    assert len(await home.sums()) == 2
    assert await home.kinds() == []


async def test_failure_reports_go_with_the_mail_that_quotes_the_message(home: Home) -> None:
    """Row, attachment and raw mail; nothing of the others."""
    await filled(home)
    age(home, 8)
    before = await home.sums(), objects(home)
    await keep(home, "failure_reports", 7)
    assert await taken(home, dry_run=True) == {"failure_reports": 1, "activity_log": 0}
    assert await taken(home) == {"failure_reports": 1, "activity_log": 0}
    assert (await home.query("SELECT count() AS n FROM failure_reports"))[0]["n"] in (0, "0")
    assert (await home.sums(), objects(home)) == (before[0], before[1] - 2)
    assert await home.kinds() == []
    assert await taken(home) == {"failure_reports": 0, "activity_log": 0}


async def test_problems_go_with_mails_that_nothing_was_read_from(home: Home) -> None:
    """The problem and its raw mail are gone, and verify does not miss it."""
    await filled(home)
    age(home, 91)
    await keep(home, "problems", 90)
    assert await taken(home) == {"problems": 1, "activity_log": 0}
    assert home.sql("SELECT count(*) FROM problems") == [(0,)]
    assert objects(home, "inbox") == 5
    assert await home.kinds() == []


async def test_data_points_go_by_their_day(home: Home) -> None:
    """One account keeps 30 days, the others and nobody the 60 of the setting; a month that all gave up goes whole."""
    home = Home(
        home.path, replace(home.house, settings=home.house.settings.model_copy(update={"retention_data_points": 60}))
    )
    one, two = await home.domain("one.example", "one"), await home.domain("two.example", "two")
    now = time.time()
    for days in (200, 59, 29):
        points = DataPoints(lambda days=days: now - days * DAY)  # type: ignore[misc]
        for owner in (DataPointOwner(one.account_id, one.id), DataPointOwner(two.account_id, two.id), DataPointOwner()):
            points.write(owner, "mine", {"blobs": [f"{days}"]})
        await PointWriter(points, home.house.analytics).flush()
    await keep(home, "data_points", 30, "one")
    left = (
        "SELECT account_id AS account, groupArray(blob1) AS days FROM"
        " (SELECT * FROM data_points ORDER BY timestamp) GROUP BY account_id"
    )
    months = "SELECT uniqExact(partition) AS n FROM system.parts WHERE active AND table = 'data_points'"
    before = int((await home.query(months))[0]["n"])

    async def told(dry_run: bool) -> dict[str, int]:
        events = await home.do("retention", dry_run=dry_run)
        return {event["account"]: event["things"] for event in events if event.get("kind") == "data_points"}

    assert await told(dry_run=True) == {"one": 2, "two": 1, "(no account)": 1}
    assert {len(row["days"]) for row in await home.query(left)} == {3}
    mutations = "SELECT countIf(is_done) AS done, count() AS n FROM system.mutations WHERE table = 'data_points'"
    assert await home.query(mutations) == [{"done": 0, "n": 0}]
    assert await told(dry_run=False) == {"one": 2, "two": 1, "(no account)": 1}
    # One for all accounts: each writes the parts anew.
    assert await home.query(mutations) == [{"done": 1, "n": 1}]
    assert {row["account"]: row["days"] for row in await home.query(left)} == {
        one.account_id: ["29"],
        two.account_id: ["59", "29"],
        NOBODY: ["59", "29"],
    }
    assert int((await home.query(months))[0]["n"]) < before
    assert await told(dry_run=False) == {"one": 0, "two": 0, "(no account)": 0}
    runs = Runs(home.house.stores.database)
    assert [(run.kind, run.things) for run in await runs.last(one.account_id)] == [("data_points", 2)]
    # Of one account alone: nobody's are not its business.
    events = await home.do("retention", account="one")
    assert {event["account"] for event in events if event.get("kind") == "data_points"} == {"one"}


async def test_each_account_has_its_own_days(home: Home) -> None:
    """A rule overrides the setting, 0 keeps for ever; unknown kinds, days and accounts are refused."""
    await filled(home)
    owner = await home.house.stores.accounts.account_by_name("default")
    rules = RetentionPeriods(home.house.stores.database, home.house.settings)
    await keep(home, "problems", 90)
    assert [(rule.kind, rule.days, rule.own) for rule in await rules.of(owner.id)] == [
        (kind, {"problems": 90, "activity_log": 30}.get(kind, 0), kind == "problems") for kind in KINDS
    ]
    with pytest.raises(UsageError, match="no kind 'mails'"):
        await rules.set(owner.id, "mails", 1)
    with pytest.raises(UsageError, match="0 \\(for ever\\) to 36500"):
        await rules.set(owner.id, "records", -1)
    with pytest.raises(NotFoundError, match="no account nobody"):
        await taken(home, account="nobody")


async def test_what_went_is_kept_and_shown(home: Home) -> None:
    """A line for each kind of which something went, newest first; a dry run and an idle run leave none."""
    await filled(home)
    age(home, 31)
    await keep(home, "raw_mails", 30)
    runs, owner = Runs(home.house.stores.database), await home.house.stores.accounts.account_by_name("default")
    inside = {path: path.stat().st_size for path in (home.path / "objects/inbox").rglob("*.eml")}
    await taken(home, dry_run=True)
    assert await runs.last(owner.id) == []
    await taken(home)
    await taken(home)
    size = sum(bytes_ for path, bytes_ in inside.items() if not path.exists())
    (raw,) = [run for run in await runs.last(owner.id) if run.kind == "raw_mails"]
    assert (raw.things, raw.bytes) == (5, size)
    assert abs(raw.time.timestamp() - time.time()) < 60
    assert raw.before[:10] == datetime.fromtimestamp(time.time() - 30 * DAY, UTC).date().isoformat()
    await keep(home, "records", 30)
    went = await taken(home)
    newest = (await runs.last(owner.id, 1))[0]
    assert (newest.kind, newest.things) == ("records", went["records"])
    assert await runs.last("0" * 32) == []
