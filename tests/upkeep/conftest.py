"""A whole system's stores on a home of its own, worked by hand: mails in, the queue turned, figures out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dmarcworks.settings import Settings
from dmarcworks.wiring.server import opened_house
from tests.support.upkeep import HOST, Home


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    settings = Settings(home=tmp_path / "home", hostname=HOST)
    async with opened_house(settings) as house:
        yield Home(tmp_path / "home", house)
