"""In a real browser: the chart is drawn, the page changes by itself, and the content policy has nothing to refuse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from dmarcworks.bindings.contracts import OutgoingMessage, Settlement
from dmarcworks.bindings.sqlite_stores import SqliteQueue
from tests.support.browser import CHROMIUM, logged_in
from tests.support.harness import Harness
from tests.support.pages import TODAY, aggregate, record

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no chromium here (CHROMIUM names one)"),
]


async def test_the_chart_is_drawn_and_nothing_is_refused(harness: Harness, browser: Browser, address: str) -> None:
    """The canvas replaces the SVG, `t` opens the table, and no page makes the browser complain."""
    page, complaints = await logged_in(harness, browser, address)
    await page.goto(f"{address}/domains/example.com")
    await page.wait_for_selector("#chart canvas")
    assert await page.locator("#chart svg").count() == 0
    await page.keyboard.press("t")
    # 10 November, and today.
    assert await page.get_by_text("no report", exact=True).count() == 2
    assert await page.get_by_text("no report", exact=True).first.is_visible()
    await page.hover("#chart canvas", position={"x": 500, "y": 120})
    for path in (
        "/",
        "/reports",
        "/problems",
        "/activity",
        "/queues",
        "/graphql",
        "/domains/example.com/sources",
        "/domains/example.com/setup",
    ):
        await page.goto(address + path)
    assert complaints == []
    await page.context.close()


async def test_without_javascript_everything_is_there(harness: Harness, browser: Browser, address: str) -> None:
    """Login, figures, chart and table work as plain pages; a bar of the chart leads to its day."""
    page, complaints = await logged_in(harness, browser, address, java_script_enabled=False)
    await page.goto(f"{address}/domains/example.com")
    assert await page.locator("#chart svg.broad a").count() == 28
    await page.locator("#chart svg.broad a").last.click()
    await page.wait_for_url("**/sources?day=2026-11-23")
    assert complaints == []
    await page.context.close()


async def test_the_first_report_shows_by_itself(harness: Harness, browser: Browser, address: str) -> None:
    """An open page of a new domain asks every second, and changes without a reload, chart included."""
    domain = await harness.accounts.add_domain("live.example")
    page, complaints = await logged_in(harness, browser, address)
    await page.goto(f"{address}/domains/live.example")
    await page.get_by_text("Waiting for the first report.").wait_for()
    assert await page.get_attribute("#content", "hx-trigger") == "every 1s"
    await page.evaluate("window.mark = 'not reloaded'")
    report = aggregate(TODAY - timedelta(days=1), "first.org", [record("192.0.2.7", 5, "pass")], "live.example")
    await harness.report(domain, report, received=datetime.fromtimestamp(harness.clock(), UTC))
    await page.get_by_text("All 5 messages passed DMARC.").wait_for()
    await page.wait_for_selector("#chart canvas")
    assert await page.evaluate("window.mark") == "not reloaded"
    assert complaints == []
    await page.context.close()
    await harness.accounts.remove_domain(domain)


async def test_no_page_is_wider_than_a_phone(harness: Harness, browser: Browser, address: str) -> None:
    """At 360 px nothing has to be scrolled sideways."""
    page, _ = await logged_in(harness, browser, address, viewport={"width": 360, "height": 740})
    found = await harness.arrivals.reports((await harness.accounts.account_by_name("default")).id, limit=1)
    paths = ["/", "/reports", "/problems", "/graphql", "/password", "/domains/example.com", f"/reports/{found[0].key}"]
    queues = SqliteQueue(harness.stores.database, harness.clock)
    await queues.send("mine", [OutgoingMessage("text", b"x" * 5000)])
    taken = await queues.receive("mine", limit=1, lease=60)
    await queues.settle([Settlement(taken[0], error="x" * 1000, dead=True)])
    paths += ["/activity", "/queues", f"/queues/{taken[0].id}", f"/queues/{taken[0].id}/discard"]
    paths += [f"/domains/example.com/{name}" for name in ("sources", "records", "reports", "setup", "builder")]
    paths += ["/claims", "/import"]
    for path in paths:
        await page.goto(address + path)
        wider = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wider <= 0, path
    await queues.discard()
    await page.context.close()


async def test_graphql_answers_in_place(harness: Harness, browser: Browser, address: str) -> None:
    """Ctrl+Enter asks, the answer stands beside the question to its last digit, a mistake is said."""
    page, complaints = await logged_in(harness, browser, address)
    await page.goto(f"{address}/graphql")
    await page.get_by_label("Query").press("Control+Enter")
    await expect(page.locator("#took")).to_contain_text("200")
    assert '"sourceIP": "203.0.113.5"' in await page.locator("#answer").inner_text()
    exact = '\'{"a": 18446744073709551615, "b": 0.8571428571428571, "c": "99999999999999999", "d": -1e5}\''
    assert await page.evaluate(f"shown({exact}).replace(/\\s/g, '')") == (
        '{"a":18446744073709551615,"b":0.8571428571428571,"c":"99999999999999999","d":-100000}'
    )
    assert complaints == []
    await page.get_by_label("Query").fill("{ nope }")
    await page.get_by_role("button", name="Run").click()
    await expect(page.locator("#took")).to_contain_text("400")
    assert 'unknown field \\"nope\\"' in await page.locator("#answer").inner_text()
    await page.locator("#node-sources summary").click()
    assert await page.locator("#node-sources").get_by_text("sending addresses with their figures").is_visible()
    # The browser itself tells of each answer that is not 200.
    assert [text for text in complaints if "400 (Bad Request)" not in text] == []
