"""Each question's answer equals what Python makes of the same records; the daily sums answer as the rows would."""

# ruff: noqa: E501 - what is expected stands in one piece

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from dmarcworks.analytics import schema
from dmarcworks.analytics.questions.all import (
    DispositionVolume,
    FailureDay,
    FailureSource,
    Questions,
    ReasonVolume,
    Seen,
    TlsDay,
    TlsFailureVolume,
    TlsPolicyVolume,
)
from dmarcworks.bindings.contracts import Analytics
from tests.support.analytics_samples import FORCED, NEVER
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

START = date(2026, 1, 20)
FIRST, LAST = date(2026, 1, 25), date(2026, 2, 20)
DOMAINS = ("1" * 32, "2" * 32, "3" * 32)
ALL = (date(2011, 1, 1), date(2100, 1, 1))
# An address that no report names before February the 5th.
LATE = ["198.51.100.9"]


class Row(NamedTuple):
    """A row of `dmarc_reports` as the test knows it."""

    domain_id: str
    day: date
    report_key: str
    record_index: int
    org_name: str | None
    source_ip: str
    count: int
    disposition: str | None
    dkim_aligned: str | None
    spf_aligned: str | None
    p: str | None
    country: str | None
    sender: str | None
    header_from: str | None
    reasons: tuple[tuple[str | None, str | None], ...]
    dkim: tuple[tuple[str | None, str | None, str | None], ...]

    @property
    def passed(self) -> bool:
        return "pass" in (self.dkim_aligned, self.spf_aligned)


def made(seed: int, reports: int = 120) -> list[Row]:
    """Reports of one to six records, on some forty days over two months, about three domains."""
    dice = random.Random(seed)
    rows = []
    for number in range(reports):
        head = (dice.choice(DOMAINS), START + timedelta(days=dice.randrange(40)), f"{seed}-{number}")
        org, policy = dice.choice([None, "", "google.com", "Yahoo", "O'Hara \\"]), dice.choice([None, "none", "reject"])
        for index in range(dice.randint(1, 6)):
            rows.append(
                Row(
                    *head,
                    index,
                    org,
                    dice.choice(["192.0.2.1", "192.0.2.2", "2001:db8::1", "?'", *LATE[head[1] < date(2026, 2, 5) :]]),
                    dice.choice([0, 1, 7, 1000, 2**40]),
                    dice.choice([None, "none", "quarantine", "reject"]),
                    dice.choice([None, "pass", "fail"]),
                    dice.choice([None, "pass", "fail"]),
                    policy,
                    dice.choice([None, "DE", "US"]),
                    dice.choice([None, "Own", "Mailer"]),
                    dice.choice([None, "example.com", "a.example.com"]),
                    tuple(dice.choices([("other", None), ("forwarded", "x"), (None, None)], k=dice.randrange(3))),
                    tuple(
                        dice.choices(
                            [("a.org", "s1", "pass"), ("a.org", "s2", "fail"), (None, None, None)], k=dice.randrange(3)
                        )
                    ),
                )
            )
    return rows


def table(account: str, rows: Iterable[Row]) -> pa.Table:
    """The rows in the table's columns; what the test does not know is constant."""
    found = list(rows)
    arrays = []
    for column in schema.DMARC_REPORTS.columns:
        if column.name in Row._fields:
            values: list[Any] = [getattr(row, column.name) for row in found]
            names = {"reasons": ("type", "comment"), "dkim": ("domain", "selector", "result")}.get(column.name)
            if names:
                values = [[dict(zip(names, one, strict=True)) for one in value] for value in values]
        elif column.name == "dmarc":
            values = ["pass" if row.passed else "fail" for row in found]
        elif column.name == "received":
            values = [datetime(2026, 3, 1, tzinfo=UTC)] * len(found)
        elif pa.types.is_list(column.arrow):
            values = [[]] * len(found)
        else:
            constant = account if column.name == "account_id" else 0 if pa.types.is_int64(column.arrow) else "x"
            values = [None if column.type.find("Nullable") >= 0 else constant] * len(found)
        arrays.append(pa.array(values, column.arrow))
    return pa.Table.from_arrays(arrays, schema=schema.DMARC_REPORTS.schema)


