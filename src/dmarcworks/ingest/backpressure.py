"""The inbox's own bounds: how many mails may wait to be read, and how much of a disk must stay free.

Checked for every recipient and every mail, so the figures are looked up once a second at most. When a bound is reached
the sender gets 451 4.3.1 and retries later; while these bounds hold, a store that reports are published to may be
unavailable.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from dmarcworks.bindings.contracts import SYSTEM_QUEUE, Queue, QueueStats
from dmarcworks.errors import StoreError

__all__ = ["FULL", "Backpressure", "InboxState", "never_full"]

FULL = "451 4.3.1 The inbox is full, try again later"
_FRESH_SECONDS = 1.0
log = structlog.get_logger("dmarcworks.inbox")


@dataclass(frozen=True, slots=True)
class InboxState:
    """What waits, the oldest's age in seconds, the free share of each store's disk; `full`: the bound hit, or ""."""

    waiting: int
    oldest_age: float
    free: Mapping[str, float]
    full: str


async def never_full() -> str:
    """No bound."""
    return ""


_EMPTY = QueueStats(0, 0, 0, 0)


class Backpressure:
    """`folders` by the store's name; `items` of 0 and `free_share` of 0.0 bound nothing."""

    def __init__(
        self,
        queue: Queue,
        folders: Mapping[str, Path],
        *,
        items: int,
        free_share: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.items = items
        self.free_share = free_share
        self._queue = queue
        self._folders = folders
        self._clock = clock
        self._lock = asyncio.Lock()
        self._looked = float("-inf")
        self._full = ""

    async def full(self) -> str:
        """The bound that is hit now, in words, or "". A store that does not answer is none: it refuses by itself."""
        if self._clock() - self._looked < _FRESH_SECONDS:
            return self._full
        async with self._lock:
            if self._clock() - self._looked >= _FRESH_SECONDS:
                try:
                    full = (await self.look()).full
                except StoreError:
                    full = ""
                if bool(full) != bool(self._full):
                    log.warning("inbox full", reason=full) if full else log.info("inbox accepts mail again")
                self._full, self._looked = full, self._clock()
        return self._full

    async def look(self) -> InboxState:
        """The figures as they are now; `StoreError` when the queue does not answer."""
        stats = (await self._queue.stats()).get(SYSTEM_QUEUE, _EMPTY)
        waiting = stats.ready + stats.delayed + stats.leased
        free = await asyncio.to_thread(self._free)
        full = ""
        if self.items and waiting >= self.items:
            full = f"{waiting} mails wait to be read (inbox_items = {self.items})"
        for name, share in free.items():
            if share < self.free_share:
                full = f"{share:.1%} of the disk of {name} is free (inbox_free_share = {self.free_share:g})"
        return InboxState(waiting, stats.oldest_age, free, full)

    async def status(self) -> dict[str, object]:
        """The state that `/readyz` shows: state, how much waits for how long, free shares, bounds."""
        bounds = {"items": self.items, "free_share": self.free_share}
        try:
            state = await asyncio.wait_for(self.look(), 3.0)
        except (TimeoutError, StoreError):
            return {"state": "unknown: the queue does not answer", "bounds": bounds}
        return {
            "state": f"full: {state.full}" if state.full else "ok",
            "waiting": state.waiting,
            "oldest_seconds": round(state.oldest_age, 1),
            "free": {name: round(share, 4) for name, share in state.free.items()},
            "bounds": bounds,
        }

    def _free(self) -> dict[str, float]:
        free = {}
        for name, folder in self._folders.items():
            try:
                disk = os.statvfs(folder)
            except OSError:  # not made yet, or away: the store's own answer counts
                continue
            free[name] = disk.f_bavail / disk.f_blocks if disk.f_blocks else 1.0
        return free
