"""TLS and failure reports go the whole way: archived, noted, in their own tables, counted once and in no DMARC figure.

Of the message that a failure report quotes only what the setting allows is kept, in no object under the home.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from typing import Any

import pytest

from dmarcworks.errors import QueryError, StoreError
from dmarcworks.reports.model import FailureReport
from dmarcworks.reports.read import read_mail
from tests.support.failures import BEGIN, DAY, SECRET, arf, text_form, tls, tls_mail
from tests.support.harness import Harness
from tests.support.ingesting import system_consumer
from tests.support.mails import mail, report_mail

pytestmark = pytest.mark.asyncio(loop_scope="package")


def keeping(harness: Harness, mode: str) -> None:
    """Choose what is kept of a reported message."""
    harness.env = dataclasses.replace(harness.env, failure_originals=mode)
    harness.consumer = system_consumer(harness.env)


async def stored(harness: Harness, what: str, table: str) -> list[dict[str, Any]]:
    answer = await harness.env.analytics.query(
        f"SELECT {what} FROM {table} WHERE domain_id = {{d:String}} ORDER BY report_key, record_index",
        {"d": harness.domain.id},
    )
    return [json.loads(line) for line in answer.splitlines()]


async def count(harness: Harness, table: str) -> int:
    return len(await stored(harness, "report_key", table))


def on_disk(harness: Harness, text: bytes) -> list[str]:
    """The files under the home that hold the text."""
    files = (path for path in harness.path.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(harness.path)) for path in files if text in path.read_bytes())


async def test_a_tls_report_is_processed_end_to_end(harness: Harness) -> None:
    """Its row in the catalogue, its policies in tls_reports, and not one message more in the figures."""
    await harness.mail(tls_mail(domains=("example.com", "mail.example.com")))
    await harness.mail(report_mail("1"))
    await harness.settle()
    assert await harness.total() == (1, 2, 5)
    row = next(row for row in await harness.env.arrivals.reports(harness.domain.account_id) if row.kind == "tls")
    assert (row.org_name, row.org_email, row.policy_domain) == ("Mail X", "tls@mail.example", "example.com")
    assert (row.report_id, row.begin, row.end) == ("t-1", BEGIN, BEGIN + DAY - 1)
    assert (row.records, row.messages, row.state, row.published) == (2, 14, "counted", True)
    assert await harness.env.objects.get(row.object_key) == tls(domains=("example.com", "mail.example.com"))
    what = (
        "report_id, record_index, policy_domain, successful_sessions AS s, failed_sessions AS f, length(failures) AS n"
    )
    assert [tuple(found.values()) for found in await stored(harness, what, "tls_reports")] == [
        ("t-1", 0, "example.com", 5, 2, 1),
        ("t-1", 1, "mail.example.com", 5, 2, 1),
    ]
    days = await harness.env.arrivals.days(
        harness.domain.account_id, harness.domain.id, date(2026, 9, 1), date(2026, 9, 30)
    )
    assert [(day.day, day.reports, day.messages) for day in days] == [(date(2026, 9, 22), 1, 5)]
    assert await harness.problem_reasons() == []


async def test_a_failure_report_is_processed_end_to_end(harness: Harness) -> None:
    """Who, about what and when stand in the catalogue and in failure_reports; it is no DMARC figure."""
    await harness.mail(arf())
    await harness.settle()
    (row,) = await harness.env.arrivals.reports(harness.domain.account_id)
    moment = BEGIN + DAY // 2
    assert (row.kind, row.org_name, row.policy_domain) == ("failure", "mx.mail.example", "example.com")
    assert (row.begin, row.end, row.records, row.messages) == (moment, moment, 1, 1)
    assert (row.state, row.published) == ("counted", True)
    what = "report_key, object_key, begin, source_ip, auth_failure, delivery_result, header_from, subject, message_id"
    assert await stored(harness, what, "failure_reports") == [
        {
            "report_key": row.key, "object_key": row.object_key, "begin": moment, "source_ip": "192.0.2.1",
            "auth_failure": "dmarc", "delivery_result": "reject", "header_from": "example.com",
            "subject": "private subject 1", "message_id": "<1@x.example>",
        }
    ]  # fmt: skip
    assert await harness.total() == (0, 0, 0)
    account, domain = harness.domain.account_id, harness.domain.id
    assert await harness.env.arrivals.days(account, domain, date(2026, 9, 1), date(2026, 9, 30)) == []
    assert await harness.env.arrivals.newest_day(account, domain) is None


async def test_reports_about_another_domain_count_nowhere(harness: Harness) -> None:
    """A failure about another, a TLS report of which all policies are about others: kept and listed, in no table."""
    await harness.mail(arf(domain="example.org"))
    await harness.mail(tls_mail(domains=("notexample.com", "example.org")))
    await harness.settle()
    assert await harness.problem_reasons() == ["other_domain", "other_domain"]
    details = [row.detail for row in await harness.env.problems.list(harness.domain.account_id)]
    assert any(
        detail.startswith("The report is about notexample.com, its address is for example.com.") for detail in details
    )
    assert (await count(harness, "tls_reports"), await count(harness, "failure_reports")) == (0, 0)
    assert {row.state for row in await harness.env.arrivals.reports(harness.domain.account_id)} == {"foreign"}


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_around_an_insert_counts_every_kind_once(harness: Harness, when: str) -> None:
    """Three kinds in one mail, the store fails at an insert: after the redelivery each is there exactly once."""
    other = mail(("t.json", tls("t-2")), ("a.xml", b""))
    await harness.mail(report_mail("1"))
    await harness.mail(tls_mail())
    await harness.mail(arf())
    await harness.mail(other)
    getattr(harness.analytics, when)["insert"] = [StoreError("power cut"), StoreError("power cut")]
    await harness.process_batch()
    await harness.settle()
    assert await harness.total() == (1, 2, 5)
    assert (await count(harness, "tls_reports"), await count(harness, "failure_reports")) == (2, 1)
    assert all(row.published for row in await harness.env.arrivals.reports(harness.domain.account_id))


async def test_a_table_that_refuses_does_not_double_the_others(harness: Harness) -> None:
    """The second insert of a batch is refused: what went in with the first is not put in again, mail by mail."""
    await harness.mail(report_mail("1"))
    await harness.mail(tls_mail())
    await harness.mail(arf())
    real = harness.analytics._inner.insert
    refused = [0]

    async def insert(table: str, rows: Any) -> None:
        if table == "tls_reports" and refused[0] < 2:
            refused[0] += 1
            raise QueryError("refused")
        await real(table, rows)

    harness.analytics.insert = insert  # type: ignore[attr-defined]
    await harness.process_batch()
    assert (await harness.total(), await count(harness, "failure_reports")) == ((1, 2, 5), 1)
    await harness.settle()
    assert await harness.total() == (1, 2, 5)
    assert (await count(harness, "tls_reports"), await count(harness, "failure_reports")) == (1, 1)


@pytest.mark.parametrize(
    "raw", [arf(), arf(kind="text/rfc822-headers"), text_form()], ids=["arf", "as headers", "text"]
)
@pytest.mark.parametrize("mode", ["keep", "headers", "drop"])
async def test_only_what_the_setting_allows_is_kept(harness: Harness, raw: bytes, mode: str) -> None:
    """By default the body is in no file under the home, with drop the headers neither; with keep all is as it came."""
    keeping(harness, mode)
    await harness.mail(raw)
    assert len(on_disk(harness, SECRET)) == 1
    await harness.settle()
    (row,) = await harness.env.arrivals.reports(harness.domain.account_id)
    (inbox,) = await harness.env.objects.list(prefix="inbox/")
    kept = await harness.env.objects.get(inbox.key)
    assert kept is not None
    assert await harness.env.objects.get(row.object_key) == kept
    assert len(on_disk(harness, SECRET)) == (2 if mode == "keep" else 0)
    assert len(on_disk(harness, b"dGhlIHNlY3JldCBvZiB0aGUgbWVzc2FnZQ")) == (
        2 if mode == "keep" and b"Canon" in raw else 0
    )
    files = [name for name in on_disk(harness, b"private subject") if name.startswith("objects/")]
    assert len(files) == (0 if mode == "drop" else 2)
    (item,) = read_mail(kept).items
    report = item.report
    assert isinstance(report, FailureReport)
    assert report.header_from == (None if mode == "drop" else "example.com")
    assert (kept == raw) is (mode == "keep")
    assert (await count(harness, "failure_reports"), await harness.problem_reasons()) == (1, [])


@pytest.mark.parametrize("mode", ["keep", "headers", "drop"])
async def test_delivered_again_a_failure_report_stays_one(harness: Harness, mode: str) -> None:
    """Everything was done but the acknowledgement; the second time the redacted mail is read. No total changes."""
    keeping(harness, mode)
    await harness.mail(arf(1))
    await harness.mail(arf(2))
    harness.queue.before["settle"] = [StoreError("gone for a moment")]
    with pytest.raises(StoreError):
        await harness.process_batch()
    objects = await harness.env.objects.list()
    # Two raw mails, two archived reports, and the system's identity.
    assert (await count(harness, "failure_reports"), len(objects)) == (2, 5)
    await harness.settle()
    assert [info.key for info in await harness.env.objects.list()] == [info.key for info in objects]
    rows = await harness.env.arrivals.reports(harness.domain.account_id)
    assert (await count(harness, "failure_reports"), len(rows)) == (2, 2)
    assert await harness.env.arrivals.mail(harness.domain.account_id, rows[0].mail_id) is not None


async def test_under_another_setting_a_failure_report_stays_the_same_one(harness: Harness) -> None:
    """The identity of a report does not hang on what is kept of it."""
    for mode in ("keep", "headers", "drop"):
        keeping(harness, mode)
        await harness.mail(arf())
        await harness.settle()
    (row,) = await harness.env.arrivals.reports(harness.domain.account_id)
    found = await harness.env.arrivals.report(harness.domain.account_id, row.key)
    assert found is not None
    assert (found.duplicates, await count(harness, "failure_reports")) == (2, 1)


async def test_what_could_not_be_read_next_to_a_failure_report_is_kept(harness: Harness) -> None:
    """The body goes, the broken neighbour stays byte for byte under its problem."""
    broken = b"--=_r\r\nContent-Type: application/zip; name=x.zip\r\n\r\nno zip at all\r\n"
    await harness.mail(arf(extra=broken))
    await harness.settle()
    (problem,) = await harness.env.problems.list(harness.domain.account_id)
    assert (problem.reason, problem.where) == ("not_xml", "part 4 > x.zip")
    kept = await harness.env.objects.get(problem.object_key)
    assert kept is not None
    assert b"bm8gemlwIGF0IGFsbA==" in kept
    assert on_disk(harness, SECRET) == []
    assert await count(harness, "failure_reports") == 1


async def test_a_failure_report_without_a_date_is_counted_once(harness: Harness) -> None:
    """However often it comes, whenever, and with whatever line ends."""
    dated = b"Arrival-Date: Tue, 22 Sep 2026 12:00:00 +0000\r\n"
    raw = arf(7)
    assert raw.count(dated) == 1
    undated = raw.replace(dated, b"")
    for one in (undated, undated, undated.replace(b"\r\n", b"\n")):
        await harness.mail(one)
        await harness.settle()
        harness.clock.now += 70
    assert await count(harness, "failure_reports") == 1
    (row,) = (row for row in await harness.env.arrivals.reports(harness.domain.account_id) if row.kind == "failure")
    found = await harness.env.arrivals.report(harness.domain.account_id, row.key)
    assert found is not None
    assert found.duplicates == 2