async def store(analytics: Analytics, rows: list[Row]) -> str:
    """A fresh account with the rows, a report at a time as the worker does (some together); its id."""
    account = uuid.uuid4().hex
    for start in range(0, len(rows), 97):
        await analytics.insert("dmarc_reports", table(account, rows[start : start + 97]))
    return account


def inside(rows: list[Row], domains: Any, first: date = FIRST, last: date = LAST) -> list[Row]:
    wanted = DOMAINS if domains is None else (domains,) if isinstance(domains, str) else domains
    return [row for row in rows if row.domain_id in wanted and first <= row.day <= last]


def sums(rows: list[Row]) -> dict[str, int]:
    """Messages by result."""
    return {
        "messages": sum(row.count for row in rows),
        "passed": sum(row.count for row in rows if row.passed),
        "dkim_aligned": sum(row.count for row in rows if row.dkim_aligned == "pass"),
        "spf_aligned": sum(row.count for row in rows if row.spf_aligned == "pass"),
        "quarantined": sum(row.count for row in rows if row.disposition == "quarantine"),
        "rejected": sum(row.count for row in rows if row.disposition == "reject"),
    }


def grouped(rows: list[Row], key: Any) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def days_of(rows: list[Row]) -> dict[str, date]:
    return {"first_day": min(row.day for row in rows), "last_day": max(row.day for row in rows)}


def by_messages(groups: dict[Any, list[Row]]) -> list[tuple[Any, list[Row]]]:
    return sorted(groups.items(), key=lambda item: (-sum(row.count for row in item[1]), item[0]))


SCOPES = [None, DOMAINS[0], [DOMAINS[0], DOMAINS[2]], []]


