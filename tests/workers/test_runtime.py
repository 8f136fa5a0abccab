"""A worker is other people's code: whatever it does, the sender hears the right word and the queue goes on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dmarcworks.bindings.contracts import SYSTEM_QUEUE, LeasedMessage
from dmarcworks.errors import StoreError, UsageError
from dmarcworks.ingest.backpressure import never_full
from dmarcworks.ingest.environment import Env
from dmarcworks.workers import consumer as consumers
from dmarcworks.workers.batch import Batch, BatchMessage, Decision
from dmarcworks.workers.bound import BoundWorker
from dmarcworks.workers.consumer import Consumer, backoff
from dmarcworks.workers.context import Context
from dmarcworks.workers.message import Message
from tests.support.harness import Harness
from tests.support.ingesting import system_consumer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="package")
TO = "ab@reports.example.net"


@dataclass
class Worker:
    """A worker that does what it is told."""

    fault: Exception | None = None
    reject: str = ""
    seconds: float = 0.0
    seen: list[int] = field(default_factory=list)
    queue_faults: list[Exception] = field(default_factory=list)
    dead_faults: list[Exception] = field(default_factory=list)
    buried: list[int] = field(default_factory=list)

    async def recipient(self, address: str, env: Env) -> bool:
        return True

    async def email(self, message: Message, env: Env, ctx: Context) -> str:
        await asyncio.sleep(self.seconds)
        if self.fault:
            raise self.fault
        if self.reject:
            message.set_reject(self.reject)
        return "taken"

    async def queue(self, batch: Batch, env: Env, ctx: Context) -> None:
        if self.queue_faults:
            raise self.queue_faults.pop(0)
        for message in batch.messages:
            if message.body.get("bad"):
                message.retry(error="bad")
            else:
                self.seen.append(message.body["n"])

    async def dead(self, message: BatchMessage, error: str, env: Env) -> None:
        if self.dead_faults:
            raise self.dead_faults.pop(0)
        self.buried.append(message.body["n"])


@pytest.mark.parametrize(
    ("worker", "reply"),
    [
        (Worker(), "250 2.0.0 Accepted"),
        (Worker(reject="No\r\n250 OK"), "550 5.7.1 No 250 OK"),
        (Worker(fault=StoreError("disk full")), "451 4.3.0 Cannot keep the mail now, try again later"),
        (Worker(fault=ValueError("bug")), "451 4.3.0 Cannot keep the mail now, try again later"),
        (Worker(seconds=5), "451 4.3.0 Cannot keep the mail now, try again later"),
    ],
    ids=["return", "reject", "store away", "bug", "too slow"],
)
async def test_what_a_worker_does_becomes_a_reply(worker: Worker, reply: str) -> None:
    """Return is 250, reject is 550 on one line, anything raised or too slow is 451."""
    bound = BoundWorker(SYSTEM_QUEUE, worker, cast("Any", SimpleNamespace(full=never_full)), seconds=0.2)
    assert (await bound.deliver(Message("", TO, b"x"))).reply == reply


def consumer(worker: Worker, harness: Harness) -> Consumer:
    bound = BoundWorker(SYSTEM_QUEUE, worker, harness.env, dead=worker.dead)
    return system_consumer(harness.env, bound, max_batch_size=10, max_retries=1)


async def test_the_first_word_on_an_item_counts() -> None:
    """Acknowledged is acknowledged, given back is given back."""
    message = BatchMessage(LeasedMessage(1, SYSTEM_QUEUE, "json", b"{}", datetime.now(UTC), 1))
    message.ack()
    message.retry(error="late")
    assert message.decision == Decision(True)


async def test_a_failed_batch_comes_again(harness: Harness) -> None:
    """A queue() that raises loses nothing; the next try does the work."""
    worker = Worker(queue_faults=[RuntimeError("bug")])
    turning = consumer(worker, harness)
    for n in range(3):
        await harness.send({"n": n})
    assert await turning.once() == 3
    harness.clock.now += 600
    assert await turning.once() == 3
    assert sorted(worker.seen) == [0, 1, 2]
    assert (await harness.stats()).dead == 0


async def test_what_is_given_up_is_told_and_kept(harness: Harness) -> None:
    """After its retries an item is a dead letter; a dead() that fails buries it all the same."""
    worker = Worker(dead_faults=[KeyError("no such field")])
    turning = consumer(worker, harness)
    await harness.send({"n": 1, "bad": True})
    await harness.send({"n": 2, "bad": True})
    await harness.send({"n": 3})
    for _ in range(2):
        await turning.once()
        harness.clock.now += 600
    assert worker.buried == [2]
    assert worker.seen == [3]
    stats = await harness.stats()
    assert (stats.ready, stats.delayed, stats.leased, stats.dead) == (0, 0, 0, 2)


async def test_a_running_consumer_survives_everything(harness: Harness) -> None:
    """A store that is away, a driver's surprise: reading goes on and the trouble is told while it lasts."""
    worker = Worker()
    turning = consumer(worker, harness)
    harness.queue.before["receive"] = [StoreError("away"), RuntimeError("surprise")]
    await harness.send({"n": 7})
    running = asyncio.create_task(turning.run())
    troubles = set()

    def seen() -> list[int]:
        troubles.add(turning.trouble)
        return worker.seen

    await wait_until(seen, "the item read")
    await asyncio.wait_for(turning.stop(), 2)
    assert running.done()
    assert worker.seen == [7]
    assert {"away", "RuntimeError('surprise')"} <= troubles
    assert turning.trouble == ""


