"""Who may work beside whom: several consumers of one queue in this process, one batch each.

While one waits for a disk or a store, another reads on. What may have ended a process before is worked on alone, with
nothing else in hand: neighbours must not share its fate, nor be given up because of it.
"""

from __future__ import annotations

import asyncio

__all__ = ["Turns"]


class Turns:
    """Shared by the consumers. `receiving` is held while a batch is fetched."""

    def __init__(self) -> None:
        self.receiving = asyncio.Lock()
        # More waits than one batch holds: those who help have something to do.
        self.backlog = asyncio.Event()
        self._working = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    def begin(self) -> None:
        """A batch is in hand, beside which others may be."""
        self._working += 1
        self._quiet.clear()

    def end(self) -> None:
        """It is no more."""
        self._working -= 1
        if not self._working:
            self._quiet.set()

    async def alone(self) -> None:
        """Until no other batch is in hand; whoever asks holds `receiving`, so that none begins."""
        await self._quiet.wait()
