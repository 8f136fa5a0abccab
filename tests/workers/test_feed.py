"""Promise of a user's queue(): done is done, what failed comes again or ends as a dead letter, all else goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio

from dmarcworks.bindings.contracts import QueueStats
from dmarcworks.bindings.sqlite import SqliteDatabase
from dmarcworks.bindings.sqlite_stores import SqliteQueue
from dmarcworks.errors import BoundError, SettingsError, StoreError, UsageError
from dmarcworks.workers import consumer as consumers
from dmarcworks.workers import load
from dmarcworks.workers.consumer import Consumer, QueuePolicy
from dmarcworks.workers.environment import QueueBinding, environment
from dmarcworks.workers.isolated import IsolatedWorker
from dmarcworks.workers.points import DataPointOwner
from tests.support.harness import Clock
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="package")
Handler = Callable[[Any, Any, Any], Any]
AT_ONCE = QueuePolicy(max_batch_timeout=0, retry_delay=0)


class Bench:
    """Queues, and workers whose handler a test writes."""

    def __init__(self, queues: SqliteQueue, clock: Clock) -> None:
        self.queues, self.clock = queues, clock
        self.seen: list[tuple[Any, int]] = []
        self._closing: list[IsolatedWorker] = []

    def feed(
        self, handler: Handler, feeding: QueuePolicy = AT_ONCE, name: str = "mine", seconds: float = 5
    ) -> Consumer:
        module = ModuleType(name)
        module.queue = handler  # type: ignore[attr-defined]

        def env(loop: asyncio.AbstractEventLoop, owner: DataPointOwner) -> Any:
            none: Any = None
            return environment(name, {}, none, none, none, self.queues, True, loop, owner)

        self._closing.append(IsolatedWorker(name, module, env, seconds=seconds))
        return Consumer(self._closing[-1], self.queues, replace(feeding, lease=seconds + 30))

    def binding(self, queue: str = "mine") -> QueueBinding:
        return QueueBinding(self.queues, queue, asyncio.get_running_loop())

    async def stats(self, queue: str = "mine") -> tuple[int, int, int, int]:
        found = (await self.queues.stats()).get(queue, QueueStats(0, 0, 0, 0))
        return found.ready, found.delayed, found.leased, found.dead

    def close(self) -> None:
        for worker in self._closing:
            worker.close()


@pytest_asyncio.fixture(loop_scope="package")
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    database = SqliteDatabase(tmp_path / "queue.db")
    await database.migrate()
    clock = Clock()
    made = Bench(SqliteQueue(database, clock), clock)
    yield made
    made.close()
    await database.close()


async def test_bodies_come_as_they_were_sent(bench: Bench) -> None:
    """JSON, text and bytes; with id, time and number of the delivery; a batch has the queue's name."""
    seen: list[Any] = []

    async def queue(batch: Any, env: Any, ctx: Any) -> None:
        seen.append(batch.queue)
        seen.extend((one.id, one.timestamp.timestamp(), one.body, one.attempts) for one in batch.messages)

    here = bench.binding()
    await here.send({"n": 1, "text": "ü"})
    await here.send("plain \ud800", content_type="text")
    await here.send_batch([{"body": b"\0\xff", "content_type": "bytes"}, {"body": [None]}])
    assert await bench.feed(queue).once() == 4
    now = bench.clock.now
    assert seen == [
        "mine",
        ("1", now, {"n": 1, "text": "ü"}, 1),
        ("2", now, "plain \ud800", 1),
        ("3", now, b"\0\xff", 1),
        ("4", now, [None], 1),
    ]
    assert await bench.stats() == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ([{"body": "x" * 127_999}], BoundError),
        ([{"body": 1}] * 101, BoundError),
        ([{"body": "x" * 100_000, "content_type": "text"}] * 3, BoundError),
        ([{"body": float("nan")}], UsageError),
        ([{"body": object()}], UsageError),
        ([{"body": 1, "content_type": "text"}], UsageError),
        ([{"body": "x", "content_type": "v8"}], UsageError),
        ([{"body": 1, "delay_seconds": -1}], UsageError),
        ([{"body": 1, "delay_seconds": 43_201}], UsageError),
        ([{"body": 1, "delay": 1}], UsageError),
        ([1], UsageError),
    ],
    ids=range(11),
)
async def test_what_is_over_a_limit_is_not_sent(bench: Bench, messages: Any, error: type[Exception]) -> None:
    """One wrong message of a batch and none is sent."""
    with pytest.raises(error):
        await bench.binding().send_batch([{"body": "good"}, *messages])
    assert await bench.stats() == (0, 0, 0, 0)


async def test_what_is_at_a_limit_is_sent(bench: Bench) -> None:
    """128,000 bytes, 100 messages, 256,000 bytes together, 12 hours."""
    here = bench.binding()
    await here.send("x" * 128_000, content_type="text", delay_seconds=43_200)
    await here.send_batch([{"body": "x" * 2560, "content_type": "text"}] * 100)
    assert await bench.stats() == (100, 1, 0, 0)


