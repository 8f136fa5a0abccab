"""Messages that take long are processed apart from their batch: it ends without them and its neighbours continue.

Each is prepared (read, in a child process) alongside everything else, and then processed in this process as a batch of
one
is: apart from all others when an earlier delivery of it never ended. Their leases are renewed as long as they are here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import structlog

from dmarcworks.bindings.contracts import LeasedMessage, Leases
from dmarcworks.errors import DmarcworksError, StoreError
from dmarcworks.ingest.batching import BatchScheduler
from dmarcworks.workers.batch import Decision

__all__ = ["DetachedMessage", "DetachedMessages"]

log = structlog.get_logger("dmarcworks.worker")

# More wait in the queue: what is here is in memory, by its queue item.
_MOST = 1000
_AGAIN_SECONDS = 1.0


class DetachedMessage(Protocol):
    """A message of a batch, as far as this module needs it."""

    id: str
    leased: LeasedMessage
    failures: int
    decision: Decision | None

    def ack(self) -> None:
        """Done."""

    def retry(self, *, delay_seconds: float | None = None, error: str = "", temporary: bool = False) -> None:
        """Again later."""


class DetachedMessages:
    """What one consumer works on apart. `begun` is called with each message; `settle` reports to the queue what came of
    it, and raises `StoreError` when it cannot."""

    def __init__(
        self,
        leases: Leases | None,
        lease: float,
        scheduler: BatchScheduler,
        begun: Callable[[Any], None],
        settle: Callable[[Any], Awaitable[None]],
    ) -> None:
        self._leases, self._lease, self._scheduler, self._begun, self._settle = leases, lease, scheduler, begun, settle
        self._working: dict[asyncio.Task[None], DetachedMessage] = {}
        self._renewing: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        """Whether no further message may be set aside now."""
        return len(self._working) >= _MOST

    def begin(
        self, message: DetachedMessage, prepare: Callable[[], Awaitable[Any]], work: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Prepare and work on it in a task of its own, then settle it."""
        self._begun(message)
        task = asyncio.create_task(self._one(message, prepare, work), name=f"aside {message.id}")
        self._working[task] = message
        task.add_done_callback(self._working.pop)
        if self._leases is not None and self._renewing is None:
            self._renewing = asyncio.create_task(self._renew(self._leases), name="leases of what is aside")

    async def _one(
        self, message: DetachedMessage, prepare: Callable[[], Awaitable[Any]], work: Callable[[Any], Awaitable[None]]
    ) -> None:
        error, temporary = "", False
        try:
            prepared = await prepare()
            async with self._scheduled(message):
                await work(prepared)
        except DmarcworksError as raised:
            error, temporary = str(raised), raised.temporary
        # As in a batch: one item's failure must not stop the others; it is tried again, then kept as dead.
        except Exception as raised:
            log.exception("mail failed", id=message.id)
            error = repr(raised)
        if error:
            message.retry(error=error, temporary=temporary)
        message.ack()
        while True:
            try:
                await self._settle(message)
                return
            except StoreError as raised:
                log.warning("queue waits for a store", error=str(raised))
                await asyncio.sleep(_AGAIN_SECONDS)

    @asynccontextmanager
    async def _scheduled(self, message: DetachedMessage) -> AsyncIterator[None]:
        if message.failures:
            async with self._scheduler.receiving:
                await self._scheduler.alone()
                yield
            return
        self._scheduler.begin()
        try:
            yield
        finally:
            self._scheduler.end()

    async def _renew(self, leases: Leases) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            leased = [message.leased for message in self._working.values()]
            # A store that is unavailable now may be there for the next renewal, in time.
            with contextlib.suppress(StoreError):
                await leases.renew(leased, lease=self._lease)

    async def finish(self, seconds: float) -> None:
        """Wait so long for what is worked on, then end the rest and give it back at once."""
        if self._working and seconds > 0:
            await asyncio.wait(self._working, timeout=seconds)
        left = dict(self._working)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if self._renewing is not None:
            self._renewing.cancel()
            self._renewing = None
        if left:
            log.info("returned to the queue", messages=len(left))
        for message in left.values():
            message.decision = None
            message.retry(error="returned to the queue: the process was stopped", temporary=True)
            with contextlib.suppress(StoreError):
                await self._settle(message)