@pytest.mark.parametrize("domains", SCOPES, ids=["account", "one", "two", "none"])
@pytest.mark.parametrize("seed", [1, 2])
async def test_every_aggregate_question_is_exact(analytics: Analytics, domains: Any, seed: int) -> None:
    rows = made(seed)
    account = await store(analytics, rows)
    ask, found = Questions(analytics), inside(rows, domains)
    scope = (account, domains, FIRST, LAST)

    figures = await ask.figures(*scope)
    expected = sums(found)
    assert {name: getattr(figures, name) for name in expected} == expected
    assert figures.failed == expected["messages"] - expected["passed"]
    assert (figures.sources, figures.reports, figures.reporters) == (
        len({row.source_ip for row in found}), len({row.report_key for row in found}), len({row.org_name or "" for row in found}),
    )  # fmt: skip

    days = grouped(found, lambda row: row.day)
    volume = await ask.volume_by_day(*scope)
    assert [(v.day, v.messages, v.passed, v.failed, v.quarantined, v.rejected, v.reports) for v in volume] == [
        (day, (s := sums(days[day]))["messages"], s["passed"], s["messages"] - s["passed"], s["quarantined"],
         s["rejected"], len({row.report_key for row in days[day]}))
        for day in sorted(days)
    ]  # fmt: skip

    whole = await ask.domains(account, FIRST, LAST, domains)
    assert {key: (v.messages, v.passed, v.reports, v.last_day) for key, v in whole.items()} == {
        key: (
            sums(group)["messages"],
            sums(group)["passed"],
            len({r.report_key for r in group}),
            max(r.day for r in group),
        )
        for key, group in grouped(found, lambda row: row.domain_id).items()
    }

    reporters = await ask.reporters(*scope)
    assert [(r.org_name, r.reports, r.messages, r.passed) for r in reporters] == [
        (org, len({row.report_key for row in group}), sums(group)["messages"], sums(group)["passed"])
        for org, group in by_messages(grouped(found, lambda row: row.org_name or ""))
    ]

    sources = by_messages(grouped(found, lambda row: row.source_ip))
    for order in ("messages", "passed"):
        page = await ask.sources(*scope, order=order, limit=100)
        assert page.total == len(sources)
        assert {
            s.source_ip: (s.messages, s.passed, s.dkim_aligned, s.spf_aligned, s.quarantined, s.rejected, s.reporters, s.first_day, s.last_day)
            for s in page.rows
        } == {
            ip: (*sums(group).values(), len({row.org_name or "" for row in group}), *days_of(group).values()) for ip, group in sources
        }  # fmt: skip
    assert [s.source_ip for s in (await ask.sources(*scope)).rows] == [ip for ip, _ in sources]

    for question, key in (
        (ask.countries, lambda r: r.country or ""),
        (ask.header_froms, lambda r: r.header_from or ""),
    ):
        slices = await question(*scope)
        groups = by_messages(grouped(found, key))
        assert slices.total == len(groups)
        assert [(s.name, s.messages, s.failed, s.sources, s.first_day, s.last_day) for s in slices.rows] == [
            (
                name,
                sums(g)["messages"],
                sums(g)["messages"] - sums(g)["passed"],
                len({r.source_ip for r in g}),
                *days_of(g).values(),
            )
            for name, g in groups
        ]

    senders = await ask.senders(*scope)
    assert [(s.sender, s.messages, s.rejected, s.sources) for s in senders] == [
        (name, sums(group)["messages"], sums(group)["rejected"], len({row.source_ip for row in group}))
        for name, group in by_messages(grouped(found, lambda row: row.sender or ""))
    ]

    signed = grouped([], None)
    for row in found:
        for one in row.dkim:
            signed[one[0] or "", one[1] or ""].append((row, one[2]))  # type: ignore[arg-type]
    selectors = await ask.selectors(*scope)
    assert {(s.domain, s.selector): (s.messages, s.valid, s.aligned, s.first_day, s.last_day) for s in selectors} == {
        key: (
            sum(row.count for row, _ in group),  # type: ignore[misc]
            sum(row.count for row, result in group if result == "pass"),  # type: ignore[misc]
            sum(row.count for row, result in group if result == "pass" and row.dkim_aligned == "pass"),  # type: ignore[misc]
            min(row.day for row, _ in group),  # type: ignore[misc]
            max(row.day for row, _ in group),  # type: ignore[misc]
        )
        for key, group in signed.items()
    }

    assert list(await ask.dispositions(*scope)) == [
        DispositionVolume(name, sums(group)["messages"], sums(group)["passed"])
        for name, group in by_messages(grouped(found, lambda row: row.disposition or ""))
    ]
    why: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in found:
        for kind, comment in row.reasons:
            why[kind or "", comment or ""].append(row)
    assert list(await ask.reasons(*scope)) == [
        ReasonVolume(*key, sums(group)["messages"], sums(group)["messages"] - sums(group)["passed"])
        for key, group in by_messages(why)
    ]
    effects = await ask.policy_effect(*scope)
    assert {e.p: (e.messages, e.passed, e.quarantined, e.rejected, e.failed_through, e.first_day, e.last_day) for e in effects} == {
        p: ((s := sums(g))["messages"], s["passed"], s["quarantined"], s["rejected"],
            sum(r.count for r in g if not r.passed and r.disposition not in ("quarantine", "reject")), *days_of(g).values())
        for p, g in grouped(found, lambda row: row.p or "").items()
    }  # fmt: skip

    since = date(2026, 2, 5)
    history = inside(rows, domains, *ALL)
    fresh = [ip for ip, g in by_messages(grouped(history, lambda r: r.source_ip)) if days_of(g)["first_day"] >= since]
    assert [s.source_ip for s in (await ask.new_sources(account, domains, since)).rows] == fresh
    assert domains is not None or fresh == LATE
    fresh = [
        name for name, g in by_messages(grouped(history, lambda r: r.sender or "")) if days_of(g)["first_day"] >= since
    ]
    assert [s.sender for s in await ask.new_senders(account, domains, since)] == fresh
    mine = [row for row in history if row.source_ip == "192.0.2.1"]
    seen = await ask.source_seen(account, domains, "192.0.2.1")
    assert seen == (Seen(*days_of(mine).values(), sum(row.count for row in mine)) if mine else None)
    change = await ask.change(*scope)
    assert change.current == figures
    assert (
        change.before.messages == sums(inside(rows, domains, FIRST - timedelta(27), FIRST - timedelta(1)))["messages"]
    )


