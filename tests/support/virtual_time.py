"""A clock that jumps to the next sleeper when nothing is under way: what takes hours takes as long as its work.

Only what really waits for another thread or process counts as under way: a statement of the database, a DNS query.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from dmarcworks.bindings.contracts import Database
from dmarcworks.enrich.resolver import Dns

__all__ = ["VirtualTime"]

# Rounds of the event loop without anything under way after which all that could go on has done so.
_QUIET_ROUNDS = 20


class VirtualTime:
    """Unix seconds; `sleep` is asyncio.sleep in this time."""

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self.now = now
        self._under_way = 0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = 0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has moved so far."""
        self._number += 1
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, self._number, future))
        await future

    async def advance_until(self, reached: Callable[[], bool]) -> None:
        """Move the clock while something sleeps, until a condition holds."""
        quiet = 0
        while not reached():
            if self._under_way:
                quiet = 0
                await asyncio.sleep(0.0002)
                continue
            await asyncio.sleep(0)
            quiet += 1
            if quiet > _QUIET_ROUNDS and self._sleepers:
                self.now, _, future = heapq.heappop(self._sleepers)
                if not future.done():
                    future.set_result(None)
                quiet = 0

    def over(self, database: Database) -> Any:
        """The database; the clock stands still while it works."""
        return _Watched(database, self)

    def watch(self, resolver: Dns) -> Dns:
        """The resolver; the clock stands still while a query is under way, not while it waits until it may be sent."""
        sockets = resolver._sockets
        run = sockets.run

        async def watched(work: Any) -> Any:
            async with self.under_way():
                return await run(work)

        sockets.run = watched  # type: ignore[method-assign]
        return resolver

    @asynccontextmanager
    async def under_way(self) -> AsyncIterator[None]:
        """The clock stands still in this block."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1


class _Watched:
    def __init__(self, inner: Database, time: VirtualTime) -> None:
        self._inner = inner
        self._time = time

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Any]:
        async with self._time.under_way(), self._inner.read() as connection:
            yield connection

    async def step(self, work: Any) -> Any:
        async with self._time.under_way():
            return await self._inner.step(work)
