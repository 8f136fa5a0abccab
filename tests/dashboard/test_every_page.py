"""Every page: axe finds nothing, light and dark, wide and narrow; and its text can be read without a style sheet."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from fastapi.routing import APIRoute
from playwright.async_api import Browser
from starlette.routing import Match

from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.pages import MODULES
from tests.support.browser import CHROMIUM
from tests.support.every_page import EARLIER_HOST, OWNER, every_page
from tests.support.harness import Harness
from tests.support.system import skip

SHOTS = os.environ.get("DMARCWORKS_TEST_SHOTS", "")
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
# Files and fragments: no pages.
NO_PAGES = ("/raw", "/live", "/csv", "/file", "/static/{name:path}")
# All of axe's rules, or these; what is folded is opened first.
RUN = """async (rules) => {
  for (const part of document.querySelectorAll('details')) part.open = true;
  const some = rules.length ? {runOnly: {type: 'rule', values: rules}} : {};
  const found = await axe.run(document, {resultTypes: ['violations'], ...some});
  return found.violations.map(one => one.id + ": " + one.nodes.map(node => node.html.slice(0, 160)).join(" | "));
}"""
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def visits(harness: Harness) -> AsyncIterator[dict[str, str]]:
    async with every_page(harness) as paths:
        yield paths


async def test_every_page_is_among_them(visits: dict[str, str]) -> None:
    """A page that is added must be added to the list too."""
    plain = [path.partition("?")[0] for path in visits]
    missing = [
        route.path
        for route in _routes()
        if not any(route.matches({"type": "http", "path": path, "method": "GET"})[0] is Match.FULL for path in plain)
    ]
    assert missing == []


def _routes() -> list[APIRoute]:
    """All pages that show something."""
    pages = [route for module in MODULES for route in module.routes.routes if isinstance(route, PageRoute)]
    shown = [route for route in pages if "GET" in (route.methods or ()) and not route.path.endswith(NO_PAGES)]
    assert len(shown) > 30
    return shown


@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no chromium here (CHROMIUM names one)")
@pytest.mark.parametrize("width", [1280, 390])
async def test_axe_finds_nothing(
    harness: Harness, browser: Browser, address: str, visits: dict[str, str], width: int
) -> None:
    """All of axe's rules in light colours, and those about colours in dark ones, on every page, everything unfolded."""
    if not AXE.exists():
        skip("axe-core is not installed: npm ci")
    axe, found = AXE.read_text(encoding="utf-8"), {}
    for who in sorted(set(visits.values())):
        context = await browser.new_context(viewport={"width": width, "height": 900})
        page = await context.new_page()
        if who:
            user = await harness.accounts.user(who)
            assert user is not None
            session = await harness.accounts.start_session(user.id)
            await context.add_cookies([{"name": "dmarcworks_session", "value": session, "url": address}])
        for path in (path for path, owner in visits.items() if owner == who):
            await page.emulate_media(color_scheme="light")
            await page.goto(address + path)
            await page.evaluate(axe)
            for scheme, rules in (("light", []), ("dark", COLOUR_RULES)):
                await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                if SHOTS:
                    name = f"{scheme}-{width}{path.replace('/', '_').replace('?', '+')[:60]}.png"
                    await page.screenshot(path=Path(SHOTS) / name, full_page=True)
                if violations := await page.evaluate(RUN, rules):
                    found[f"{path} {scheme}"] = violations
        await context.close()
    assert found == {}


INLINE = {"a", "b", "button", "code", "i", "kbd", "label", "span", "time", "summary", "input", "select", "form"}


class _Joined(HTMLParser):
    """Where the text of one element runs into that of its neighbour: no space between two words."""

    def __init__(self) -> None:
        super().__init__()
        self.joined: list[str] = []
        self._last, self._crossed, self._ignored = "", False, 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._cross(tag)
        self._ignored += tag in ("script", "svg", "head")

    def handle_endtag(self, tag: str) -> None:
        self._ignored -= tag in ("script", "svg", "head")
        self._cross(tag)

    def _cross(self, tag: str) -> None:
        self._crossed = True
        if tag not in INLINE:
            self._last = ""

    def handle_data(self, data: str) -> None:
        if self._ignored or not data:
            return
        if self._crossed and self._last and _word(self._last[-1]) and _word(data[0]):
            self.joined.append(f"{self._last[-20:]}{data[:20]}")
        self._last, self._crossed = data, False


def _word(letter: str) -> bool:
    return letter.isalnum() or letter in "%–@<\"'"


async def test_neighbouring_labels_do_not_run_together(harness: Harness, visits: dict[str, str]) -> None:
    """A text browser shows a space between two elements of a line, because the page has one."""
    found: dict[str, list[str]] = {}
    for path, who in visits.items():
        client: httpx.AsyncClient = await harness.logged_in(who) if who else harness.client()
        async with client:
            parser = _Joined()
            parser.feed((await client.get(path)).text)
        if parser.joined:
            found[path] = parser.joined
    assert found == {}


