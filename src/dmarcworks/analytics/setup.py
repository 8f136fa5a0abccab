"""The analytics store opened from the settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dmarcworks.analytics import schema
from dmarcworks.bindings import open as bindings
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.settings import Settings

__all__ = ["opened_analytics"]


@asynccontextmanager
async def opened_analytics(settings: Settings) -> AsyncIterator[Analytics]:
    """The analytics store, migrated; one process at a time owns an embedded one (`StoreError` for the second)."""
    analytics = await asyncio.to_thread(bindings.open_analytics, settings.analytics)
    try:
        await schema.migrate(analytics)
        yield analytics
    finally:
        await analytics.close()
