"""Feeds a user's worker from its queue: batches into `queue(batch, env, ctx)`, what came of each back into the store.

A batch waits until it is full or its first message has waited long enough. An exception or a time-out means the whole
batch again but for what was acknowledged; after its retries a message moves to the dead letter queue or stays as dead.
A store that is away uses up no try. Whatever the handler does, the server and the other queues go on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from dmarcworks.bindings.worker_queue import Given, Leased, WorkerQueues
from dmarcworks.errors import StoreError
from dmarcworks.workers.batch import Batch, QueueMessage
from dmarcworks.workers.isolated import IsolatedWorker, OutOfServiceError
from dmarcworks.workers.runtime import backoff

log = structlog.get_logger("dmarcworks.worker")

_LOOK = 1.0
# Beyond the handler's own time: what a batch may take to be settled before it counts as lost.
_MARGIN = 30.0


@dataclass(frozen=True, slots=True)
class Feeding:
    """How a queue is consumed: messages and seconds of a batch, retries, their pause, and where the given up go."""

    max_batch_size: int = 10
    max_batch_timeout: float = 5.0
    max_retries: int = 3
    retry_delay: float | None = None
    dead_letter_queue: str = ""


class Feed:
    """One worker's consumer. `start`, then `stop`."""

    def __init__(self, worker: IsolatedWorker, queues: WorkerQueues, feeding: Feeding, *, seconds: float) -> None:
        self._worker = worker
        self._queues = queues
        self._feeding = feeding
        self._lease = seconds + _MARGIN
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._in_hand: Sequence[Leased] = ()

    def start(self) -> None:
        """Begin to consume."""
        self._task = asyncio.create_task(self._run(), name=f"queue of {self._worker.name}")

    async def stop(self, grace: float = 1.0) -> None:
        """Finish the batch at hand within `grace` seconds, or hand it back: that delivery was no try."""
        self._stopping.set()
        if self._task is None:
            return
        done, _ = await asyncio.wait({self._task}, timeout=grace)
        if not done:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._in_hand:
            back = [Given(message, "handed back: the process was stopped", counts=False) for message in self._in_hand]
            with contextlib.suppress(StoreError, TimeoutError):
                await asyncio.wait_for(self._queues.settle([], back), grace)

    async def _run(self) -> None:
        name = self._worker.name
        while not self._stopping.is_set():
            try:
                if not await self._gathered():
                    continue
                await self.once()
            except OutOfServiceError as error:
                log.error("queue is not consumed any more", worker=name, error=str(error))
                return
            except StoreError as error:
                log.warning("queue waits for a store", worker=name, error=str(error))
                await self._rest(_LOOK)
            # Other queues and mail go on whatever happened here; the lease brings the batch back.
            except Exception:
                log.exception("queue consumer failed", worker=name)
                await self._rest(_LOOK)

    async def _gathered(self) -> bool:
        """Whether a batch is to be had now; else a moment has passed."""
        count, waited = await self._queues.ready(self._worker.name)
        missing = self._feeding.max_batch_timeout - waited
        if count >= self._feeding.max_batch_size or (count and missing <= 0):
            return True
        await self._rest(min(missing, _LOOK) if count else _LOOK)
        return False

    async def _rest(self, seconds: float) -> None:
        """Until something is sent, the process stops, or so many seconds have passed."""
        waits = {
            asyncio.ensure_future(self._queues.wait(self._worker.name, seconds)),
            asyncio.ensure_future(self._stopping.wait()),
        }
        _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()

    async def once(self) -> int:
        """One batch: how many messages it had."""
        feeding, name = self._feeding, self._worker.name
        leased = await self._queues.receive(name, limit=feeding.max_batch_size, lease=self._lease)
        if not leased:
            return 0
        self._in_hand = leased
        # One that ended the process or outlived its lease so often is given up unseen.
        spent = [message for message in leased if message.attempts > feeding.max_retries + 1]
        given = [Given(message, "the process ended while it was worked on", dead=True) for message in spent]
        alive = [message for message in leased if message not in spent]
        done: list[Leased] = []
        if alive:
            batch = Batch(name, [QueueMessage(message) for message in alive])
            error = await self._worker.queue(batch)
            for message, seen in zip(alive, batch.messages, strict=True):
                word = batch.outcome(seen, raised=error is not None)
                if word.done:
                    done.append(message)
                else:
                    given.append(self._again(message, word.delay, error))
        await self._queues.settle(done, given, feeding.dead_letter_queue)
        self._in_hand = ()
        if dead := [one.message.id for one in given if one.dead]:
            log.warning("messages are given up", worker=name, ids=dead, to=feeding.dead_letter_queue or None)
        return len(leased)

    def _again(self, message: Leased, delay: float | None, error: Exception | None) -> Given:
        if isinstance(error, StoreError):
            return Given(message, str(error), backoff(message.attempts), counts=False)
        if delay is None:
            delay = self._feeding.retry_delay
        if delay is None:
            delay = backoff(message.attempts)
        text = "retried by the worker" if error is None else str(error)
        return Given(message, text[:1000], delay, dead=message.attempts > self._feeding.max_retries)