async def both(analytics: Analytics, account: str) -> None:
    """The questions over long ranges, from the daily sums alone, answer what the rows themselves answer."""
    for domains in SCOPES[:3]:
        scope = (account, domains, FIRST, LAST)
        assert await Questions(analytics, FORCED).volume_by_day(*scope) == await Questions(
            analytics, NEVER
        ).volume_by_day(*scope)
        assert await Questions(analytics, FORCED).reporters(*scope) == await Questions(analytics, NEVER).reporters(
            *scope
        )
        first = await Questions(analytics, FORCED).domains(account, FIRST, LAST, domains)
        assert first == await Questions(analytics, NEVER).domains(account, FIRST, LAST, domains)
        assert await Questions(analytics).figures(*scope) == await Questions(analytics, NEVER).figures(*scope)


async def test_pages_of_records_are_one_after_the_other(analytics: Analytics) -> None:
    """However long a page is, all of them in turn are the records in order, and past the end there is none."""
    rows, account, ask = made(17, 30), uuid.uuid4().hex, Questions(analytics)
    await analytics.insert("dmarc_reports", table(account, rows))
    inside = [row for row in rows if FIRST <= row.day <= LAST]
    ordered = sorted(inside, key=lambda row: (-row.day.toordinal(), row.report_key, row.record_index))
    expected = [(row.day, row.report_key, row.record_index, row.count) for row in ordered]
    assert len({row.day for row in inside}) > 10
    for limit in (1, 3, 7, 1000):
        found: list[Any] = []
        for offset in range(0, len(expected) + limit, limit):
            page = await ask.records(account, first=FIRST, last=LAST, limit=limit, offset=offset)
            assert (page.total, page.messages) == (len(expected), sum(row.count for row in inside))
            assert len(page.rows) <= limit
            found += [(row.day, row.report_key, row.record_index, row.count) for row in page.rows]
        assert found == expected


async def test_the_daily_sums_follow_inserts_merges_deletes_and_partitions(analytics: Analytics) -> None:
    rows = made(7, 60)
    account = await store(analytics, rows)
    await both(analytics, account)
    await analytics.execute("OPTIMIZE TABLE dmarc_reports FINAL")
    await both(analytics, account)
    total = (await Questions(analytics).figures(account, None, *ALL)).messages
    assert total == sum(row.count for row in rows)
    # A replay of one report: its rows go, and come again.
    gone = rows[0].report_key
    await analytics.execute(f"DELETE FROM dmarc_reports WHERE account_id = '{account}' AND report_key = '{gone}'")
    await both(analytics, account)
    without = (await Questions(analytics).figures(account, None, *ALL)).messages
    assert without == total - sum(row.count for row in rows if row.report_key == gone)
    await analytics.insert("dmarc_reports", table(account, [row for row in rows if row.report_key == gone]))
    await both(analytics, account)
    assert (await Questions(analytics).figures(account, None, *ALL)).messages == total
    # A rebuild beside it, and the swap.
    fresh = schema.DMARC_REPORTS.named("dmarc_reports_next")
    await analytics.execute(fresh.create)
    await analytics.execute("ALTER TABLE dmarc_reports_next ATTACH PARTITION 202601 FROM dmarc_reports")
    await analytics.execute("ALTER TABLE dmarc_reports_next ATTACH PARTITION 202602 FROM dmarc_reports")
    await analytics.execute("EXCHANGE TABLES dmarc_reports AND dmarc_reports_next")
    await both(analytics, account)
    assert (await Questions(analytics).figures(account, None, *ALL)).messages == total
    await analytics.execute("ALTER TABLE dmarc_reports DROP PARTITION 202601")
    await both(analytics, account)
    left = sum(row.count for row in rows if row.day.month == 2)
    assert (await Questions(analytics).figures(account, None, *ALL)).messages == left
    await analytics.execute("EXCHANGE TABLES dmarc_reports AND dmarc_reports_next")
    await analytics.execute("DROP TABLE dmarc_reports_next")
    assert (await Questions(analytics).figures(account, None, *ALL)).messages == total


