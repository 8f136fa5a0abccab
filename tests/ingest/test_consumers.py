"""Several consumers in one process: batches overlap, a report in two of them counts once, a suspect is alone."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from dmarcworks.bindings.contracts import SYSTEM_QUEUE
from dmarcworks.ingest.batching import BatchScheduler
from dmarcworks.ingest.environment import Env
from dmarcworks.workers.batch import Batch, BatchMessage
from dmarcworks.workers.bound import BoundWorker
from dmarcworks.workers.consumer import Consumer
from dmarcworks.workers.context import Context
from dmarcworks.workers.message import Message
from tests.support.harness import Harness
from tests.support.ingesting import system_consumer
from tests.support.mails import report_mail
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="package")
ACCEPTED = "250 2.0.0 Accepted"


@dataclass
class Held:
    """A worker that holds each batch until it is let go; the most batches at once, and what they were."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    now: int = 0
    most: int = 0
    batches: list[list[int]] = field(default_factory=list)

    async def recipient(self, address: str, env: Env) -> bool:
        return True

    async def email(self, message: Message, env: Env, ctx: Context) -> str:
        return "taken"

    async def queue(self, batch: Batch, env: Env, ctx: Context) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        self.batches.append([message.body["n"] for message in batch.messages])
        await self.go.wait()
        self.now -= 1

    async def dead(self, message: BatchMessage, error: str, env: Env) -> None:
        raise AssertionError("nothing is given up here")


def held_consumer(
    harness: Harness, worker: Held, scheduler: BatchScheduler, size: int, helps: bool = False
) -> Consumer:
    bound = BoundWorker(SYSTEM_QUEUE, worker, harness.env, dead=worker.dead)
    return system_consumer(harness.env, bound, scheduler=scheduler, helps=helps, max_batch_size=size)


class CountedLock(asyncio.Lock):
    """Knows how many have asked for it."""

    asked = 0

    async def acquire(self) -> Literal[True]:
        self.asked += 1
        return await super().acquire()


async def test_who_helps_begins_when_more_waits_than_a_batch_holds(harness: Harness) -> None:
    """Two batches are in hand while there is a backlog; without one the helper rests."""
    worker, scheduler = Held(), BatchScheduler()
    pair = [held_consumer(harness, worker, scheduler, 2, helps) for helps in (False, True)]
    for n in range(3):
        await harness.send({"n": n})
    running = [asyncio.create_task(one.run()) for one in pair]
    await wait_until(lambda: len(worker.batches) == 2, "two batches in hand")
    assert worker.most == 2
    assert worker.batches == [[0, 1], [2]]
    worker.go.set()
    await wait_until(lambda: not worker.now, "both batches done")
    await harness.send({"n": 3})
    await wait_until(lambda: len(worker.batches) == 3, "the third batch")
    assert worker.batches[2] == [3]
    await asyncio.gather(*(one.stop() for one in pair))
    assert all(task.done() for task in running)
    stats = await harness.stats()
    assert (stats.ready, stats.delayed, stats.leased, stats.dead) == (0, 0, 0, 0)


async def test_what_may_have_ended_a_process_is_worked_on_alone(harness: Harness) -> None:
    """A suspect waits for the batch that is in hand, and no other begins beside it."""
    worker, scheduler = Held(), BatchScheduler()
    await harness.send({"n": 0})
    (lost,) = await harness.env.queue.receive(SYSTEM_QUEUE, limit=1, lease=60)
    harness.clock.now += 61  # its lease ran out: it may have killed who held it
    for n in (1, 2):
        await harness.send({"n": n})
    first, second, third = (held_consumer(harness, worker, scheduler, 1) for _ in range(3))
    scheduler.begin()  # a batch of somebody else
    scheduler.receiving = lock = CountedLock()
    tasks = [asyncio.create_task(one.once()) for one in (first, second, third)]

    async def suspect_leased() -> bool:
        return lock.asked == 3 and (await harness.stats()).leased == 1

    await wait_until(suspect_leased, "the suspect fetched and both others at the lock")
    assert worker.batches == []
    scheduler.end()
    await wait_until(lambda: worker.batches, "the suspect in hand")
    assert lock.locked()  # so that no other is fetched
    assert worker.batches == [[json.loads(lost.body)["n"]]]
    worker.go.set()
    assert await asyncio.gather(*tasks) == [1, 1, 1]
    assert worker.batches[0] == [0]
    assert sorted(worker.batches[1:]) == [[1], [2]]


async def test_a_report_in_two_batches_at_once_counts_once(harness: Harness) -> None:
    """The second looks for the rows when the first has brought them, not while they are on their way."""
    for _ in range(2):
        assert await harness.mail(report_mail("r-1")) == ACCEPTED
    insert, begun = harness.analytics._inner.insert, []

    async def slowly(*args: Any) -> None:
        begun.append(args[0])
        await asyncio.sleep(0.3)  # the slow store that this test is about
        await insert(*args)

    class Slow:
        def __getattr__(self, name: str) -> Any:
            return slowly if name == "insert" else getattr(harness.analytics, name)

    harness.replace(analytics=Slow())
    scheduler = BatchScheduler()
    pair = [system_consumer(harness.env, scheduler=scheduler, max_batch_size=1) for _ in range(2)]
    assert await asyncio.gather(*(one.once() for one in pair)) == [1, 1]
    assert await harness.total() == (1, 2, 5)
    assert begun == ["dmarc_reports"]


async def test_the_size_of_a_batch_follows_the_work(harness: Harness) -> None:
    """A consumer asks for what the pace allows, and tells how long it took."""
    worker, scheduler = Held(), BatchScheduler()
    worker.go.set()
    for n in range(103):
        await harness.send({"n": n})
    one = held_consumer(harness, worker, scheduler, 1000)
    assert [await one.once() for _ in range(3)] == [100, 3, 0]
    assert scheduler.size(1000) == 200
