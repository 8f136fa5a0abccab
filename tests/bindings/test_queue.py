"""Promise of the queues: what was sent comes at least once, until it is done or dead; nothing else comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from dmarcworks.bindings.contracts import (
    Database,
    DeadLetter,
    DeadLetters,
    LeasedMessage,
    Leases,
    OutgoingMessage,
    Queue,
    QueueStats,
    Settlement,
)
from dmarcworks.bindings.open import open_database
from dmarcworks.bindings.queue import SqlQueue
from dmarcworks.errors import BoundError
from tests.support.postgres import Clock, fresh
from tests.support.queues import NAME, bodies, new_queue, send


@pytest.fixture
def queue(any_database: Database, clock: Clock) -> SqlQueue:
    return new_queue(any_database, clock)


async def done(queue: SqlQueue, messages: Sequence[LeasedMessage]) -> None:
    await queue.settle([Settlement(message, done=True) for message in messages])


async def quiet(queue: SqlQueue, name: str = NAME) -> None:
    """Until nothing wakes: between processes a word may come late, or twice."""
    async with asyncio.timeout(10):
        while await queue.wait(name, 0.3):
            pass


async def test_messages_come_oldest_first_and_only_once_while_leased(queue: SqlQueue, clock: Clock) -> None:
    """A lease hides a message; its body, time and number of deliveries come with it."""
    assert isinstance(queue, Queue)
    assert isinstance(queue, Leases)
    assert isinstance(queue, DeadLetters)
    first = await send(queue, {"n": 1, "text": "ü\0"})
    clock.now += 1
    second = await send(queue, {"n": 2})
    assert second > first
    batch = await queue.receive(NAME)
    assert batch[0] == LeasedMessage(
        first, NAME, "json", b'{"n": 1, "text": "\\u00fc\\u0000"}', datetime.fromtimestamp(1_795_000_000, UTC), 1, 0
    )
    assert [(message.id, message.deliveries) for message in batch] == [(first, 1), (second, 1)]
    assert await queue.receive(NAME) == []
    await done(queue, batch)
    await queue.settle([])
    clock.now += 1000
    assert await queue.receive(NAME) == []


async def test_queues_do_not_mix(queue: SqlQueue) -> None:
    """What is sent to one comes from that one."""
    await asyncio.gather(send(queue, 1, name="a"), send(queue, 2, name="a"), send(queue, 3, name="b"))
    batch = await queue.receive("a")
    assert bodies(batch) == [1, 2]
    assert await queue.receive("a") == []
    assert await queue.receive("c") == []
    await done(queue, batch)
    assert await queue.stats() == {"b": QueueStats(1, 0, 0, 0, 0.0)}


async def test_a_look_changes_nothing(queue: SqlQueue) -> None:
    """Ready, delayed and leased messages are seen, of this queue alone; dead letters and what is done are not."""
    assert await queue.peek(NAME) == []
    numbers = [await send(queue, number) for number in range(4)]
    await send(queue, "another's", name="other")
    numbers.append(await send(queue, "later", delay=50))
    leased = await queue.receive(NAME, limit=3)
    await queue.settle([Settlement(leased[0], done=True), Settlement(leased[1], error="x", dead=True)])
    before = await queue.stats()
    seen = await queue.peek(NAME)
    assert [(one.id, one.queue, one.type, json.loads(one.body)) for one in seen] == [
        (numbers[2], NAME, "json", 2),
        (numbers[3], NAME, "json", 3),
        (numbers[4], NAME, "json", "later"),
    ]
    assert seen[0].sent == leased[2].sent
    assert [one.id for one in await queue.peek(NAME, limit=2)] == numbers[2:4]
    assert [one.id for one in await queue.peek(NAME, after=numbers[3])] == numbers[4:]
    assert await queue.stats() == before
    assert bodies(await queue.receive(NAME)) == [3]
    for limit in (0, 1001):
        with pytest.raises(BoundError):
            await queue.peek(NAME, limit=limit)


async def test_all_or_none_are_sent(queue: SqlQueue) -> None:
    """One body that is too large keeps its neighbours back too."""
    with pytest.raises(BoundError, match="128000"):
        await queue.send(NAME, [OutgoingMessage("text", b"ok"), OutgoingMessage("text", b"x" * 128_001)])
    assert await queue.send(NAME, []) == ()
    assert await queue.receive(NAME) == []
    first, second = await queue.send(NAME, [OutgoingMessage("text", b"1"), OutgoingMessage("bytes", b"x" * 128_000)])
    assert [(message.id, message.type) for message in await queue.receive(NAME)] == [(first, "text"), (second, "bytes")]
    for limit in (0, 1001):
        with pytest.raises(BoundError):
            await queue.receive(NAME, limit=limit)


async def test_a_batch_has_its_bytes(queue: SqlQueue) -> None:
    """256,000 bytes at most come together; one message always comes."""
    await queue.send(NAME, [OutgoingMessage("bytes", b"x" * 128_000) for _ in range(3)])
    assert [len(await queue.receive(NAME, size=256_000)) for _ in range(3)] == [2, 1, 0]
    await queue.send(NAME, [OutgoingMessage("bytes", b"x" * 1000)])
    assert len(await queue.receive(NAME, size=1)) == 1


async def test_a_lease_that_ended_makes_the_message_ready_again(queue: SqlQueue, clock: Clock) -> None:
    """A consumer that died loses its lease, not the message; the next delivery counts, and the first has no say."""
    await send(queue, {})
    (first,) = await queue.receive(NAME, lease=60)
    clock.now += 59.9
    assert await queue.receive(NAME) == []
    clock.now += 0.1
    (second,) = await queue.receive(NAME, lease=60)
    assert (second.deliveries, second.failures) == (2, 1)
    await done(queue, [first])
    await queue.settle([Settlement(first, error="late", dead=True)])
    await queue.renew([first], lease=9000)
    assert (await queue.stats())[NAME] == QueueStats(0, 0, 1, 0, 60.0)
    await done(queue, [second])
    assert await queue.stats() == {}


async def test_a_renewed_lease_lasts(queue: SqlQueue, clock: Clock) -> None:
    """Who works for long keeps its message; what was settled meanwhile stays settled."""
    await send(queue, 1)
    await send(queue, 2)
    one, two = await queue.receive(NAME, lease=60)
    await done(queue, [two])
    clock.now += 50
    await queue.renew([one, two], lease=60)
    await queue.renew([], lease=60)
    clock.now += 59
    assert await queue.receive(NAME) == []
    clock.now += 1
    assert bodies(await queue.receive(NAME)) == [1]


async def test_leases_of_the_dead_end_at_once(queue: SqlQueue, clock: Clock) -> None:
    """Who knows that nobody else lives ends all leases of a queue: nothing lost, and what was delayed stays delayed."""
    for n in range(3):
        await send(queue, n)
    await send(queue, "delayed", delay=100)
    await send(queue, "other", name="other")
    assert len(await queue.receive("other", lease=300)) == 1
    assert len(await queue.receive(NAME, lease=300)) == 3
    clock.now += 1
    assert await queue.receive(NAME) == []
    assert await queue.release(NAME) == 3
    assert await queue.wait(NAME, 0.1)
    assert [bodies(await queue.receive(NAME)) for _ in range(2)] == [[0, 1, 2], []]
    assert await queue.release(NAME) == 3
    assert [bodies(await queue.receive(NAME)) for _ in range(4)] == [[0], [1], [2], []]
    assert await queue.release(NAME) == 3
    assert (await queue.stats())[NAME] == QueueStats(ready=3, delayed=1, leased=0, dead=0, oldest_age=1.0)
    assert (await queue.stats())["other"].leased == 1


async def test_whose_lease_ran_out_comes_apart_and_then_alone(queue: SqlQueue, clock: Clock) -> None:
    """One of a batch may have killed its consumer: 25 together, after that each alone; new ones apart.

    The time in company is nobody's failure, so an innocent one loses one try, whatever its neighbour did.
    """
    for n in range(27):
        await send(queue, n)
    await queue.receive(NAME, limit=100, lease=60)
    clock.now += 60
    for n in (27, 28):
        await send(queue, n)
    clock.now += 1

    def counted(batch: Sequence[LeasedMessage]) -> list[tuple[int, int, int]]:
        return [(json.loads(m.body), m.deliveries, m.failures) for m in batch]

    assert counted(await queue.receive(NAME, limit=100, lease=60)) == [(n, 2, 1) for n in range(25)]
    last = await queue.receive(NAME, limit=100, lease=60)
    assert counted(last) == [(25, 2, 1), (26, 2, 1)]
    await done(queue, last)
    clock.now += 60  # who had the 25 is dead too
    seen = []
    while batch := await queue.receive(NAME, limit=100, lease=60):
        seen.append(counted(batch))
        if bodies(batch)[0] != 3:
            await done(queue, batch)
    assert seen == [[(27, 1, 0), (28, 1, 0)], *([(n, 3, 1)] for n in range(25))]
    clock.now += 60
    assert counted(await queue.receive(NAME, limit=100, lease=60)) == [(3, 4, 2)]


async def test_a_delivery_that_does_not_count_uses_up_nothing(queue: SqlQueue, clock: Clock) -> None:
    """A store that was unavailable for a hundred deliveries is no failure of the message."""
    await send(queue, {})
    for _ in range(100):
        (message,) = await queue.receive(NAME)
        await queue.settle([Settlement(message, error="away", delay=2, counts=False)])
        assert await queue.receive(NAME) == []
        clock.now += 2
    (message,) = await queue.receive(NAME)
    assert (message.deliveries, message.failures) == (101, 0)


async def test_a_failed_delivery_counts_and_a_dead_one_stays(
    queue: SqlQueue, any_database: Database, clock: Clock
) -> None:
    """Kept with its error; nothing that an older delivery says revives or removes it."""
    number = await send(queue, {"bad": True})
    for failures in range(4):
        (message,) = await queue.receive(NAME)
        assert (message.deliveries, message.failures) == (failures + 1, failures)
        await queue.settle([Settlement(message, error=f"boom {failures}", dead=failures == 3)])
    clock.now += 10_000
    assert await queue.receive(NAME) == []
    await done(queue, [message])
    await queue.settle([Settlement(message, error="again")])
    assert await queue.stats() == {NAME: QueueStats(ready=0, delayed=0, leased=0, dead=1, oldest_age=0.0)}
    async with any_database.read() as connection:
        row = (await connection.execute(text("SELECT id, body, error, attempts, failures FROM queue"))).one()
    assert (row.id, bytes(row.body), row.error, row.attempts, row.failures) == (
        number,
        b'{"bad": true}',
        "boom 3",
        4,
        4,
    )


async def test_what_is_given_up_stays_or_moves(queue: SqlQueue, clock: Clock) -> None:
    """Without a dead letter queue it is kept with its error, revived or removed by hand; with one it is new there."""
    await queue.send("a", [OutgoingMessage("text", b"1"), OutgoingMessage("text", b"2")])
    one, two = await queue.receive("a")
    await queue.settle([Settlement(one, error="broken", dead=True)])
    clock.now += 5
    await queue.settle([Settlement(two, error="broken", dead=True, dead_letters="graves")])
    (moved,) = await queue.receive("graves")
    assert moved == LeasedMessage(two.id, "graves", "text", b"2", two.sent, 1, 0)
    assert await queue.dead("a") == [
        DeadLetter(one.id, "a", "text", b"1", one.sent, 1, 1, "broken", datetime.fromtimestamp(1_795_000_000, UTC))
    ]
    assert await queue.dead(message_id=two.id) == []
    assert await queue.requeue("b", one.id) == 0
    assert await queue.requeue("a", one.id) == 1
    (alive,) = await queue.receive("a")
    assert (alive.id, alive.deliveries, alive.failures) == (one.id, 2, 0)
    await queue.settle([Settlement(alive, error="broken", dead=True)])
    assert [await queue.discard("a", one.id), await queue.discard("a", one.id)] == [1, 0]


async def test_all_dead_letters_but_the_systems_are_handled_together(queue: SqlQueue, clock: Clock) -> None:
    """Of one queue or of all of users' workers; what lives is not touched, nor is accepted mail that was given up."""
    for name in ("a", "b", "dmarc"):
        await queue.send(name, [OutgoingMessage("text", body) for body in (b"1", b"2", b"alive")])
        for message in await queue.receive(name, limit=2):
            clock.now += 1
            await queue.settle([Settlement(message, error="broken", dead=True)])
    letters = await queue.dead()
    assert [(letter.queue, letter.body) for letter in letters] == [("b", b"2"), ("b", b"1"), ("a", b"2"), ("a", b"1")]
    page = await queue.dead(before=(letters[1].died.timestamp(), letters[1].id))
    assert [(letter.queue, letter.body) for letter in page] == [("a", b"2"), ("a", b"1")]
    assert [letter.body for letter in await queue.dead("a", limit=1)] == [b"2"]
    assert [letter.body for letter in await queue.dead("dmarc")] == [b"2", b"1"]
    assert await queue.discard("b") == 2
    assert await queue.requeue() == 2
    stats = {name: (counted.ready, counted.dead) for name, counted in (await queue.stats()).items()}
    assert stats == {"a": (3, 0), "b": (1, 0), "dmarc": (1, 2)}
    assert (await queue.requeue(), await queue.discard()) == (0, 0)
    assert await queue.requeue("dmarc", (await queue.dead("dmarc"))[0].id) == 1


