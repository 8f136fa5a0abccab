"""Promise of the workers' queues: at least once, each queue for itself, over every database."""

from __future__ import annotations

import asyncio

import pytest

from bindings.conftest import Clock
from dmarcworks.bindings.contracts import Database, QueueStats
from dmarcworks.bindings.worker_queue import Given, Sent, WorkerQueues


@pytest.fixture
def queues(any_database: Database, clock: Clock) -> WorkerQueues:
    return WorkerQueues(any_database, clock)


def text(body: str, delay: float = 0.0) -> Sent:
    return Sent("text", body.encode(), delay)


async def test_queues_do_not_mix(queues: WorkerQueues) -> None:
    """What is sent to one comes from that one, oldest first, and once while it is leased."""
    await asyncio.gather(queues.send("a", [text("1"), text("2")]), queues.send("b", [text("3")]))
    got = await queues.receive("a", limit=10, lease=60)
    assert [(message.body, message.type, message.attempts) for message in got] == [
        (b"1", "text", 1),
        (b"2", "text", 1),
    ]
    assert await queues.receive("a", limit=10, lease=60) == []
    assert await queues.receive("c", limit=10, lease=60) == []
    await queues.settle(got, [])
    assert await queues.stats() == {"b": QueueStats(1, 0, 0, 0, 0.0)}


async def test_delays_and_leases_end(queues: WorkerQueues, clock: Clock) -> None:
    """A delayed message is not there before; one whose lease ran out comes again and its first consumer has no say."""
    await queues.send("a", [text("now"), text("later", 30)])
    assert await queues.ready("a") == (1, 0.0)
    (first,) = await queues.receive("a", limit=10, lease=60)
    clock.now += 61
    assert await queues.ready("a") == (2, 31.0)
    again = await queues.receive("a", limit=10, lease=60)
    assert [(message.body, message.attempts) for message in again] == [(b"now", 2), (b"later", 1)]
    await queues.settle([first], [])
    await queues.settle([], [Given(first, "late", dead=True)])
    assert (await queues.stats())["a"] == QueueStats(0, 0, 2, 0, 61.0)


async def test_a_batch_has_its_bytes(queues: WorkerQueues) -> None:
    """256,000 bytes at most come together; one message always comes."""
    await queues.send("a", [Sent("bytes", b"x" * 128_000) for _ in range(3)])
    assert [len(await queues.receive("a", limit=10, lease=60)) for _ in range(3)] == [2, 1, 0]


async def test_what_is_given_up_stays_or_moves(queues: WorkerQueues, clock: Clock) -> None:
    """Without a dead letter queue it is kept with its error, revived or removed by hand; with one it is new there."""
    await queues.send("a", [text("1"), text("2")])
    one, two = await queues.receive("a", limit=10, lease=60)
    await queues.settle([], [Given(one, "broken", dead=True)])
    clock.now += 5
    await queues.settle([], [Given(two, "broken", dead=True)], "graves")
    (moved,) = await queues.receive("graves", limit=10, lease=60)
    assert (moved.id, moved.body, moved.sent, moved.attempts) == (two.id, b"2", two.sent, 1)
    (dead,) = await queues.dead("a")
    assert (dead.id, dead.queue, dead.body, dead.attempts, dead.error) == (one.id, "a", b"1", 1, "broken")
    assert await queues.dead(message_id=two.id) == []
    assert await queues.requeue("b", one.id) == 0
    assert await queues.requeue("a", one.id) == 1
    (alive,) = await queues.receive("a", limit=10, lease=60)
    assert (alive.id, alive.attempts) == (one.id, 1)
    await queues.settle([], [Given(alive, "broken", dead=True)])
    assert [await queues.discard("a", one.id), await queues.discard("a", one.id)] == [1, 0]


async def test_all_that_is_dead_is_taken_together(queues: WorkerQueues, clock: Clock) -> None:
    """Of one queue or of all; what lives is not touched, whatever its queue."""
    for name in ("a", "b"):
        await queues.send(name, [text("1"), text("2"), text("alive")])
        for message in await queues.receive(name, limit=2, lease=60):
            clock.now += 1
            await queues.settle([], [Given(message, "broken", dead=True)])
    assert [(one.queue, one.body) for one in await queues.dead()] == [
        ("b", b"2"),
        ("b", b"1"),
        ("a", b"2"),
        ("a", b"1"),
    ]
    assert [one.body for one in await queues.dead("a", limit=1)] == [b"2"]
    assert await queues.discard("b") == 2
    assert await queues.requeue() == 2
    assert {name: (found.ready, found.dead) for name, found in (await queues.stats()).items()} == {
        "a": (3, 0),
        "b": (1, 0),
    }
    assert (await queues.requeue(), await queues.discard()) == (0, 0)


async def test_a_delivery_that_was_no_try_does_not_count(queues: WorkerQueues, clock: Clock) -> None:
    """A store that was away, a process that was stopped: the next delivery has the same number."""
    await queues.send("a", [text("1")])
    for _ in range(20):
        (message,) = await queues.receive("a", limit=10, lease=60)
        assert message.attempts == 1
        await queues.settle([], [Given(message, "away", delay=2, counts=False)])
        assert await queues.receive("a", limit=10, lease=60) == []
        clock.now += 2


async def test_a_clock_that_was_set_back_holds_nothing(queues: WorkerQueues, clock: Clock) -> None:
    """What could be delivered in ten days only was written under a wrong clock, and is delivered now."""
    await queues.send("a", [text("1")])
    clock.now -= 10 * 86_400
    assert len(await queues.receive("a", limit=10, lease=60)) == 1


async def test_a_send_wakes_who_waits(queues: WorkerQueues) -> None:
    """Nobody polls for what this process sent."""
    waiting = asyncio.create_task(queues.wait("a", 30))
    await asyncio.sleep(0.05)
    await queues.send("a", [text("1")])
    await asyncio.wait_for(waiting, 5)