async def test_stop_finishes_the_batch_at_hand(harness: Harness) -> None:
    """What is in work is finished and acknowledged before stop returns."""
    entered, leave = asyncio.Event(), asyncio.Event()

    class Slow(Worker):
        async def queue(self, batch: Batch, env: Env, ctx: Context) -> None:
            entered.set()
            await leave.wait()
            await super().queue(batch, env, ctx)

    worker = Slow()
    turning = consumer(worker, harness)
    await harness.send({"n": 1})
    running = asyncio.create_task(turning.run())
    await asyncio.wait_for(entered.wait(), 5)
    stopping = asyncio.create_task(turning.stop())
    await wait_until(turning._stopping.is_set, "the consumer asked to stop")
    leave.set()
    await asyncio.wait_for(stopping, 5)
    assert running.done()
    assert worker.seen == [1]
    stats = await harness.stats()
    assert (stats.ready, stats.leased) == (0, 0)


async def test_an_item_that_is_sent_wakes_the_consumer(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """No polling interval stands between the 250 and the reading: this one is an hour."""
    monkeypatch.setattr(consumers, "_LOOK_SECONDS", 3600.0)
    resting, real = asyncio.Event(), harness.queue._inner.wait

    async def wait(*args: Any) -> None:
        resting.set()
        await real(*args)

    monkeypatch.setattr(harness.queue._inner, "wait", wait)
    worker = Worker()
    turning = consumer(worker, harness)
    running = asyncio.create_task(turning.run())
    await asyncio.wait_for(resting.wait(), 10)
    await harness.send({"n": 1})
    await wait_until(lambda: worker.seen, "the item read")
    await turning.stop()
    assert running.done()


async def test_the_pause_before_a_retry_doubles_and_ends() -> None:
    """Between half and the whole of 1, 2, 4 … 300 seconds."""
    for attempts, longest in ((1, 1.0), (2, 2.0), (5, 16.0), (9, 256.0), (10, 300.0), (10_000, 300.0)):
        pauses = [backoff(attempts) for _ in range(50)]
        assert all(longest / 2 <= pause <= longest for pause in pauses)
        assert len(set(pauses)) > 1


async def test_a_message_shows_envelope_headers_and_its_bytes_once() -> None:
    """Headers without regard to case, raw once, a reason on one line."""
    message = Message("a@mail.example", TO, b"Subject: one\r\nX-A: b\r\n\r\nSubject: two\r\n", peer="192.0.2.1")
    assert (message.from_, message.to, message.peer, message.raw_size) == ("a@mail.example", TO, "192.0.2.1", 38)
    assert message.headers["subject"] == "one"
    assert message.headers["x-a"] == "b"
    assert (await message.raw()).endswith(b"Subject: two\r\n")
    with pytest.raises(UsageError, match=r"message\.raw can be read once"):
        await message.raw()
    message.set_reject("a\r\nb " * 400)
    assert message.reject_reason is not None
    assert "\n" not in message.reject_reason
    assert len(message.reject_reason) == 400