async def test_a_requeued_message_wakes(queue: SqlQueue) -> None:
    """Nobody waits for the next second."""
    await send(queue, {})
    assert await queue.wait(NAME, 0.01) is True
    (message,) = await queue.receive(NAME)
    await queue.settle([Settlement(message, dead=True)])
    await quiet(queue)
    assert await queue.requeue(NAME) == 1
    assert await queue.wait(NAME, 5) is True


async def test_delays_hold_back(queue: SqlQueue, clock: Clock) -> None:
    """A delayed message is not ready before its time; `ready` and the figures show the difference."""
    await send(queue, "later", delay=30)
    await send(queue, "now")
    await send(queue, "too")
    assert await queue.ready(NAME) == (2, 0.0)
    clock.now += 5
    (leased,) = await queue.receive(NAME, limit=1)
    assert bodies([leased]) == ["now"]
    assert await queue.stats() == {NAME: QueueStats(ready=1, delayed=1, leased=1, dead=0, oldest_age=5.0)}
    await queue.settle([Settlement(leased, delay=100)])
    assert await queue.stats() == {NAME: QueueStats(ready=1, delayed=2, leased=0, dead=0, oldest_age=5.0)}
    clock.now += 25
    assert await queue.ready(NAME) == (2, 30.0)
    rest = await queue.receive(NAME)
    assert bodies(rest) == ["later", "too"] or bodies(rest) == ["too", "later"]
    await done(queue, rest)
    clock.now += 75
    assert bodies(await queue.receive(NAME)) == ["now"]


