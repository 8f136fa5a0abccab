"""Runs a worker: a mail through `email()` to an SMTP reply, queue items through `queue()` to acknowledge or retry.

Return = 250, `set_reject` = 550 5.7.1, an exception or a time-out = 451 (PLATFORM §1.3). Queue items are delivered at
least once; per item the first of `ack` and `retry` wins; what failed more than `max_retries` times becomes a dead
letter, and what ended the process or took longer than its lease so many times is given up before the worker sees it
again. An item that failed because a store is away does not use up its tries: it waits for the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import structlog

from dmarcworks.bindings.contracts import KV, Analytics, Leases, Objects, Queue, QueueMessage
from dmarcworks.catalogue.arrivals import Arrivals
from dmarcworks.catalogue.problems import Problems
from dmarcworks.errors import DmarcworksError, StoreError
from dmarcworks.ingest.backpressure import FULL, never_full
from dmarcworks.ingest.batching import BatchScheduler
from dmarcworks.process import failpoints
from dmarcworks.process.metrics import Metrics
from dmarcworks.reports.bounds import Bounds
from dmarcworks.workers.aside import Asides
from dmarcworks.workers.message import Message
from dmarcworks.workers.reading import InProcess, Reader

log = structlog.get_logger("dmarcworks.worker")

ACCEPTED = "250 2.0.0 Accepted"
TRY_LATER = "451 4.3.0 Cannot keep the mail now, try again later"
_FIRST_DELAY, _LONGEST_DELAY = 1.0, 300.0
# Of a lease, what a batch may take; the rest is for saying what came of it.
_OF_LEASE = 0.9
_HAND_BACK_SECONDS = 1.5


Prove = Callable[[Sequence[Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Env:
    """The bindings by name, and what stands on them."""

    kv: KV
    objects: Objects
    queue: Queue
    analytics: Analytics
    arrivals: Arrivals
    problems: Problems
    bounds: Bounds
    now: Callable[[], datetime]
    # What is kept of the message that a failure report quotes: keep, headers or drop.
    failure_originals: str = "headers"
    metrics: Metrics | None = None
    # Asked with the mails that were read: are they genuine (`workers.proof`).
    prove: Prove | None = None
    # Why no more mail is taken now, or "".
    full: Callable[[], Awaitable[str]] = never_full
    # Held by whoever reads a batch, so that two large reports are not in memory at once, and by whoever publishes one:
    # what a batch looks for in Analytics must not be on its way there by another.
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    publishing: asyncio.Lock = field(default_factory=asyncio.Lock)
    # Reads mails and files in processes of its own.
    isolated: Reader | None = None
    # Renews the lease of what is worked on for long.
    leases: Leases | None = None

    @property
    def reader(self) -> Reader:
        """What reads mails and files; without isolated processes threads of this one."""
        return self.isolated or InProcess(self.bounds, self.failure_originals)


class BatchMessage:
    """A queue item in a batch: `ack()` or `retry()`, the first call wins.

    `attempts`: deliveries, this one too; `failures`: those before that failed or never ended.
    """

    def __init__(self, leased: QueueMessage, asides: Asides | None = None) -> None:
        self._asides = asides
        self.id = leased.id
        self.body: Mapping[str, Any] = leased.body
        self.sent = leased.sent
        self.attempts = leased.attempts
        self.failures = leased.failures
        self.outcome: str | None = None
        self.error = ""
        self.temporary = False
        self.delay: float | None = None

    def ack(self) -> None:
        """Done."""
        self.outcome = self.outcome or "ack"

    def retry(self, error: str = "", *, temporary: bool = False, delay: float | None = None) -> None:
        """Again later, in `delay` seconds when that is given; `temporary` when a store or DNS was unavailable, so that
        the try does not count."""
        if self.outcome in (None, "aside"):
            self.outcome, self.error, self.temporary, self.delay = "retry", error, temporary, delay

    @property
    def waits(self) -> bool:
        """Whether it is to come again."""
        return self.outcome == "retry"

    def aside(self, prepare: Callable[[], Awaitable[Any]], work: Callable[[Any], Awaitable[None]]) -> bool:
        """Work on it apart from its batch, which ends without it; False where nobody does that.

        `prepare` runs beside everything else; `work` then gets what it returned, as for a batch of this message.
        """
        if self._asides is None:
            return False
        if self._asides.full:
            self.retry("many mails wait to be read by themselves", temporary=True)
        elif self.outcome is None:
            self.outcome = "aside"
            self._asides.begin(self, prepare, work)
        return True


class Worker(Protocol):
    """A module with these three; `recipient` answers None to accept, else the reason for 550."""

    async def recipient(self, address: str, env: Env) -> bool:
        """Asked at RCPT: is this address ours?"""

    async def email(self, message: Message, env: Env) -> str:
        """Take the mail durably; a word for the log."""

    async def queue(self, batch: Sequence[BatchMessage], env: Env) -> None:
        """Do the work; acknowledge or retry each."""

    async def dead(self, message: BatchMessage, env: Env) -> None:
        """Told of an item that is about to be given up, so that a person hears of it."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a mail: the SMTP reply, the worker's word for the log (its error when not 250), and how long."""

    reply: str
    word: str
    seconds: float