async def test_a_store_of_the_first_version_gets_the_daily_sums(analytics: Analytics) -> None:
    """What was stored before is summed too, and the table ends as a fresh one is."""
    before = schema.DMARC_REPORTS.create.replace(f",\n    {schema.DAILY.ddl()}", "").replace(
        f", {schema.REBUILD}, {schema.QUIET}, {schema.GATHER}", ""
    )
    before = before.replace(schema.ADDRESS.ddl(), "`source_ip` String CODEC(ZSTD)")
    assert "LZ4HC" not in before
    assert "PROJECTION" not in before
    rows = made(9, 40)
    await analytics.execute("RENAME TABLE dmarc_reports TO kept")
    await analytics.execute("TRUNCATE TABLE schema_versions")
    await analytics.execute(before)
    account = await store(analytics, rows)
    assert await schema.migrate(analytics) == 10
    await analytics.execute(
        f"ALTER TABLE dmarc_reports MATERIALIZE PROJECTION {schema.DAILY.name} SETTINGS mutations_sync = 2"
    )
    await both(analytics, account)
    made_now = await analytics.query(
        "SELECT create_table_query FROM system.tables WHERE name = 'dmarc_reports'", format="RawBLOB"
    )
    fresh = await analytics.query("SELECT create_table_query FROM system.tables WHERE name = 'kept'", format="RawBLOB")
    # The order of settings is all that may differ.
    texts = [text.decode().replace("dmarcworks.kept", "dmarcworks.dmarc_reports") for text in (made_now, fresh)]
    assert sorted(texts[0].split(", ")) == sorted(texts[1].split(", "))
    await analytics.execute("DROP TABLE dmarc_reports")
    await analytics.execute("RENAME TABLE kept TO dmarc_reports")


async def test_a_quiet_month_becomes_one_part(analytics: Analytics) -> None:
    """The engine merges by itself what nothing was added to for a while, however different the parts are in size."""
    quiet = schema.DMARC_REPORTS.named("quiet")
    within = quiet.create.replace(schema.QUIET, schema.QUIET.replace("86400", "1"))
    assert within != quiet.create
    await analytics.execute(within)
    rows = [row for row in made(21, 400) if row.day.month == 2]
    for some in (rows[:-1], rows[-1:]):
        await analytics.insert("quiet", table("a" * 32, some))
    parts = "SELECT groupArray(rows) FROM system.parts WHERE active AND table = 'quiet'"

    async def merged() -> bool:
        return await analytics.query(parts, format="TabSeparated") == f"[{len(rows)}]\n".encode()

    await wait_until(merged, "one part", 60)
    await analytics.execute("DROP TABLE quiet SYNC")


async def test_a_store_with_points_of_nobody_keeps_them(analytics: Analytics) -> None:
    """What workers wrote when points belonged to nobody is nobody's; the table ends as a fresh one is; once more is no
    harm, nor is a start after a crash half-way."""
    blobs, doubles = (
        ", ".join(f"{name}{n} {kind}" for n in range(1, 21))
        for name, kind in (("blob", "String"), ("double", "Float64"))
    )
    statement = "SELECT create_table_query FROM system.tables WHERE name = 'data_points'"
    fresh = await analytics.query(statement, format="RawBLOB")
    await analytics.execute("DROP TABLE data_points SYNC")
    await analytics.execute(
        "CREATE TABLE data_points (dataset LowCardinality(String), timestamp DateTime64(3, 'UTC'), _sample_interval UInt32,"
        f" index1 String, {blobs}, {doubles}) ENGINE = MergeTree PARTITION BY toYYYYMM(timestamp) ORDER BY (dataset, timestamp)"
    )
    await analytics.execute(
        "INSERT INTO data_points (dataset, timestamp, _sample_interval, index1, blob2, double20)"
        " VALUES ('mine', '2026-01-31 23:59:59.999', 1, 'i', 'b', 2.5), ('mine', '2026-02-01 00:00:00', 1, '', '', 0)"
    )
    for _ in range(2):
        await analytics.execute("ALTER TABLE schema_versions DELETE WHERE version >= 4 SETTINGS mutations_sync = 2")
        await analytics.execute(f"CREATE TABLE IF NOT EXISTS data_points_new AS {schema.DATA_POINTS.name}")
        assert await schema.migrate(analytics) == 10
        assert await analytics.query(statement, format="RawBLOB") == fresh
        rows = await analytics.query(
            "SELECT account_id, domain_id, dataset, timestamp, _sample_interval, index1, blob2, double20 FROM data_points"
            " ORDER BY timestamp",
            format="TabSeparated",
        )
        assert rows.decode().splitlines() == [
            "0" * 32 + "\t\tmine\t2026-01-31 23:59:59.999\t1\ti\tb\t2.5",
            "0" * 32 + "\t\tmine\t2026-02-01 00:00:00.000\t1\t\t\t0",
        ]
    left = await analytics.query(
        "SELECT count() FROM system.tables WHERE name = 'data_points_new'", format="TabSeparated"
    )
    assert left == b"0\n"
    await analytics.execute("TRUNCATE TABLE data_points")