async def test_the_first_word_counts_and_a_messages_own_beats_the_batchs(bench: Bench) -> None:
    """ack then retry is ack; retry then ack is retry; ack_all and retry_all are for the others; silence is done."""

    async def queue(batch: Any, env: Any, ctx: Any) -> None:
        first, second, third, *_ = batch.messages
        bench.seen += [(one.body, one.attempts) for one in batch.messages]
        if batch.queue == "mine" and first.attempts == 1:
            first.ack()
            first.retry()
            second.retry(delay_seconds=40)
            second.ack()
            batch.retry_all(delay_seconds=10)
            batch.ack_all()
            third.ack()

    await bench.binding().send_batch([{"body": n} for n in range(6)])
    feed = bench.feed(queue)
    assert await feed.once() == 6
    assert await bench.stats() == (0, 4, 0, 0)
    bench.clock.now += 10
    assert await feed.once() == 3
    assert await bench.stats() == (0, 1, 0, 0)
    assert bench.seen[6:] == [(3, 2), (4, 2), (5, 2)]


@pytest.mark.parametrize("how", ["exception", "exit", "time-out", "block"])
async def test_a_failure_repeats_all_but_the_acknowledged(bench: Bench, how: str) -> None:
    """Whatever way queue() fails, what was acknowledged stays done, and the rest comes again."""

    async def queue(batch: Any, env: Any, ctx: Any) -> None:
        bench.seen += [(one.body, one.attempts) for one in batch.messages]
        if batch.messages[0].attempts == 1:
            batch.messages[0].ack()
            if how == "exception":
                raise ValueError("a bug")
            if how == "exit":
                raise SystemExit(3)
            if how == "time-out":
                await asyncio.sleep(60)
            while True:
                time.sleep(0.01)

    await bench.binding().send_batch([{"body": n} for n in range(3)])
    feed = bench.feed(queue, seconds=0.3)
    assert await feed.once() == 3
    assert await bench.stats() == (2, 0, 0, 0)
    assert await feed.once() == 2
    assert bench.seen == [(0, 1), (1, 1), (2, 1), (1, 2), (2, 2)]
    assert await bench.stats() == (0, 0, 0, 0)


async def test_the_poisonous_one_is_given_up_once_the_others_are_done(bench: Bench) -> None:
    """max_retries=3: the fourth delivery was the last; kept with its error, or moved to the dead letter queue."""

    async def queue(batch: Any, env: Any, ctx: Any) -> None:
        for one in batch.messages:
            bench.seen.append((one.body, one.attempts))
            if one.body == "poison":
                raise ValueError("no such thing")
            one.ack()

    async def graves(batch: Any, env: Any, ctx: Any) -> None:
        bench.seen += [(batch.queue, one.body, one.attempts) for one in batch.messages]  # type: ignore[misc]

    await bench.binding().send_batch([{"body": "good"}, {"body": "poison"}])
    feed = bench.feed(queue)
    assert [await feed.once() for _ in range(5)] == [2, 1, 1, 1, 0]
    assert bench.seen == [("good", 1), *[("poison", n) for n in (1, 2, 3, 4)]]
    (dead,) = await bench.queues.dead("mine")
    assert (dead.body, dead.error) == (b'"poison"', "ValueError('no such thing')")
    assert await bench.queues.requeue("mine", dead.id)
    buried = bench.feed(queue, QueuePolicy(max_batch_timeout=0, max_retries=0, dead_letter_queue="graves"))
    assert await buried.once() == 1
    assert await bench.feed(graves, name="graves").once() == 1
    assert bench.seen[-1] == ("graves", "poison", 1)
    assert await bench.queues.stats() == {}


async def test_a_store_that_is_away_uses_up_no_try(bench: Bench) -> None:
    """The worker lets StoreError through: the batch waits for the store as long as it takes."""
    away = [True]

    async def queue(batch: Any, env: Any, ctx: Any) -> None:
        bench.seen += [(one.body, one.attempts) for one in batch.messages]
        if away[0]:
            raise StoreError("disk full")

    await bench.binding().send(1)
    feed = bench.feed(queue)
    for _ in range(10):
        assert await feed.once() == 1
        assert (await bench.stats())[3] == 0
        bench.clock.now += 300
    away[0] = False
    assert await feed.once() == 1
    assert set(bench.seen) == {(1, 1)}
    assert await bench.queues.stats() == {}


async def test_what_ends_the_process_is_given_up_unseen(bench: Bench) -> None:
    """Leases that ran out: one alone is blamed each time, but not for its time in company; then it is given up."""

    async def queue(batch: Any, env: Any, ctx: Any) -> None:
        bench.seen += [(one.body, one.attempts) for one in batch.messages]

    await bench.binding().send("deadly")
    for _ in range(5):
        assert len(await bench.queues.receive("mine", limit=10, lease=60)) == 1
        bench.clock.now += 61
    assert await bench.feed(queue).once() == 1
    assert bench.seen == []
    assert [dead.error for dead in await bench.queues.dead("mine")] == [
        "the process ended or it took longer than 35 s, again and again"
    ]


