"""Feeds a worker's `queue()` from a queue: batches in, and what became of each message back into the queue.

A batch waits until it is full or its first message has waited long enough. An exception means every message again that
was not acknowledged; one whose tries are used up is dead-lettered. A store that is unavailable uses up no try. Whatever
the handler does, the server and the other queues continue. The policy is the only difference between the system's own
queue and that of a user's worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from dmarcworks.bindings.contracts import QUEUE_BATCH_BYTES, Leases, Queue, Settlement
from dmarcworks.errors import StoreError
from dmarcworks.ingest.batching import BatchScheduler
from dmarcworks.process import failpoints
from dmarcworks.workers.batch import Batch, BatchMessage, Decision
from dmarcworks.workers.detached import DetachedMessages
from dmarcworks.workers.outcome import OutOfServiceError

__all__ = ["Consumer", "Handler", "QueuePolicy", "backoff"]

log = structlog.get_logger("dmarcworks.worker")

_FIRST_DELAY, _LONGEST_DELAY = 1.0, 300.0
_LOOK_SECONDS = 1.0
_RETURN_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """How a queue is consumed. Times in seconds.

    `retry_delay` None: a growing pause. `lease`: how long a batch may be processed before it counts as lost; `limit`:
    what a handler may take of it, where nobody else bounds it. `batch_bytes` None: as large as the messages are.
    """

    max_batch_size: int = 10
    max_batch_timeout: float = 5.0
    max_retries: int = 3
    retry_delay: float | None = None
    dead_letter_queue: str = ""
    lease: float = 300.0
    limit: float | None = None
    batch_bytes: int | None = QUEUE_BATCH_BYTES


class Handler(Protocol):
    """A worker as its consumer sees it."""

    name: str

    async def queue(self, batch: Batch) -> Exception | None:
        """Run `queue()`: what it raised, or None. `OutOfServiceError` when the worker is not run any more."""

    async def dead(self, message: BatchMessage, error: str) -> None:
        """A message is about to be dead-lettered."""


class Consumer:
    """One worker's consumer of the queue of its name. `run` until `stop`; or `once` for one batch.

    With a `scheduler` several share their work: it decides how large a batch is and who works alone; one that `helps`
    works only while more waits than a batch holds. `leases` renews what is worked on apart from its batch.
    """

    def __init__(
        self,
        handler: Handler,
        queue: Queue,
        policy: QueuePolicy,
        *,
        scheduler: BatchScheduler | None = None,
        helps: bool = False,
        leases: Leases | None = None,
    ) -> None:
        self._handler, self._queue, self._policy = handler, queue, policy
        self._adaptive = scheduler is not None
        self._scheduler = scheduler or BatchScheduler()
        self._helps = helps
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._pending: list[BatchMessage] = []
        self._detached_messages = DetachedMessages(
            leases, policy.lease, self._scheduler, self._detached, self._settle_one
        )
        self.trouble = ""

    @property
    def name(self) -> str:
        """The worker's name, which is the queue's too."""
        return self._handler.name

    async def run(self) -> None:
        """Consume until `stop`, or until the worker is out of service."""
        self._task = asyncio.current_task()
        try:
            await self._consume()
        finally:
            self._task = None

    async def stop(self, grace: float = 1.0) -> None:
        """Finish the current batch within `grace` seconds; return what is not done of a longer one to the queue at
        once."""
        self._stopping.set()
        until = time.monotonic() + grace
        if (task := self._task) is not None:
            await asyncio.wait({task}, timeout=grace)
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        await self._detached_messages.finish(until - time.monotonic())
        if not self._pending:
            return
        for message in self._pending:
            message.retry(error="returned to the queue: the process was stopped", temporary=True)
        log.info("returned to the queue", queue=self._handler.name, messages=len(self._pending))
        # A store that is unavailable now: the lease brings them back.
        with contextlib.suppress(TimeoutError, StoreError):
            await asyncio.wait_for(self._settle(), _RETURN_SECONDS)

    async def _consume(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._helps and not self._scheduler.backlog.is_set():
                    await self._rest(self._scheduler.backlog.wait())
                elif await self._gathered() and not await self.once():
                    await self._rest(self._queue.wait(self._handler.name, _LOOK_SECONDS))
                self.trouble = ""
            except OutOfServiceError as error:
                log.error("queue is not consumed any more", worker=self._handler.name, error=str(error))
                return
            except StoreError as error:
                if self.trouble != str(error):
                    log.warning("queue waits for a store", worker=self._handler.name, error=str(error))
                self.trouble = str(error)
                await self._rest(asyncio.sleep(_LOOK_SECONDS))
            # Mail and other queues continue, whatever happened here; the lease brings the batch back.
            except Exception as error:
                log.exception("queue consumer failed", worker=self._handler.name)
                self.trouble = repr(error)
                await self._rest(asyncio.sleep(_LOOK_SECONDS))

    async def _rest(self, rest: Awaitable[object]) -> None:
        """Until that is over or the process stops."""
        waits = {asyncio.ensure_future(rest), asyncio.ensure_future(self._stopping.wait())}
        _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()

    async def _gathered(self) -> bool:
        """Whether a batch is to be had now; else a moment has passed."""
        policy = self._policy
        if policy.max_batch_timeout <= 0:
            return True
        count, waited = await self._queue.ready(self._handler.name)
        missing = policy.max_batch_timeout - waited
        if count >= policy.max_batch_size or (count and missing <= 0):
            return True
        seconds = min(missing, _LOOK_SECONDS) if count else _LOOK_SECONDS
        await self._rest(self._queue.wait(self._handler.name, seconds))
        return False

    async def once(self) -> int:
        """One batch: how many messages it had."""
        # What could not be reported to the queue last time comes first.
        await self._settle()
        policy, scheduler = self._policy, self._scheduler
        async with scheduler.receiving:
            most = policy.max_batch_size
            size = scheduler.size(most) if self._adaptive else most
            leased = await self._queue.receive(
                self._handler.name, limit=size, lease=policy.lease, size=policy.batch_bytes
            )
            if len(leased) == size:
                scheduler.backlog.set()
            else:
                scheduler.backlog.clear()
            if not leased:
                return 0
            failpoints.hit("lease.taken")
            self._pending = [BatchMessage(message, self._detached_messages) for message in leased]
            if any(message.failures for message in self._pending):
                await scheduler.alone()
                await self._work()
                return len(leased)
            scheduler.begin()
        began = time.monotonic()
        try:
            await self._work()
        finally:
            scheduler.end()
            scheduler.paced(len(leased), time.monotonic() - began)
        return len(leased)

    async def _work(self) -> None:
        """Run the handler over the current batch, then report to the queue."""
        # A message that ended the process or outlived its lease so often is dead-lettered without running the handler.
        for message in self._pending:
            if message.failures > self._policy.max_retries:
                lease = self._policy.lease
                message.give_up(f"the process ended or it took longer than {lease:g} s, again and again")
        if undecided := [message for message in self._pending if message.decision is None]:
            await self._handle(Batch(self._handler.name, undecided))
        await self._settle()

    async def _handle(self, batch: Batch) -> None:
        raised: Exception | None
        try:
            async with asyncio.timeout(self._policy.limit) as limit:
                raised = await self._handler.queue(batch)
        except OutOfServiceError:
            raise
        # One message's failure must not stop the consumer.
        except Exception as error:
            raised = error
            if limit.expired():
                # One of them takes too long: when their leases run out they come one by one.
                log.warning("not done within its lease", queue=batch.queue, messages=len(batch.messages))
                late = {message.id for message in batch.messages if message.decision is None}
                self._pending = [message for message in self._pending if message.id not in late]
                return
        if isinstance(raised, StoreError):
            log.warning("queue waits for a store", queue=batch.queue, error=str(raised))
        temporary = isinstance(raised, StoreError)
        batch.decide(None if raised is None else Decision(False, None, str(raised) or repr(raised), temporary))

    async def _settle(self) -> None:
        """Report to the queue what became of each; what is reported is no longer in the current batch."""
        decided = [message for message in self._pending if message.decision is not None]
        if not decided:
            return
        await self._report(decided)
        self._pending = [message for message in self._pending if message.decision is None]

    async def _report(self, messages: Sequence[BatchMessage]) -> None:
        settlements = [await self._settlement(message) for message in messages]
        done = any(settlement.done for settlement in settlements)
        if done:
            failpoints.hit("ack.before")
        await self._queue.settle(settlements)
        if done:
            failpoints.hit("ack.after")
        if dead := [settlement.message.id for settlement in settlements if settlement.dead]:
            to = self._policy.dead_letter_queue or None
            log.warning("messages are dead-lettered", worker=self._handler.name, ids=dead, to=to)

    async def _settlement(self, message: BatchMessage) -> Settlement:
        decision, policy = message.decision, self._policy
        assert decision is not None
        if decision.done:
            return Settlement(message.leased, done=True)
        error = (decision.error or "retried by the worker")[:1000]
        if decision.temporary:
            delay = backoff(message.deliveries) if decision.delay is None else decision.delay
            # A message that waits for something of its own continues to wait when this process stops.
            delay = 0.0 if self._stopping.is_set() and decision.delay is None else delay
            return Settlement(message.leased, error=error, delay=delay, counts=False)
        if message.failures >= policy.max_retries:
            await self._announce_dead(message, error)
            to = policy.dead_letter_queue
            return Settlement(message.leased, error=error, dead=True, counts=not message.spent, dead_letters=to)
        chosen = policy.retry_delay if decision.delay is None else decision.delay
        return Settlement(message.leased, error=error, delay=backoff(message.attempts) if chosen is None else chosen)

    async def _announce_dead(self, message: BatchMessage, error: str) -> None:
        try:
            await self._handler.dead(message, error)
        except StoreError:
            raise
        # A worker that fails at this too still leaves a dead letter, and does not affect its neighbours.
        except Exception:
            log.exception("dead() failed", error=error)

    def _detached(self, message: BatchMessage) -> None:
        self._pending = [other for other in self._pending if other.id != message.id]

    async def _settle_one(self, message: BatchMessage) -> None:
        """The same for one that was worked on apart from its batch."""
        await self._report([message])


def backoff(attempts: int) -> float:
    """Seconds before the next try: doubling from 1 s to 300 s, with jitter so that retries do not march in step."""
    longest: float = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(attempts - 1, 20))
    return longest * (0.5 + random.random() / 2)  # noqa: S311 - jitter, no secret
