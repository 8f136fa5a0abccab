"""The DMARC worker over real embedded stores; a `Tap` makes calls of one of them fail when a test wants a crash."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from dmarcworks.bindings.contracts import Analytics
from tests.support.harness import Clock, Harness, migrated_analytics, opened_harness


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def analytics(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Analytics]:
    async with migrated_analytics(tmp_path_factory.mktemp("worker-analytics") / "db") as store:
        yield store


@pytest_asyncio.fixture(loop_scope="package")
async def harness(analytics: Analytics, tmp_path: Path) -> AsyncIterator[Harness]:
    async with opened_harness(tmp_path, analytics=analytics, clock=Clock(), tapped=True) as opened:
        await opened.add_domain("example.com")
        yield opened