async def test_every_page_has_one_heading_a_way_past_the_menu_and_a_title(
    harness: Harness, visits: dict[str, str]
) -> None:
    """The first link leads to the content."""
    for path, who in visits.items():
        client = await harness.logged_in(who) if who else harness.client()
        async with client:
            page = (await client.get(path)).text
        assert page.count("<h1") == 1, path
        assert page.index('<a class="skip" href="#content">Skip to content</a>') < page.index("<header>"), path
        assert page.count('id="content"') == 1, path


async def words(harness: Harness, path: str) -> str:
    """The text of a page of the account that has everything, spaces folded."""
    async with await harness.logged_in(OWNER) as client:
        answer = await client.get(path)
    assert answer.status_code == 200
    plain = re.sub(r"<script.*?</script>|<svg.*?</svg>", " ", answer.text, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", plain))


async def test_a_domain_with_tls_reports_only_is_not_empty(harness: Harness, visits: dict[str, str]) -> None:
    """The front page and the domain's page show that they came, and their sums."""
    assert "only-tls.example unproven 1 TLS report: 7 sessions, 2 failed" in await words(harness, "/")
    page = await words(harness, "/domains/only-tls.example")
    assert "No DMARC aggregate report yet; 1 TLS report in these days." in page
    assert "TLS reports 1 report · 7 sessions, 2 failed" in page
    assert "only-tls.example sts 5 2 1" in page
    assert "_smtp._tls.only-tls.example" in page
    assert "TLS reports 1 report · 7 sessions, 2 failed" in await words(harness, "/domains/shop.example")
    page = await words(harness, "/domains/shop.example?last=2026-09-30")
    assert "Failure reports 1 report about 1 message" in page
    assert "192.0.2.1 1 1 dmarc" in page


async def test_a_sender_that_mostly_passes_is_not_said_to_fail(harness: Harness, visits: dict[str, str]) -> None:
    """Among the failing sources the count is of the failed messages, the verdict of all: 56 of 2,576, 97.8 % pass."""
    page = await words(harness, "/domains/shop.example/sources?result=fail")
    row = page[page.index("203.0.113.5 ") :]
    assert re.match(
        r"203\.0\.113\.5 seen by 1 reporter 56 of 2,576 97\.8 % 97\.8 % 56 0 0 22 Nov 2026 97\.8 % pass", row
    )
    assert re.search(r"192\.0\.2\.3 seen by 1 reporter 3 0 % 0 % 3 0 3 23 Nov 2026 fails", page)


async def test_the_policy_in_force_is_shown_and_kept(harness: Harness, visits: dict[str, str]) -> None:
    """On the report's page as reported; the record to publish does not weaken it, nor does the verdict advise to."""
    page = await words(harness, "/domains/strict.example/setup")
    assert "v=DMARC1; p=reject; sp=quarantine; aspf=s; rua=mailto:" in page
    assert "The newest reports found p=reject; sp=quarantine; aspf=s published for strict.example" in page
    assert re.search(r"add ruf=mailto:[0-9a-f]{32}@reports\.example\.net to the DMARC record", page)
    page = await words(harness, "/domains/strict.example")
    assert "if not, your policy p=reject already applies to its messages." in page
    (key,) = re.findall(r"/reports/([0-9a-f]{64})", await raw(harness, "/domains/strict.example/reports"))
    assert "Published policy p=reject sp=quarantine · np=– · pct=100 adkim=r · aspf=s" in await words(
        harness, f"/reports/{key}"
    )
    assert "v=DMARC1; p=none; rua=mailto:" in await words(harness, "/domains/shop.example/setup")


async def test_every_address_that_accepts_reports_is_shown(harness: Harness, visits: dict[str, str]) -> None:
    """The set-up page lists addresses at earlier host names with the records to keep; without one it does not."""
    page = await words(harness, "/domains/strict.example/setup")
    (local,) = re.findall(r"Reports about strict\.example are sent to ([0-9a-f]{32})@reports\.example\.net", page)
    assert f"These addresses accept reports too: {local}@{EARLIER_HOST} Copy Keep these records" in page
    records = page[page.index("Keep these records") :]
    assert f"{EARLIER_HOST} Copy routes report mail here (needed once) MX 10 {EARLIER_HOST}" in records
    assert f"*._report._dmarc.{EARLIER_HOST}" in records
    assert "earlier" not in await words(harness, "/domains/shop.example/setup")


async def raw(harness: Harness, path: str) -> str:
    async with await harness.logged_in(OWNER) as client:
        return (await client.get(path)).text


async def test_the_verdict_names_every_failure(harness: Harness, visits: dict[str, str]) -> None:
    """Those of the worst address, those of the others, and the day with most of them."""
    page = await words(harness, "/domains/shop.example")
    failed = sum(n for n in range(1, 130) if n % 3 == 0)
    assert f"192.0.2.0/24 sent {failed:,} of them, 1 other sender sent 56." in page
    assert f"Most failed on 23 Nov 2026: {failed:,}." in page
