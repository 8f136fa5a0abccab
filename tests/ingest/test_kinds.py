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
from tests.support.ingesting import system_consumer
from tests.support.mails import mail, report_mail
from tests.support.worker_house import House

pytestmark = pytest.mark.asyncio(loop_scope="package")


def keeping(house: House, mode: str) -> None:
    """Choose what is kept of a reported message."""
    house.env = dataclasses.replace(house.env, failure_originals=mode)
    house.consumer = system_consumer(house.env)


async def stored(house: House, what: str, table: str) -> list[dict[str, Any]]:
    answer = await house.env.analytics.query(
        f"SELECT {what} FROM {table} WHERE domain_id = {{d:String}} ORDER BY report_key, record_index",
        {"d": house.domain.id},
    )
    return [json.loads(line) for line in answer.splitlines()]


async def count(house: House, table: str) -> int:
    return len(await stored(house, "report_key", table))


def on_disk(house: House, text: bytes) -> list[str]:
    """The files under the home that hold the text."""
    files = (path for path in house.folder.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(house.folder)) for path in files if text in path.read_bytes())


async def test_a_tls_report_goes_the_whole_way(house: House) -> None:
    """Its row in the catalogue, its policies in tls_reports, and not one message more in the figures."""
    await house.mail(tls_mail(domains=("example.com", "mail.example.com")))
    await house.mail(report_mail("1"))
    await house.settle()
    assert await house.total() == (1, 2, 5)
    row = next(row for row in await house.env.arrivals.reports(house.domain.account_id) if row.kind == "tls")
    assert (row.org_name, row.org_email, row.policy_domain) == ("Mail X", "tls@mail.example", "example.com")
    assert (row.report_id, row.begin, row.end) == ("t-1", BEGIN, BEGIN + DAY - 1)
    assert (row.records, row.messages, row.state, row.published) == (2, 14, "counted", True)
    assert await house.env.objects.get(row.object_key) == tls(domains=("example.com", "mail.example.com"))
    what = (
        "report_id, record_index, policy_domain, successful_sessions AS s, failed_sessions AS f, length(failures) AS n"
    )
    assert [tuple(found.values()) for found in await stored(house, what, "tls_reports")] == [
        ("t-1", 0, "example.com", 5, 2, 1),
        ("t-1", 1, "mail.example.com", 5, 2, 1),
    ]
    days = await house.env.arrivals.days(house.domain.account_id, house.domain.id, date(2026, 9, 1), date(2026, 9, 30))
    assert [(day.day, day.reports, day.messages) for day in days] == [(date(2026, 9, 22), 1, 5)]
    assert await house.problems() == []


async def test_a_failure_report_goes_the_whole_way(house: House) -> None:
    """Who, about what and when stand in the catalogue and in failure_reports; it is no DMARC figure."""
    await house.mail(arf())
    await house.settle()
    (row,) = await house.env.arrivals.reports(house.domain.account_id)
    moment = BEGIN + DAY // 2
    assert (row.kind, row.org_name, row.policy_domain) == ("failure", "mx.mail.example", "example.com")
    assert (row.begin, row.end, row.records, row.messages) == (moment, moment, 1, 1)
    assert (row.state, row.published) == ("counted", True)
    what = "report_key, object_key, begin, source_ip, auth_failure, delivery_result, header_from, subject, message_id"
    assert await stored(house, what, "failure_reports") == [
        {
            "report_key": row.key, "object_key": row.object_key, "begin": moment, "source_ip": "192.0.2.1",
            "auth_failure": "dmarc", "delivery_result": "reject", "header_from": "example.com",
            "subject": "private subject 1", "message_id": "<1@x.example>",
        }
    ]  # fmt: skip
    assert await house.total() == (0, 0, 0)
    account, domain = house.domain.account_id, house.domain.id
    assert await house.env.arrivals.days(account, domain, date(2026, 9, 1), date(2026, 9, 30)) == []
    assert await house.env.arrivals.newest_day(account, domain) is None


async def test_reports_about_another_domain_count_nowhere(house: House) -> None:
    """A failure about another, a TLS report of which all policies are about others: kept and listed, in no table."""
    await house.mail(arf(domain="example.org"))
    await house.mail(tls_mail(domains=("notexample.com", "example.org")))
    await house.settle()
    assert await house.problems() == ["other_domain", "other_domain"]
    details = [row.detail for row in await house.env.problems.list(house.domain.account_id)]
    assert any(
        detail.startswith("The report is about notexample.com, its address is for example.com.") for detail in details
    )
    assert (await count(house, "tls_reports"), await count(house, "failure_reports")) == (0, 0)
    assert {row.state for row in await house.env.arrivals.reports(house.domain.account_id)} == {"foreign"}


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_around_an_insert_counts_every_kind_once(house: House, when: str) -> None:
    """Three kinds in one mail, the store fails at an insert: after the redelivery each is there exactly once."""
    other = mail(("t.json", tls("t-2")), ("a.xml", b""))
    await house.mail(report_mail("1"))
    await house.mail(tls_mail())
    await house.mail(arf())
    await house.mail(other)
    getattr(house.analytics, when)["insert"] = [StoreError("power cut"), StoreError("power cut")]
    await house.turn()
    await house.settle()
    assert await house.total() == (1, 2, 5)
    assert (await count(house, "tls_reports"), await count(house, "failure_reports")) == (2, 1)
    assert all(row.published for row in await house.env.arrivals.reports(house.domain.account_id))


