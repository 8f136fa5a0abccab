"""The real system as a process of its own, used from outside only: commands, SMTP, HTTP and a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.system import CHROMIUM, System, Visitor, skip


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One running system for a module."""
    running = System(tmp_path_factory.mktemp("system") / "home")
    running.start()
    yield running
    if running.alive:
        running.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """For a module only: while Playwright runs, no other test of this process could have an event loop."""
    if not CHROMIUM.exists():
        skip(f"there is no Chromium at {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def visitor(chromium: Browser) -> Iterator[Visitor]:
    came = Visitor(chromium)
    yield came
    came.context.close()
    assert came.wrong == []
