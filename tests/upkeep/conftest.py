"""A test system over a data directory of its own: mails in, batches processed, figures out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.harness import Harness, opened_harness


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    async with opened_harness(tmp_path / "home") as opened:
        yield opened
