"""The SQL page in a real browser: keys, chart and names work, and the content policy has nothing to refuse."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.support.browser import CHROMIUM, logged_in
from tests.support.harness import Harness

SHOTS = os.environ.get("DMARCWORKS_TEST_SHOTS", "")
pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no chromium here (CHROMIUM names one)"),
]
THOUSAND = """SELECT d.day AS day, d.source_ip AS source, d.header_from AS header_from, e.org_name AS reporter,
d.count AS messages FROM dmarc_reports AS d JOIN dmarc_reports AS e ON d.domain = e.domain ORDER BY day LIMIT 1200"""


async def test_ctrl_enter_runs_and_the_chart_is_drawn(harness: Harness, browser: Browser, address: str) -> None:
    page, complaints = await logged_in(harness, browser, address)
    await page.goto(f"{address}/sql")
    await page.keyboard.press("Tab")
    await page.focus("#text")
    await page.keyboard.press("Control+Enter")
    await page.wait_for_selector("#drawn canvas")
    assert await page.evaluate("document.activeElement.id") == "found"
    assert await page.locator("#result tbody tr").count() > 10
    await page.fill("#text", "SELECT  AS n FROM dmarc_reports")
    await page.evaluate("document.getElementById('text').setSelectionRange(7, 7)")
    await page.locator("summary", has_text="dmarc_reports").click()
    await page.get_by_role("button", name="source_ip").first.click()
    assert await page.input_value("#text") == "SELECT source_ip AS n FROM dmarc_reports"
    await page.fill("[name=name]", "By address")
    await page.press("[name=name]", "Enter")
    await page.wait_for_url("**/sql?saved=*")
    await page.fill("#text", "SELECT nope FROM dmarc_reports")
    await page.press("#text", "Control+Enter")
    await page.get_by_role("alert").wait_for()
    assert "unable to find type of column: nope" in await page.get_by_role("alert").inner_text()
    assert await page.evaluate("document.activeElement.id") == "text"
    await page.get_by_role("button", name="Remove the query By address").click()
    await page.wait_for_url("**/sql")
    # A 422 is the page's own answer, said in it; the browser notes it all the same.
    assert [text for text in complaints if "422" not in text] == []
    await page.context.close()


async def test_it_works_without_scripts(harness: Harness, browser: Browser, address: str) -> None:
    page, _ = await logged_in(harness, browser, address, java_script_enabled=False)
    await page.goto(f"{address}/sql?example=reporters")
    await page.click("#run")
    assert await page.locator("#result tbody tr").count() > 0
    await page.context.close()


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_state_is_wider_than_the_screen(
    harness: Harness,
    browser: Browser,
    address: str,
    width: int,
    scheme: str,
) -> None:
    page, _ = await logged_in(harness, browser, address, viewport={"width": width, "height": 900}, color_scheme=scheme)
    for name, text in (
        ("chart", "SELECT day, dmarc, sum(count) AS messages FROM dmarc_reports GROUP BY day, dmarc ORDER BY day"),
        ("empty", "SELECT * FROM tls_reports"),
        ("thousand", THOUSAND),
        ("error", "SELECT sumcount) FROM dmarc_reports WHERE domian = 'example.com'"),
        ("bars", "SELECT org_name, sum(count) AS messages FROM dmarc_reports GROUP BY org_name ORDER BY messages DESC"),
    ):
        await page.goto(f"{address}/sql")
        await page.fill("#text", text)
        await page.click("#run")
        await page.wait_for_load_state("networkidle")
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, name
        if SHOTS:
            await page.evaluate("scrollTo(0, 0)")
            await page.screenshot(path=f"{SHOTS}/{name}-{width}-{scheme}.png", full_page=True)
    await page.context.close()
