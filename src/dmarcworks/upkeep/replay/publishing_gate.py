"""Analytics with a gate before its inserts, so that publishing can be paused.

Every call is passed to the store behind it. An insert waits while the gate is held, and the holder of the gate waits
for the inserts that run. Queries are never held.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pyarrow as pa

from dmarcworks.bindings.contracts import Analytics, QueryBounds

__all__ = ["PublishingGate"]


class PublishingGate:
    """The Analytics contract on `inner`, which upkeep itself uses while it holds the gate."""

    def __init__(self, inner: Analytics) -> None:
        self.inner = inner
        self._changed = asyncio.Condition()
        self._running = 0
        self._held = False

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """No insert of others runs inside this block; one holder at a time."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._held)
            self._held = True
            try:
                await self._changed.wait_for(lambda: not self._running)
            except BaseException:
                self._held = False
                self._changed.notify_all()
                raise
        try:
            yield
        finally:
            async with self._changed:
                self._held = False
                self._changed.notify_all()

    async def insert(self, table: str, data: pa.Table) -> None:
        """Durably insert, once nobody holds the gate."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._held)
            self._running += 1
        try:
            await self.inner.insert(table, data)
        finally:
            async with self._changed:
                self._running -= 1
                self._changed.notify_all()

    async def execute(self, statement: str) -> None:
        """Run DDL or another statement without a result (trusted text only)."""
        await self.inner.execute(statement)

    async def query(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        format: str = "JSONEachRow",
        bounds: QueryBounds | None = None,
    ) -> bytes:
        """Run a SELECT read-only."""
        return await self.inner.query(statement, parameters, format=format, bounds=bounds)

    async def ping(self) -> None:
        """Prove that the engine answers."""
        await self.inner.ping()

    async def close(self) -> None:
        """Give back the engine's lock and files."""
        await self.inner.close()