async def test_wait_wakes_at_a_send_and_misses_none(queue: SqlQueue) -> None:
    """A send wakes a sleeper at once, also one that lay down just after it; otherwise the timeout ends the wait."""
    await quiet(queue)
    sleeper = asyncio.create_task(queue.wait(NAME, 3600))
    await asyncio.sleep(0)
    await send(queue, {})
    async with asyncio.timeout(60):
        assert await sleeper is True
        await send(queue, {})
        assert await queue.wait(NAME, 3600) is True
    await quiet(queue)


async def test_many_senders_share_commits_and_each_gets_its_own_id(queue: SqlQueue) -> None:
    """Ids belong to the bodies they were given for, in a crowd too."""
    ids = await asyncio.gather(*(send(queue, n, name=("a", "b")[n % 2]) for n in range(500)))
    got = {}
    for name in ("a", "b"):
        while batch := await queue.receive(name, limit=100):
            got |= {message.id: json.loads(message.body) for message in batch}
    assert got == dict(zip(ids, range(500), strict=True))


async def test_a_cancelled_sender_takes_nobody_with_it(queue: SqlQueue) -> None:
    """Others of the same group are sent, and the queue goes on."""
    tasks = [asyncio.create_task(send(queue, n)) for n in range(10)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert all(isinstance(number, int) for number in results[1:])
    await send(queue, "after")
    assert set(bodies(await queue.receive(NAME, limit=20))) >= {*range(1, 10), "after"}


async def test_two_consumers_never_share_a_lease(queue: SqlQueue) -> None:
    """Concurrent receives split the messages."""
    for n in range(40):
        await send(queue, n)
    batches = await asyncio.gather(*(queue.receive(NAME, limit=10) for _ in range(4)))
    assert sorted(body for batch in batches for body in bodies(batch)) == list(range(40))


async def test_another_processs_send_wakes_at_once(postgres: str, clock: Clock) -> None:
    """On PostgreSQL a word goes round: who waits in another process need not look again and again."""
    url = await fresh(postgres)
    here, there = open_database(url), open_database(url)
    await here.migrate()
    waiting, sending = new_queue(here, clock), new_queue(there, clock)
    # It begins to listen, and may have missed something before: who listens anew is woken once it does.
    sleeper = asyncio.create_task(waiting.wait(NAME, 30))
    number = await send(sending, 1)
    assert await asyncio.wait_for(sleeper, 10) is True
    (message,) = await waiting.receive(NAME)
    assert message.id == number
    await waiting.settle([Settlement(message, dead=True)])
    await quiet(waiting)
    sleeper = asyncio.create_task(waiting.wait(NAME, 30))
    assert await sending.requeue(NAME) == 1
    assert await asyncio.wait_for(sleeper, 10) is True
    await here.close()
    await there.close()


async def test_consumers_of_two_processes_never_share_a_lease(postgres: str, clock: Clock) -> None:
    """SKIP LOCKED: each takes what the other does not hold, and none waits for the other."""
    url = await fresh(postgres)
    databases = [open_database(url) for _ in range(4)]
    await databases[0].migrate()
    queues = [new_queue(database, clock) for database in databases]
    for n in range(40):
        await send(queues[0], n)
    batches = await asyncio.gather(*(queue.receive(NAME, limit=10) for queue in queues))
    received = [body for batch in batches for body in bodies(batch)]
    while more := await queues[0].receive(NAME, limit=10):
        received += bodies(more)
    assert sorted(received) == list(range(40))
    for database in databases:
        await database.close()


async def test_a_clock_set_back_holds_nothing_up(any_database: Database, clock: Clock) -> None:
    """Three hours back: what was ready is ready, a delay and a lease keep their seconds; a new life finds the same."""
    queue = new_queue(any_database, clock)
    await send(queue, "leased")
    assert len(await queue.receive(NAME, lease=60)) == 1
    await send(queue, "ready")
    await send(queue, "delayed", delay=30)
    clock.now -= 10_800
    assert bodies(await queue.receive(NAME, lease=60)) == ["ready"]
    assert await queue.receive(NAME, lease=60) == []
    clock.now += 31
    assert bodies(await queue.receive(NAME, lease=60)) == ["delayed"]
    assert await queue.receive(NAME, lease=60) == []
    clock.now += 31
    assert bodies(await queue.receive(NAME, lease=60)) == ["leased", "ready"]

    await send(queue, "before the restart")
    clock.now -= 10_800
    reborn = new_queue(any_database, clock)
    received = [body for _ in range(4) for body in bodies(await reborn.receive(NAME, lease=60))]
    assert "before the restart" in received


async def test_a_clock_set_forward_loses_nothing(any_database: Database, clock: Clock) -> None:
    """Leases and delays end early then; what is said of a delivery still counts."""
    queue = new_queue(any_database, clock)
    await send(queue, 1)
    await send(queue, 2, delay=600)
    first = await queue.receive(NAME, lease=60)
    clock.now += 10_800
    await done(queue, first)
    assert bodies(await queue.receive(NAME, lease=60)) == [2]
