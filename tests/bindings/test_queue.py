"""Promise of the queue: what was sent comes at least once, until it is acknowledged or dead; nothing else comes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from bindings.conftest import Clock, fresh
from dmarcworks.bindings.contracts import Database, DeadLetter, DeadLetters, Queue, QueueMessage, QueueStats
from dmarcworks.bindings.open import open_database
from dmarcworks.bindings.queue import SqlQueue
from dmarcworks.errors import BoundError


@pytest.fixture
def queue(any_database: Database, clock: Clock) -> Queue:
    return SqlQueue(any_database, clock)


async def quiet(queue: Queue) -> None:
    """Until nothing wakes: between processes a word may come late, or twice."""
    async with asyncio.timeout(10):
        while await queue.wait(0.3):
            pass


async def test_messages_come_oldest_first_and_only_once_while_leased(queue: Queue, clock: Clock) -> None:
    """A lease hides a message; its body, time and number of deliveries are told."""
    assert isinstance(queue, Queue)
    first = await queue.send({"n": 1, "text": "ü\0"})
    clock.now += 1
    second = await queue.send({"n": 2})
    assert second > first
    batch = await queue.receive()
    assert [(m.id, m.body, m.attempts) for m in batch] == [(first, {"n": 1, "text": "ü\0"}, 1), (second, {"n": 2}, 1)]
    assert batch[0].sent == datetime.fromtimestamp(1_795_000_000, UTC)
    assert await queue.receive() == []
    await queue.ack([first, second, 99])
    await queue.ack([])
    clock.now += 1000
    assert await queue.receive() == []


async def test_a_lease_that_ended_makes_the_message_ready_again(queue: Queue, clock: Clock) -> None:
    """A consumer that died loses its lease, not the message; the next delivery counts."""
    await queue.send({})
    assert [m.attempts for m in await queue.receive(lease=60)] == [1]
    clock.now += 59.9
    assert await queue.receive() == []
    clock.now += 0.1
    assert [m.attempts for m in await queue.receive()] == [2]


async def test_a_lease_is_renewed(queue: SqlQueue, clock: Clock) -> None:
    """From now on, for as long as it is leased: what was given back, acknowledged or never there stays as it is."""
    held, back, gone = [await queue.send({"n": n}) for n in range(3)]
    assert len(await queue.receive(lease=60)) == 3
    await queue.retry(back, delay=100)
    await queue.ack([gone])
    clock.now += 50
    await queue.renew([held, back, gone, 99], lease=60)
    await queue.renew([], lease=60)
    clock.now += 49
    assert await queue.receive() == []
    clock.now += 1
    assert [(m.id, m.failures) for m in await queue.receive(lease=1000)] == [(back, 1)]
    clock.now += 10
    assert [(m.id, m.attempts, m.failures) for m in await queue.receive()] == [(held, 2, 1)]


async def test_leases_of_the_dead_end_at_once(queue: Queue, clock: Clock) -> None:
    """Who knows that nobody else lives ends all leases: no wait, nothing lost, and what was delayed stays delayed."""
    for n in range(3):
        await queue.send({"n": n})
    await queue.send({"n": "delayed"}, delay=100)
    assert len(await queue.receive(lease=300)) == 3
    clock.now += 1
    assert await queue.receive() == []
    assert await queue.release() == 3
    assert await queue.wait(0.1)
    assert [[m.body["n"] for m in await queue.receive()] for _ in range(2)] == [[0, 1, 2], []]
    assert await queue.release() == 3
    assert [[m.body["n"] for m in await queue.receive()] for _ in range(4)] == [[0], [1], [2], []]
    assert await queue.release() == 3
    assert await queue.stats() == QueueStats(ready=3, delayed=1, leased=0, dead=0, oldest_age=1.0)


async def test_whose_lease_ran_out_comes_apart_and_then_alone(queue: Queue, clock: Clock) -> None:
    """One of a batch may have killed its consumer: 25 together, after that each alone; new ones apart.

    The time in company is nobody's failure, so an innocent one loses one try, whatever its neighbour did.
    """
    for n in range(27):
        await queue.send({"n": n})
    await queue.receive(limit=100, lease=60)
    clock.now += 60
    for n in (27, 28):
        await queue.send({"n": n})
    clock.now += 1

    def told(batch: Sequence[QueueMessage]) -> list[tuple[int, int, int]]:
        return [(m.body["n"], m.attempts, m.failures) for m in batch]

    assert told(await queue.receive(limit=100, lease=60)) == [(n, 2, 1) for n in range(25)]
    last = await queue.receive(limit=100, lease=60)
    assert told(last) == [(25, 2, 1), (26, 2, 1)]
    await queue.ack([m.id for m in last])
    clock.now += 60  # who had the 25 is dead too
    seen = []
    while batch := await queue.receive(limit=100, lease=60):
        seen.append(told(batch))
        if batch[0].body["n"] != 3:
            await queue.ack([m.id for m in batch])
    assert seen == [[(27, 1, 0), (28, 1, 0)], *([(n, 3, 1)] for n in range(25))]
    clock.now += 60
    assert told(await queue.receive(limit=100, lease=60)) == [(3, 4, 2)]


async def test_a_retry_that_does_not_count_uses_up_nothing(queue: Queue) -> None:
    """A store that was away for a hundred deliveries is no failure of the message."""
    number = await queue.send({})
    for _ in range(100):
        await queue.receive()
        assert await queue.retry(number, counts=False, max_retries=0, error="away") is True
    (message,) = await queue.receive()
    assert (message.attempts, message.failures) == (101, 0)
    assert await queue.retry(number, max_retries=1) is True
    await queue.receive()
    assert await queue.retry(number, max_retries=1) is False


async def test_the_fourth_failed_delivery_is_a_dead_letter(queue: Queue, any_database: Database, clock: Clock) -> None:
    """max_retries=3: three retries, then dead and kept with its error; neither ack nor retry revives or removes it."""
    number = await queue.send({"bad": True})
    outcomes = []
    for attempt in range(1, 5):
        (message,) = await queue.receive()
        assert message.attempts == attempt
        outcomes.append(await queue.retry(number, error=f"boom {attempt}"))
    assert outcomes == [True, True, True, False]
    clock.now += 10_000
    assert await queue.receive() == []
    await queue.ack([number])
    assert await queue.retry(number) is False
    assert await queue.stats() == QueueStats(ready=0, delayed=0, leased=0, dead=1, oldest_age=0.0)
    async with any_database.read() as connection:
        row = (await connection.execute(text("SELECT body, error, attempts FROM queue"))).one()
    assert tuple(row) == ('{"bad":true}', "boom 4", 4)


async def test_no_retries_is_dead_at_once_and_an_unknown_one_is_no_error(queue: Queue) -> None:
    """max_retries=0 gives up after the first delivery."""
    number = await queue.send({})
    await queue.receive()
    assert await queue.retry(number, max_retries=0) is False
    assert await queue.retry(12345) is True


async def test_dead_letters_are_listed_requeued_and_discarded(queue: SqlQueue, clock: Clock) -> None:
    """What was given up is told with its error, comes back whole when a person says so, or goes for good."""
    assert isinstance(queue, DeadLetters)
    numbers = [await queue.send({"n": n}) for n in range(3)]
    alive = await queue.send({"n": "alive"})
    clock.now += 5
    await queue.receive(limit=3)
    for number in numbers:
        await queue.retry(number, max_retries=0, error=f"boom {number}")
    newest, *older = await queue.dead()
    assert newest == DeadLetter(
        numbers[2],
        {"n": 2},
        datetime.fromtimestamp(1_795_000_000, UTC),
        1,
        f"boom {numbers[2]}",
        datetime.fromtimestamp(1_795_000_005, UTC),
    )
    assert [letter.id for letter in await queue.dead(limit=1, before=newest.id)] == [older[0].id]
    assert await queue.requeue(numbers[1]) is True
    assert await queue.discard(numbers[2]) is True
    for unknown in (numbers[1], numbers[2], alive, 999):
        assert await queue.requeue(unknown) is False
        assert await queue.discard(unknown) is False
    assert [letter.id for letter in await queue.dead()] == [numbers[0]]
    assert [(m.id, m.body, m.attempts, m.failures) for m in await queue.receive()] == [
        (numbers[1], {"n": 1}, 2, 0),
        (alive, {"n": "alive"}, 1, 0),
    ]


async def test_a_requeued_message_wakes(queue: SqlQueue) -> None:
    """Nobody waits for the next second."""
    number = await queue.send({})
    assert await queue.wait(0.01) is True
    await queue.receive()
    await queue.retry(number, max_retries=0)
    await quiet(queue)
    await queue.requeue(number)
    assert await queue.wait(5) is True


async def test_delays_hold_back(queue: Queue, clock: Clock) -> None:
    """A delayed send or retry is not ready before its time; stats tell the difference."""
    await queue.send({"n": "later"}, delay=30)
    await queue.send({"n": "now"})
    await queue.send({"n": "too"})
    clock.now += 5
    (leased,) = await queue.receive(limit=1)
    assert leased.body == {"n": "now"}
    assert await queue.stats() == QueueStats(ready=1, delayed=1, leased=1, dead=0, oldest_age=5.0)
    await queue.retry(leased.id, delay=100)
    assert await queue.stats() == QueueStats(ready=1, delayed=2, leased=0, dead=0, oldest_age=5.0)
    clock.now += 25
    rest = await queue.receive()
    assert [m.body["n"] for m in rest] == ["later", "too"]
    await queue.ack([m.id for m in rest])
    clock.now += 75
    assert "now" in [m.body["n"] for m in await queue.receive()]


async def test_wait_wakes_at_a_send_and_misses_none(queue: Queue) -> None:
    """A send wakes a sleeper at once, also one that lay down just after it; otherwise the timeout ends the wait."""
    await quiet(queue)
    sleeper = asyncio.create_task(queue.wait(3600))
    await asyncio.sleep(0.05)
    await queue.send({})
    async with asyncio.timeout(60):
        assert await sleeper is True
        await queue.send({})
        assert await queue.wait(3600) is True
    await quiet(queue)


async def test_many_senders_share_commits_and_each_gets_its_own_id(queue: Queue) -> None:
    """Ids belong to the bodies they were given for, in a crowd too."""
    bodies = [{"n": n} for n in range(500)]
    ids = await asyncio.gather(*(queue.send(body) for body in bodies))
    got = {}
    while batch := await queue.receive(limit=100):
        got |= {message.id: message.body for message in batch}
    assert got == dict(zip(ids, bodies, strict=True))


async def test_a_cancelled_sender_takes_nobody_with_it(queue: Queue) -> None:
    """Others of the same group are sent, and the queue goes on."""
    tasks = [asyncio.create_task(queue.send({"n": n})) for n in range(10)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(done[0], asyncio.CancelledError)
    assert all(isinstance(number, int) for number in done[1:])
    await queue.send({"n": "after"})
    assert {m.body["n"] for m in await queue.receive(limit=20)} >= {*range(1, 10), "after"}


async def test_bounds(queue: Queue) -> None:
    """128,000 bytes of JSON are taken, one more is not; a batch has 1 to 1,000 messages."""
    await queue.send({"a": "x" * (128_000 - 8)})
    with pytest.raises(BoundError, match="128000"):
        await queue.send({"a": "x" * (128_001 - 8)})
    for limit in (0, 1001):
        with pytest.raises(BoundError):
            await queue.receive(limit=limit)


async def test_two_consumers_never_share_a_lease(queue: Queue) -> None:
    """Concurrent receives split the messages."""
    for n in range(40):
        await queue.send({"n": n})
    batches = await asyncio.gather(*(queue.receive(limit=10) for _ in range(4)))
    assert sorted(m.body["n"] for batch in batches for m in batch) == list(range(40))


async def test_another_processs_send_wakes_at_once(postgres: str, clock: Clock) -> None:
    """On PostgreSQL a word goes round: who waits in another process need not look again and again."""
    url = await fresh(postgres)
    here, there = open_database(url), open_database(url)
    await here.migrate()
    waiting, sending = SqlQueue(here, clock), SqlQueue(there, clock)
    assert await waiting.wait(5) is True  # it begins to listen, and may have missed something before
    await quiet(waiting)
    sleeper = asyncio.create_task(waiting.wait(30))
    await asyncio.sleep(0.1)
    number = await sending.send({"n": 1})
    assert await asyncio.wait_for(sleeper, 10) is True
    assert [m.id for m in await waiting.receive()] == [number]
    await waiting.retry(number, max_retries=0)
    await quiet(waiting)
    sleeper = asyncio.create_task(waiting.wait(30))
    assert await sending.requeue(number) is True
    assert await asyncio.wait_for(sleeper, 10) is True
    await here.close()
    await there.close()


async def test_consumers_of_two_processes_never_share_a_lease(postgres: str, clock: Clock) -> None:
    """SKIP LOCKED: each takes what the other does not hold, and none waits for the other."""
    url = await fresh(postgres)
    databases = [open_database(url) for _ in range(4)]
    await databases[0].migrate()
    queues = [SqlQueue(database, clock) for database in databases]
    for n in range(40):
        await queues[0].send({"n": n})
    batches = await asyncio.gather(*(queue.receive(limit=10) for queue in queues))
    taken = sorted(m.body["n"] for batch in batches for m in batch)
    while more := await queues[0].receive(limit=10):
        taken = sorted([*taken, *(m.body["n"] for m in more)])
    assert taken == list(range(40))
    for database in databases:
        await database.close()


async def test_a_clock_set_back_holds_nothing_up(any_database: Database, clock: Clock) -> None:
    """Three hours back: what was ready is ready, a delay and a lease keep their seconds; a new life finds the same."""
    queue = SqlQueue(any_database, clock)
    await queue.send({"n": "leased"})
    assert len(await queue.receive(lease=60)) == 1
    await queue.send({"n": "ready"})
    await queue.send({"n": "delayed"}, delay=30)
    clock.now -= 10_800
    assert [message.body["n"] for message in await queue.receive(lease=60)] == ["ready"]
    assert await queue.receive(lease=60) == []
    clock.now += 31
    assert [message.body["n"] for message in await queue.receive(lease=60)] == ["delayed"]
    assert await queue.receive(lease=60) == []
    clock.now += 31
    assert [message.body["n"] for message in await queue.receive(lease=60)] == ["leased", "ready"]

    await queue.send({"n": "before the restart"})
    clock.now -= 10_800
    reborn = SqlQueue(any_database, clock)
    taken = [message.body["n"] for _ in range(4) for message in await reborn.receive(lease=60)]
    assert "before the restart" in taken


async def test_a_clock_set_forward_loses_nothing(any_database: Database, clock: Clock) -> None:
    """Leases and delays end early then; an acknowledgement still counts."""
    queue = SqlQueue(any_database, clock)
    await queue.send({"n": 1})
    await queue.send({"n": 2}, delay=600)
    (first,) = await queue.receive(lease=60)
    clock.now += 10_800
    await queue.ack([first.id])
    assert [message.body["n"] for message in await queue.receive(lease=60)] == [2]
