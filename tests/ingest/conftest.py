"""The DMARC worker over real embedded stores; `Tap` stands in the way of one of them when a test wants a crash."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from dmarcworks.bindings.contracts import Analytics
from tests.support.worker_house import House, migrated_analytics, opened_house


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def analytics(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Analytics]:
    async with migrated_analytics(tmp_path_factory.mktemp("worker-analytics") / "db") as store:
        yield store


@pytest_asyncio.fixture(loop_scope="package")
async def house(analytics: Analytics, tmp_path: Path) -> AsyncIterator[House]:
    async with opened_house(analytics, tmp_path) as opened:
        yield opened