async def test_a_worker_that_blocks_for_ever_stops_its_own_queue_only(bench: Bench) -> None:
    """After three blocks it is out of service: its messages wait and lose no try, another queue is consumed."""

    async def blocks(batch: Any, env: Any, ctx: Any) -> None:
        while True:
            time.sleep(0.01)

    async def works(batch: Any, env: Any, ctx: Any) -> None:
        bench.seen += [(one.body, one.attempts) for one in batch.messages]

    bad = bench.feed(blocks, QueuePolicy(max_batch_timeout=0, retry_delay=0, max_retries=100), seconds=0.1)
    good = bench.feed(works, name="other")
    await bench.binding().send(1)
    ended, running = asyncio.create_task(bad.run()), asyncio.create_task(good.run())
    await asyncio.wait_for(ended, 20)
    await bench.binding("other").send(2)
    await wait_until(lambda: bench.seen, "the other queue consumed")
    await asyncio.gather(bad.stop(), good.stop())
    assert running.done()
    assert bench.seen == [(2, 1)]
    assert await bench.stats() == (1, 0, 0, 0)
    (message,) = await bench.queues.receive("mine", limit=1, lease=60)
    assert message.failures == 3


async def test_a_batch_gathers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full batches come at once, a smaller one when its first message has waited max_batch_timeout."""

    async def queue(batch: Any, env: Any, ctx: Any) -> None:
        bench.seen.append((len(batch.messages), 0))

    looks, ready = list[str](), bench.queues.ready

    async def looked(name: str) -> tuple[int, float]:
        looks.append(name)
        return await ready(name)

    monkeypatch.setattr(bench.queues, "ready", looked)
    monkeypatch.setattr(consumers, "_LOOK_SECONDS", 0.02)
    feed = bench.feed(queue, QueuePolicy(max_batch_size=4, max_batch_timeout=30))
    await bench.binding().send_batch([{"body": n} for n in range(5)])
    running = asyncio.create_task(feed.run())
    await wait_until(lambda: bench.seen, "the full batch")
    before = len(looks)
    await wait_until(lambda: len(looks) >= before + 3, "three more looks at the smaller one")
    assert bench.seen == [(4, 0)]
    bench.clock.now += 30
    await bench.binding("else").send(1)
    await wait_until(lambda: len(bench.seen) == 2, "the smaller batch")
    await feed.stop()
    assert running.done()
    assert bench.seen == [(4, 0), (1, 0)]


async def test_a_stop_returns_what_is_not_done(bench: Bench) -> None:
    """The batch at hand comes again at the next start, with all its tries."""
    entered = asyncio.Event()
    here = asyncio.get_running_loop()

    async def queue(batch: Any, env: Any, ctx: Any) -> None:
        here.call_soon_threadsafe(entered.set)
        await asyncio.sleep(60)

    feed = bench.feed(queue, seconds=60)
    await bench.binding().send(1)
    running = asyncio.create_task(feed.run())
    await asyncio.wait_for(entered.wait(), 10)
    await asyncio.wait_for(feed.stop(0.2), 5)
    assert running.cancelled()
    (message,) = await bench.queues.receive("mine", limit=1, lease=60)
    assert message.failures == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mine", "is not worker.OPTION=value"),
        ("other.max_retries=1", "is not worker.OPTION=value"),
        ("mine.size=1", "is not worker.OPTION=value"),
        ("mine.max_batch_size=0", "max_batch_size is 1 to 100"),
        ("mine.max_batch_timeout=61", "max_batch_timeout is 0 to 60"),
        ("mine.max_retries=x", "max_retries is 0 to 100"),
        ("mine.dead_letter_queue=mine", "cannot take its own dead letters"),
    ],
)
async def test_a_wrong_option_is_told(text: str, words: str) -> None:
    """The setting, what stands there and what may."""
    with pytest.raises(SettingsError, match=f"DMARCWORKS_WORKER_QUEUES.*{words}"):
        load.parse_queues(text, {"mine": "x.py"})


async def test_every_queue_has_a_consumer() -> None:
    """What nobody would ever take out is refused at the start, by name."""
    found = load.parse_queues("a.max_retries=5, a.dead_letter_queue=b", {"a": "", "b": ""})
    assert found == {"a": QueuePolicy(max_retries=5, dead_letter_queue="b"), "b": QueuePolicy()}
    load.check_queues({"a", "b"}, {"a": {"Q": ("queue", "b"), "KV": ("kv", None)}}, found)
    nowhere: list[tuple[Mapping[str, Any], Mapping[str, QueuePolicy]]] = [
        ({"a": {"Q": ("queue", "c")}}, {}),
        ({"c": {"Q": ("queue", None)}}, {}),
        ({}, {"c": QueuePolicy(max_retries=1)}),
        ({}, {"a": QueuePolicy(dead_letter_queue="c")}),
    ]
    for bindings, feeding in nowhere:
        with pytest.raises(SettingsError, match=r"no worker 'c' has|worker 'c' has no"):
            load.check_queues({"a", "b"}, bindings, feeding)