async def test_a_table_that_refuses_does_not_double_the_others(house: House) -> None:
    """The second insert of a batch is refused: what went in with the first is not put in again, mail by mail."""
    await house.mail(report_mail("1"))
    await house.mail(tls_mail())
    await house.mail(arf())
    real = house.analytics._inner.insert
    refused = [0]

    async def insert(table: str, rows: Any) -> None:
        if table == "tls_reports" and refused[0] < 2:
            refused[0] += 1
            raise QueryError("refused")
        await real(table, rows)

    house.analytics.insert = insert  # type: ignore[attr-defined]
    await house.turn()
    assert (await house.total(), await count(house, "failure_reports")) == ((1, 2, 5), 1)
    await house.settle()
    assert await house.total() == (1, 2, 5)
    assert (await count(house, "tls_reports"), await count(house, "failure_reports")) == (1, 1)


@pytest.mark.parametrize(
    "raw", [arf(), arf(kind="text/rfc822-headers"), text_form()], ids=["arf", "as headers", "text"]
)
@pytest.mark.parametrize("mode", ["keep", "headers", "drop"])
async def test_only_what_the_setting_allows_is_kept(house: House, raw: bytes, mode: str) -> None:
    """By default the body is in no file under the home, with drop the headers neither; with keep all is as it came."""
    keeping(house, mode)
    await house.mail(raw)
    assert len(on_disk(house, SECRET)) == 1
    await house.settle()
    (row,) = await house.env.arrivals.reports(house.domain.account_id)
    (inbox,) = await house.env.objects.list(prefix="inbox/")
    kept = await house.env.objects.get(inbox.key)
    assert kept is not None
    assert await house.env.objects.get(row.object_key) == kept
    assert len(on_disk(house, SECRET)) == (2 if mode == "keep" else 0)
    assert len(on_disk(house, b"dGhlIHNlY3JldCBvZiB0aGUgbWVzc2FnZQ")) == (
        2 if mode == "keep" and b"Canon" in raw else 0
    )
    files = [name for name in on_disk(house, b"private subject") if name.startswith("objects/")]
    assert len(files) == (0 if mode == "drop" else 2)
    (item,) = read_mail(kept).items
    report = item.report
    assert isinstance(report, FailureReport)
    assert report.header_from == (None if mode == "drop" else "example.com")
    assert (kept == raw) is (mode == "keep")
    assert (await count(house, "failure_reports"), await house.problems()) == (1, [])


@pytest.mark.parametrize("mode", ["keep", "headers", "drop"])
async def test_delivered_again_a_failure_report_stays_one(house: House, mode: str) -> None:
    """Everything was done but the acknowledgement; the second time the redacted mail is read. No total changes."""
    keeping(house, mode)
    await house.mail(arf(1))
    await house.mail(arf(2))
    house.queue.before["settle"] = [StoreError("gone for a moment")]
    with pytest.raises(StoreError):
        await house.turn()
    objects = await house.env.objects.list()
    assert (await count(house, "failure_reports"), len(objects)) == (2, 4)
    await house.settle()
    assert [info.key for info in await house.env.objects.list()] == [info.key for info in objects]
    rows = await house.env.arrivals.reports(house.domain.account_id)
    assert (await count(house, "failure_reports"), len(rows)) == (2, 2)
    assert await house.env.arrivals.mail(house.domain.account_id, rows[0].mail_id) is not None


async def test_under_another_setting_a_failure_report_stays_the_same_one(house: House) -> None:
    """The identity of a report does not hang on what is kept of it."""
    for mode in ("keep", "headers", "drop"):
        keeping(house, mode)
        await house.mail(arf())
        await house.settle()
    (row,) = await house.env.arrivals.reports(house.domain.account_id)
    found = await house.env.arrivals.report(house.domain.account_id, row.key)
    assert found is not None
    assert (found.duplicates, await count(house, "failure_reports")) == (2, 1)


async def test_what_could_not_be_read_beside_a_failure_report_is_kept(house: House) -> None:
    """The body goes, the broken neighbour stays byte for byte under its problem."""
    broken = b"--=_r\r\nContent-Type: application/zip; name=x.zip\r\n\r\nno zip at all\r\n"
    await house.mail(arf(extra=broken))
    await house.settle()
    (problem,) = await house.env.problems.list(house.domain.account_id)
    assert (problem.reason, problem.where) == ("not_xml", "part 4 > x.zip")
    kept = await house.env.objects.get(problem.object_key)
    assert kept is not None
    assert b"bm8gemlwIGF0IGFsbA==" in kept
    assert on_disk(house, SECRET) == []
    assert await count(house, "failure_reports") == 1
