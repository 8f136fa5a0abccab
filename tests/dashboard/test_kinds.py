"""The page of a TLS or failure report shows what it says, as text only, to its own account; lists name the kind."""

from __future__ import annotations

import dataclasses

import httpx
import pytest

from dmarcworks.analytics.rows import Report
from dmarcworks.reports.model import FailureReport, TlsFailure, TlsPolicy, TlsReport
from tests.support.failures import arf, tls
from tests.support.harness import Harness
from tests.support.mails import document
from tests.support.noted import note, parsed
from tests.support.pages import EVIL

pytestmark = pytest.mark.asyncio(loop_scope="package")
SAFE = "&lt;script&gt;alert(1)&lt;/script&gt;"


async def put(harness: Harness, report: Report, state: str = "counted") -> str:
    """Note and publish a report about example.com as the worker does; its key."""
    domain = await harness.accounts.domain(None, "example.com")
    assert domain is not None
    return await note(harness, domain, report, state)


async def test_a_tls_report_shows_its_policies_and_failures(harness: Harness, client: httpx.AsyncClient) -> None:
    report = parsed(tls(domains=("example.com", "mail.example.com")))
    page = await client.get(f"/reports/{await put(harness, report)}")
    assert page.status_code == 200
    for text in ("SMTP TLS report: 14 sessions under 2 policies about example.com", "mode: testing", "mail.example.com",
                 "certificate-expired", "mx1.example.com", "Failures for example.com"):  # fmt: skip
        assert text in page.text
    assert "messages in" not in page.text


async def test_a_failure_report_shows_its_fields(harness: Harness, client: httpx.AsyncClient) -> None:
    key = await put(harness, parsed(arf()))
    page = await client.get(f"/reports/{key}")
    assert page.status_code == 200
    for text in ("DMARC failure report about one message from example.com", "192.0.2.1", "private subject 1", "reject",
                 "&lt;someone@mail.example&gt;", "&lt;1@x.example&gt;", "Message arrived"):  # fmt: skip
        assert text in page.text
    listed = await client.get("/domains/example.com/reports")
    assert "DMARC failure" in listed.text
    other = await harness.logged_in("b@example.org")
    assert (await other.get(f"/reports/{key}")).status_code == 404


async def test_a_strangers_text_is_text(harness: Harness, client: httpx.AsyncClient) -> None:
    """Markup in any field stands on the page as it is written and is never markup; absent values are dashes."""
    evil = TlsFailure(EVIL, EVIL, EVIL, EVIL, EVIL, None, EVIL, EVIL)
    policies = (
        TlsPolicy(EVIL, EVIL, (EVIL,), (EVIL,), None, None, (evil,)),
        TlsPolicy(None, None, (), (), 2**63, 0, ()),
    )
    report = TlsReport(EVIL, EVIL, EVIL, 1_795_000_000, 1_795_000_001, policies, ())
    failure = parsed(arf())
    assert isinstance(failure, FailureReport)
    texts = {field.name: EVIL for field in dataclasses.fields(failure) if isinstance(getattr(failure, field.name), str)}
    hostile = dataclasses.replace(
        failure, **texts, original_rcpt_to=(EVIL,), dkim_domain=EVIL, dkim_selector=EVIL, spf_dns=EVIL, incidents=2**63
    )
    for found, shown in ((report, 12), (hostile, 15)):
        page = await client.get(f"/reports/{await put(harness, found)}")
        assert page.status_code == 200
        assert EVIL not in page.text
        assert page.text.count(SAFE) >= shown
        assert "9,223,372,036,854,775,808" in page.text


async def test_a_report_that_is_in_no_table_has_a_page(harness: Harness, client: httpx.AsyncClient) -> None:
    """Foreign ones are in no table, and a TLS report may name no policy: the page says so and nothing breaks."""
    empty = TlsReport("Mail Y", None, "none", 1_795_000_000, 1_795_000_001, (), ())
    assert "The report contains no policy." in (await client.get(f"/reports/{await put(harness, empty)}")).text
    for report in (parsed(tls("f-1")), parsed(arf(7))):
        page = await client.get(f"/reports/{await put(harness, report, state='foreign')}")
        assert (page.status_code, "Not counted: the report is about another domain." in page.text) == (200, True)


async def test_T17_a_report_over_several_days_says_how_many_it_covers(
    harness: Harness, client: httpx.AsyncClient
) -> None:
    report = dataclasses.replace(parsed(document("long")), begin=1_790_035_200, end=1_790_035_200 + 7 * 86_400 - 1)
    page = (await client.get(f"/reports/{await put(harness, report, 'foreign')}")).text
    assert "covers 7 days; counted on the first" in page
    assert "covers 7 days" in (await client.get("/reports")).text
    short = dataclasses.replace(report, report_id="short", end=1_790_035_200 + 86_399)
    assert "covers" not in (await client.get(f"/reports/{await put(harness, short, 'foreign')}")).text
