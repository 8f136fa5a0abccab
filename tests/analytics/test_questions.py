"""Every figure equals the sum that Python makes of the same records, for one account and no other."""

from __future__ import annotations

import uuid
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmarcworks.analytics import schema
from dmarcworks.analytics.questions.all import DomainVolume, Figures, Questions
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.errors import UsageError
from dmarcworks.reports.model import AggregateReport, Policy, Reason, Record

pytestmark = pytest.mark.asyncio(loop_scope="module")

START = date(2026, 1, 30)  # days cross a month, so partitions too
FIRST, LAST = START + timedelta(days=1), START + timedelta(days=4)
DOMAINS = ("1" * 32, "2" * 32)
POLICY = Policy("example.com", None, None, "none", None, None, None, None, None, None)

Told = tuple[str, date, str | None, Record]  # domain_id, day, reporter, record


def _record(source_ip: str, count: int, disposition: str | None, dkim: str | None, spf: str | None) -> Record:
    return Record(source_ip, count, disposition, dkim, spf, (Reason("other", None),), "example.com", None, None, (), ())


records = st.builds(
    _record,
    st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1", "?'\\"]),
    st.integers(0, 2**53),
    st.sampled_from([None, "none", "quarantine", "reject", "pass"]),
    st.sampled_from([None, "pass", "fail"]),
    st.sampled_from([None, "pass", "fail"]),
)
reports = st.tuples(
    st.sampled_from(DOMAINS), st.integers(0, 6), st.sampled_from([None, "", "google.com", "O'Reilly \\ Co"]),
    st.lists(records, min_size=1, max_size=6),
)  # fmt: skip


async def _store(
    analytics: Analytics, account: str, key: str, domain_id: str, day: date, org: str | None, told: list[Record]
) -> None:
    begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    report = AggregateReport(org, None, None, key, begin, begin + 86_399, None, None, (), POLICY, tuple(told), ())
    table = schema.rows(
        report, account_id=account, domain_id=domain_id, domain="example.com", received=datetime.now(UTC),
        report_key=key, object_key="o",
    )  # fmt: skip
    await analytics.insert("dmarc_reports", table)


def _passed(record: Record) -> bool:
    return "pass" in (record.dkim_aligned, record.spf_aligned)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(reports, max_size=6))
async def test_figures_equal_the_sums_of_the_records(
    analytics: Analytics, told: list[tuple[str, int, str | None, list[Record]]]
) -> None:
    account, questions = uuid.uuid4().hex, Questions(analytics)
    inside: list[tuple[str, str, date, str, Record]] = []
    for number, (domain_id, offset, org, rows) in enumerate(told):
        key, day = f"r{number}", START + timedelta(days=offset)
        await _store(analytics, account, key, domain_id, day, org, rows)
        if FIRST <= day <= LAST:
            inside += [(key, domain_id, day, org or "", row) for row in rows]
    mine = [row for row in inside if row[1] == DOMAINS[0]]
    counted = [row[4] for row in mine]
    figures = await questions.figures(account, DOMAINS[0], FIRST, LAST)
    assert figures == Figures(
        messages=sum(r.count for r in counted),
        passed=sum(r.count for r in counted if _passed(r)),
        failed=sum(r.count for r in counted if not _passed(r)),
        dkim_aligned=sum(r.count for r in counted if r.dkim_aligned == "pass"),
        spf_aligned=sum(r.count for r in counted if r.spf_aligned == "pass"),
        quarantined=sum(r.count for r in counted if r.disposition == "quarantine"),
        rejected=sum(r.count for r in counted if r.disposition == "reject"),
        sources=len({r.source_ip for r in counted}),
        reports=len({row[0] for row in mine}),
        reporters=len({row[3] for row in mine}),
    )
    days = await questions.volume_by_day(account, DOMAINS[0], FIRST, LAST)
    assert [day.day for day in days] == sorted({row[2] for row in mine})
    for day in days:
        of_day = [row for row in mine if row[2] == day.day]
        assert day.messages == sum(row[4].count for row in of_day) == day.passed + day.failed
        assert day.reports == len({row[0] for row in of_day})
        assert day.quarantined == sum(row[4].count for row in of_day if row[4].disposition == "quarantine")
    domains = await questions.domains(account, FIRST, LAST)
    assert set(domains) == {row[1] for row in inside}
    for domain_id, volume in domains.items():
        daily: dict[date, list[int]] = defaultdict(lambda: [0, 0])
        for row in (row for row in inside if row[1] == domain_id):
            daily[row[2]][0] += row[4].count
            daily[row[2]][1] += row[4].count if _passed(row[4]) else 0
        assert volume == DomainVolume(
            messages=sum(values[0] for values in daily.values()),
            passed=sum(values[1] for values in daily.values()),
            reports=len({row[0] for row in inside if row[1] == domain_id}),
            last_day=max(daily),
            daily=tuple((day, *daily[day]) for day in sorted(daily)),
        )
    page = await questions.sources(account, DOMAINS[0], FIRST, LAST, limit=100)
    by_source: dict[str, int] = defaultdict(int)
    for record in counted:
        by_source[record.source_ip] += record.count
    assert [(row.source_ip, row.messages) for row in page.rows] == sorted(
        by_source.items(), key=lambda x: (-x[1], x[0])
    )
    assert page.total == len(by_source)
    reporters = await questions.reporters(account, DOMAINS[0], FIRST, LAST)
    assert sum(row.messages for row in reporters) == figures.messages
    assert {row.org_name for row in reporters} == {row[3] for row in mine}
    found = await questions.records(account, domain_id=DOMAINS[0], first=FIRST, last=LAST, limit=3)
    assert (found.total, found.messages, len(found.rows)) == (len(mine), figures.messages, min(3, len(mine)))