async def deliver(worker: Worker, message: Message, env: Env, *, seconds: float = 30.0) -> str:
    """Run `email()` and translate its outcome into an SMTP reply; one log line per mail."""
    return (await run(worker, message, env, seconds=seconds)).reply


async def run(worker: Worker, message: Message, env: Env, *, seconds: float = 30.0) -> Delivered:
    """The same with what else is known of the outcome."""
    started = time.perf_counter()
    outcome, reply = "", TRY_LATER
    if full := await env.full():
        return Delivered(FULL, full, 0.0)
    try:
        async with asyncio.timeout(seconds):
            outcome = await worker.email(message, env)
        reply = ACCEPTED if message.reject_reason is None else f"550 5.7.1 {message.reject_reason}"
    except TimeoutError:
        outcome = f"no outcome within {seconds:g} s"
    except DmarcworksError as error:
        outcome = str(error)
    # A worker is other people's code: whatever it raises is 451 for the sender and a line in our log.
    except Exception as error:
        outcome = repr(error)
        log.exception("worker failed")
    took = time.perf_counter() - started
    log.info(
        "mail",
        id=outcome if reply == ACCEPTED else None,
        recipient=message.to,
        sender=message.from_,
        peer=message.peer,
        size=message.raw_size,
        outcome=reply[:3] if reply == ACCEPTED else f"{reply[:3]} {outcome}",
        ms=round(took * 1000, 1),
    )
    return Delivered(reply, outcome, took)