def other(name: str, rows: list[dict[str, Any]], account: str) -> pa.Table:
    """Rows of the TLS or failure table; what is not given is NULL, empty or "x"."""
    fields = schema.TABLES[name].columns
    base: dict[str, Any] = {"account_id": account, "domain_id": DOMAINS[0], "domain": "example.com", "report_id": "x", "object_key": "x", "begin": 0, "end": 0, "record_index": 0, "received": datetime(2026, 3, 1, tzinfo=UTC)}  # fmt: skip
    return pa.table(
        {
            c.name: pa.array(
                [(base | row).get(c.name, [] if pa.types.is_list(c.arrow) else None) for row in rows], c.arrow
            )
            for c in fields
        }
    )


async def test_tls_questions_are_exact(analytics: Analytics) -> None:
    account, day, later = uuid.uuid4().hex, date(2026, 1, 31), date(2026, 2, 1)
    expired = {"result_type": "certificate-expired", "receiving_mx_hostname": "mx1.example.com", "failed_sessions": 3}
    nameless = {"result_type": None, "receiving_mx_hostname": None, "failed_sessions": None}
    told = [
        {"day": day, "report_key": "a", "policy_type": "sts", "policy_domain": "example.com", "successful_sessions": 10, "failed_sessions": 3, "failures": [expired, nameless]},
        {"day": day, "report_key": "a", "record_index": 1, "policy_type": "tlsa", "policy_domain": "example.com", "successful_sessions": 5, "failed_sessions": None},
        {"day": later, "report_key": "b", "policy_type": "sts", "policy_domain": "example.com", "successful_sessions": 1, "failed_sessions": 2, "failures": [expired]},
        {"day": later, "report_key": "c", "domain_id": DOMAINS[1], "successful_sessions": None, "failed_sessions": 7},
    ]  # fmt: skip
    await analytics.insert("tls_reports", other("tls_reports", told, account))
    ask = Questions(analytics)
    assert await ask.tls_by_day(account, None, *ALL) == (TlsDay(day, 15, 3, 1), TlsDay(later, 1, 9, 2))
    assert await ask.tls_by_day(account, DOMAINS[0], *ALL) == (TlsDay(day, 15, 3, 1), TlsDay(later, 1, 2, 1))
    assert await ask.tls_by_policy(account, None, *ALL) == (
        TlsPolicyVolume("", "", 0, 7, 1, later, later),
        TlsPolicyVolume("sts", "example.com", 11, 5, 2, day, later),
        TlsPolicyVolume("tlsa", "example.com", 5, 0, 1, day, day),
    )
    assert await ask.tls_failures(account, None, *ALL) == (
        TlsFailureVolume("certificate-expired", "mx1.example.com", 6, 2, day, later),
        TlsFailureVolume("", "", 0, 1, day, day),
    )
    assert await ask.tls_failures(account, DOMAINS[1], *ALL) == ()


async def test_failure_questions_are_exact(analytics: Analytics) -> None:
    account, day, later = uuid.uuid4().hex, date(2026, 1, 31), date(2026, 2, 1)
    told = [
        {"day": day, "report_key": "a", "source_ip": "192.0.2.1", "incidents": 4, "auth_failure": "dmarc"},
        {"day": later, "report_key": "b", "source_ip": "192.0.2.1", "incidents": None, "auth_failure": "spf"},
        {"day": later, "report_key": "c", "source_ip": None, "incidents": 0, "auth_failure": None},
    ]
    await analytics.insert("failure_reports", other("failure_reports", told, account))
    ask = Questions(analytics)
    assert await ask.failures_by_day(account, DOMAINS[0], *ALL) == (FailureDay(day, 1, 4), FailureDay(later, 2, 1))
    assert await ask.failures_by_source(account, None, *ALL) == (
        FailureSource("192.0.2.1", 2, 5, ("dmarc", "spf"), day, later),
        FailureSource("", 1, 0, (), later, later),
    )
    assert await ask.failures_by_day(account, DOMAINS[1], *ALL) == ()
