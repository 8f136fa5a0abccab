"""REST over real stores and a real engine: an account with reports of every kind, a neighbour, and a worker by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.harness import Harness
from tests.support.rest import built


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def harness(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Harness]:
    """One for all tests of this folder that leave each other's things alone."""
    async with built(tmp_path_factory.mktemp("rest") / "home") as made:
        yield made