class Consumer:
    """Feeds a worker's `queue()` from a queue until stopped.

    Several share `turns`; one that `helps` works only while more waits than a batch holds.
    """

    def __init__(
        self,
        worker: Worker,
        env: Env,
        *,
        batch: int = 50,
        lease: float = 300.0,
        max_retries: int = 5,
        turns: BatchScheduler | None = None,
        helps: bool = False,
    ) -> None:
        self._worker = worker
        self._env = env
        self._batch = batch
        self._lease = lease
        self._max_retries = max_retries
        self._turns = turns or BatchScheduler()
        self._helps = helps
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._in_hand: list[BatchMessage] = []
        self._asides = Asides(env.leases, lease, self._turns, self._not_in_hand, self._settle_one)
        self.trouble = ""

    def start(self) -> None:
        """Begin to consume."""
        self._task = asyncio.create_task(self._run(), name="queue consumer")

    async def stop(self, grace: float = 5.0) -> None:
        """Finish the batch at hand within `grace` seconds; of a longer one hand back at once what is not done."""
        self._stopping.set()
        if self._task is None:
            return
        until = time.monotonic() + grace
        with contextlib.suppress(TimeoutError, asyncio.CancelledError):
            await asyncio.wait_for(self._task, grace)
        await self._asides.finish(until - time.monotonic())
        if not self._in_hand:
            return
        for message in self._in_hand:
            message.retry("handed back: the process was stopped", temporary=True)
        log.info("handed back", mails=len(self._in_hand))
        # A store that is away now: the lease brings them back.
        with contextlib.suppress(TimeoutError, StoreError):
            await asyncio.wait_for(self._settle(), _HAND_BACK_SECONDS)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._helps and not self._turns.backlog.is_set():
                    await self._pause(self._turns.backlog.wait())
                elif not await self.once():
                    await self._pause(self._env.queue.wait(1.0))
                self.trouble = ""
            except StoreError as error:
                if self.trouble != str(error):
                    log.warning("queue waits for a store", error=str(error))
                self.trouble = str(error)
                await self._pause(asyncio.sleep(1.0))
            # Mail is taken while this runs: whatever happened here, reading goes on. The batch's lease brings it back.
            except Exception as error:
                log.exception("consumer failed")
                self.trouble = repr(error)
                await self._pause(asyncio.sleep(1.0))

    async def _pause(self, rest: Awaitable[object]) -> None:
        waits = {asyncio.ensure_future(rest), asyncio.ensure_future(self._stopping.wait())}
        _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()

    async def once(self) -> int:
        """One batch: how many items it had."""
        # What the queue could not be told last time it hears first.
        await self._settle()
        async with self._turns.receiving:
            size = self._turns.size(self._batch)
            leased = await self._env.queue.receive(limit=size, lease=self._lease)
            if len(leased) == size:
                self._turns.backlog.set()
            else:
                self._turns.backlog.clear()
            if not leased:
                return 0
            failpoints.hit("lease.taken")
            self._in_hand = [BatchMessage(item, self._asides) for item in leased]
            if any(message.failures for message in self._in_hand):
                await self._turns.alone()
                await self._deal()
                return len(leased)
            self._turns.begin()
        began = time.monotonic()
        try:
            await self._deal()
        finally:
            self._turns.end()
            self._turns.paced(len(leased), time.monotonic() - began)
        return len(leased)

    async def _deal(self) -> None:
        """What is in hand: worked on, and the queue told."""
        spent = [message for message in self._in_hand if message.failures > self._max_retries]
        for message in spent:
            message.retry(f"the process ended or it took longer than {self._lease:g} s, again and again")
        if batch := [message for message in self._in_hand if message.outcome is None]:
            await self._work(batch)
        await self._settle()

    async def _work(self, batch: Sequence[BatchMessage]) -> None:
        try:
            async with asyncio.timeout(self._lease * _OF_LEASE) as limit:
                await self._worker.queue(batch, self._env)
        except StoreError as error:
            log.warning("queue waits for a store", error=str(error))
            for message in self._in_hand:
                message.retry(str(error), temporary=True)
        # One item's failure must not stop the consumer: what was not acknowledged is tried again, then kept as dead.
        except Exception as error:
            if limit.expired():
                # One of them takes too long: when their leases run out they come one by one.
                log.warning("not done within its lease", mails=len(batch), seconds=self._lease)
                late = [message for message in batch if message.outcome is None]
                self._in_hand = [message for message in self._in_hand if message not in late]
                return
            log.exception("queue() failed")
            for message in self._in_hand:
                message.retry(repr(error))
        for message in self._in_hand:
            message.ack()  # whatever the worker said nothing of

    async def _settle(self) -> None:
        """Tell the queue what came of each; what it was told is no longer in hand."""
        done = [message for message in self._in_hand if message.outcome == "ack"]
        if done:
            failpoints.hit("ack.before")
            await self._env.queue.ack([message.id for message in done])
            failpoints.hit("ack.after")
        self._in_hand = [message for message in self._in_hand if message.outcome != "ack"]
        while self._in_hand:
            await self._give_back(self._in_hand[0])
            self._in_hand.pop(0)

    def _not_in_hand(self, message: BatchMessage) -> None:
        self._in_hand = [other for other in self._in_hand if other is not message]

    async def _settle_one(self, message: BatchMessage) -> None:
        """The same for one that was worked on apart from its batch."""
        if message.outcome == "ack":
            failpoints.hit("ack.before")
            await self._env.queue.ack([message.id])
            failpoints.hit("ack.after")
        else:
            await self._give_back(message)

    async def _give_back(self, message: BatchMessage) -> None:
        if message.temporary:
            # What waits for something of its own goes on waiting when this process stops.
            delay = 0.0 if self._stopping.is_set() else backoff(message.attempts)
            delay = delay if message.delay is None else message.delay
            await self._env.queue.retry(message.id, delay=delay, error=message.error, counts=False)
        elif message.failures >= self._max_retries:
            await self._bury(message)
        else:
            await self._env.queue.retry(
                message.id,
                delay=backoff(message.failures + 1),
                error=message.error,
                max_retries=self._max_retries,
            )

    async def _bury(self, message: BatchMessage) -> None:
        try:
            message.failures = max(message.failures, self._max_retries + 1)
            await self._worker.dead(message, self._env)
        except StoreError:
            raise
        # A worker that fails at this too leaves a dead letter all the same, and its neighbours alone.
        except Exception:
            log.exception("dead() failed", error=message.error)
        await self._env.queue.retry(message.id, error=message.error, max_retries=0)


def backoff(attempts: int) -> float:
    """Seconds before the next try: doubling from 1 s to 300 s, with jitter so that retries do not march in step."""
    longest: float = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(attempts - 1, 20))
    return longest * (0.5 + random.random() / 2)  # noqa: S311 - jitter, no secret