@pytest.fixture(scope="module")
def account() -> str:
    return uuid.uuid4().hex


async def test_sources_by_order_page_day_and_result(analytics: Analytics, account: str) -> None:
    day = date(2026, 2, 1)
    told = [
        _record("192.0.2.1", 10, "none", "pass", "fail"),
        _record("192.0.2.2", 30, "reject", "fail", "fail"),
        _record("192.0.2.3", 20, "quarantine", "fail", None),
        _record("192.0.2.3", 5, "none", "pass", "pass"),
    ]
    await _store(analytics, account, "s", DOMAINS[0], day, "google.com", told)
    questions = Questions(analytics)

    async def ask(**options: object) -> tuple[list[tuple[str, int]], int]:
        page = await questions.sources(account, DOMAINS[0], day, day, **options)  # type: ignore[arg-type]
        return [(row.source_ip, row.messages) for row in page.rows], page.total

    assert await ask() == ([("192.0.2.2", 30), ("192.0.2.3", 25), ("192.0.2.1", 10)], 3)
    assert await ask(descending=False, limit=1) == ([("192.0.2.1", 10)], 3)
    assert await ask(order="source_ip", descending=False, limit=2, offset=1) == (
        [("192.0.2.2", 30), ("192.0.2.3", 25)],
        3,
    )
    assert await ask(result="pass") == ([("192.0.2.1", 10), ("192.0.2.3", 5)], 2)
    assert await ask(result="reject") == ([("192.0.2.2", 30)], 1)
    assert await ask(day=day + timedelta(days=1)) == ([], 0)
    assert await ask(offset=50) == ([], 3)
    assert await ask(order="dkim_aligned", limit=1) == ([("192.0.2.1", 10)], 3)
    with pytest.raises(UsageError, match="no order"):
        await ask(order="messages; DROP TABLE dmarc_reports")
    with pytest.raises(UsageError, match="no result"):
        await ask(result="' OR 1 = 1")


async def test_records_of_a_report_stand_in_its_order_and_a_strangers_text_is_only_text(
    analytics: Analytics, account: str
) -> None:
    questions = Questions(analytics)
    page = await questions.records(account, report_key="s")
    assert [(row.record_index, row.source_ip, row.count, row.dmarc) for row in page.rows] == [
        (0, "192.0.2.1", 10, "pass"), (1, "192.0.2.2", 30, "fail"), (2, "192.0.2.3", 20, "fail"),
        (3, "192.0.2.3", 5, "pass"),
    ]  # fmt: skip
    assert (page.total, page.messages, page.rows[0].org_name) == (4, 65, "google.com")
    assert page.rows[0].reasons == ({"type": "other", "comment": None},)
    for hostile in ("' OR 1=1 --", "\\", "\\'", "{x:String}", "\x00", "\n\t", "é" * 300):
        assert (await questions.records(account, source_ip=hostile)).total == 0
    assert (await questions.records(account, source_ip="192.0.2.3")).messages == 25


async def test_another_account_reads_nothing_of_it(analytics: Analytics, account: str) -> None:
    other, questions = uuid.uuid4().hex, Questions(analytics)
    span = (date(2000, 1, 1), date(2200, 1, 1))
    assert await questions.volume_by_day(other, DOMAINS[0], *span) == ()
    assert await questions.figures(other, DOMAINS[0], *span) == Figures(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    assert await questions.domains(other, *span) == {}
    assert (await questions.sources(other, DOMAINS[0], *span)).total == 0
    assert await questions.reporters(other, DOMAINS[0], *span) == ()
    assert (await questions.records(other, report_key="s")).total == 0
    assert (await questions.figures(account, DOMAINS[0], *span)).messages == 65
