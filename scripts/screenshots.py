"""Take pictures of the dashboard's pages: desktop and phone, light and dark. Needs playwright and a chromium.

Run: python scripts/screenshots.py BASE_URL LOGIN_LINK OUT_DIR [PATH …]   (the login link is used up; without paths: the
front page, the first domain with its lists, the newest report, the problems, an unknown page and the login)
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from urllib.parse import urljoin

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
SCHEMES = ("light", "dark")


def main(base: str, login: str, out: Path, wanted: list[str]) -> int:
    """One picture a page, size and scheme; prints what the browser complained about; 1 when it did."""
    out.mkdir(parents=True, exist_ok=True)
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        cookies = log_in(browser, urljoin(base, login))
        paths = wanted or discover(browser, base, cookies)
        for size, (width, height) in SIZES.items():
            for scheme in SCHEMES:
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
                context.add_cookies(cookies)
                page = context.new_page()
                listen(page, complaints)
                for path in paths:
                    name = re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-")[:60] or "front"
                    shoot(page, urljoin(base, path), out / f"{name}-{size}-{scheme}.png", complaints)
                context.close()
        browser.close()
    for complaint in sorted(set(complaints)):
        print(complaint, file=sys.stderr)
    print(f"{len(list(out.glob('*.png')))} pictures in {out}")
    return 1 if complaints else 0


def log_in(browser: Browser, link: str) -> list:
    """Use the link up; the session's cookies."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(link)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda address: "/login" not in address)
    return context.cookies()


def discover(browser: Browser, base: str, cookies: list) -> list[str]:
    """The pages worth a picture, from the links that stand on them."""
    context = browser.new_context()
    context.add_cookies(cookies)
    page = context.new_page()
    page.goto(base)
    paths = ["/", "/reports", "/problems", "/password", "/nothing-here"]
    if page.locator("tbody a.row").count():
        domain = page.locator("tbody a.row").first.get_attribute("href") or "/"
        paths += [domain, f"{domain}/sources", f"{domain}/reports", f"{domain}/setup"]
    page.goto(urljoin(base, "/reports"))
    if page.locator("tbody a.row").count():
        paths.append(page.locator("tbody a.row").first.get_attribute("href") or "/")
    context.close()
    return paths


def listen(page: Page, complaints: list[str]) -> None:
    """Note script errors and what the content policy refused."""
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    page.on(
        "console",
        lambda message: (
            complaints.append(f"{page.url}: {message.text}")
            if message.type == "error" and "status of 404" not in message.text
            else None
        ),
    )


def shoot(page: Page, address: str, file: Path, complaints: list[str]) -> None:
    """The whole page; a page that is wider than the window is a complaint."""
    page.goto(address)
    page.wait_for_load_state("load")
    page.wait_for_timeout(250)
    wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    if wider > 0:
        complaints.append(f"{address}: {wider} px wider than {page.viewport_size}")
    page.screenshot(path=file, full_page=True)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4:]))
