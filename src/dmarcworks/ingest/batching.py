"""Which batches may run concurrently, and how large they are: several consumers of one queue, one batch each. While one
waits for a disk or a store, another continues to read. What may have ended a process before is processed alone, while
no other batch runs: its neighbours must not fail, or be dead-lettered, because of it. A batch is as large as is done
well within its lease: a thousand small mails, or a few that are large.
"""

from __future__ import annotations

import asyncio

__all__ = ["BatchScheduler"]

_BEGIN = 100
_SECONDS = 10.0


class BatchScheduler:
    """Shared by the consumers. `receiving` is held while a batch is fetched."""

    def __init__(self) -> None:
        self.receiving = asyncio.Lock()
        # More waits than one batch holds: those who help have something to do.
        self.backlog = asyncio.Event()
        self._working = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._size = _BEGIN

    def size(self, most: int) -> int:
        """How many items the next batch may have; at most `most`."""
        return min(self._size, most)

    def paced(self, items: int, seconds: float) -> None:
        """So many items took so long: the next batch has what is done in ten seconds, and at most twice as many."""
        if items < self._size and seconds < _SECONDS:
            return  # a part of a batch, quickly done, proves nothing about a whole one
        self._size = max(1, min(2 * items, int(items * _SECONDS / max(seconds, 0.001))))

    def begin(self) -> None:
        """A batch starts; others may run concurrently."""
        self._working += 1
        self._quiet.clear()

    def end(self) -> None:
        """It is no more."""
        self._working -= 1
        if not self._working:
            self._quiet.set()

    async def alone(self) -> None:
        """Until no other batch runs; the caller holds `receiving`, so that none begins."""
        await self._quiet.wait()
