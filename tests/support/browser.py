"""A browser for the pages of a test system."""

from __future__ import annotations

import os

from playwright.async_api import Browser, Page

from tests.support.harness import Harness

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


async def logged_in(harness: Harness, browser: Browser, address: str, **options: object) -> tuple[Page, list[str]]:
    """A page after a login by link, and what the browser complains about from now on."""
    context = await browser.new_context(**options)  # type: ignore[arg-type]
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    await page.goto(f"{address}/login/{await harness.accounts.login_link('a@example.com')}")
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url("**/password")
    return page, complaints
