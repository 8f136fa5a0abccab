"""A real embedded engine for the tests of policies, migrated."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from dmarcworks.analytics import schema
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.bindings.open import open_analytics


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def analytics(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Analytics]:
    store = open_analytics(f"chdb://{tmp_path_factory.mktemp('policy')}/db")
    await schema.migrate(store)
    yield store
    await store.close()
