"""Named queues on a SQL table: durable, at least once, with leases, delays, retries and dead letters.

Sends commit in groups: all that wait while a commit runs share the next transaction, so the price of an fsync is
split among them. A message stays in the table until it is done; a dead letter stays with its error. The outcome of an
older delivery is ignored once the message has been redelivered.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, delete, insert, select, update

from dmarcworks.bindings.contracts import (
    QUEUE_BODY_BYTES,
    QUEUE_TOGETHER,
    Database,
    LeasedMessage,
    OutgoingMessage,
    Settlement,
)
from dmarcworks.bindings.dead_letters import SqlDeadLetters
from dmarcworks.bindings.groups import GroupedCalls
from dmarcworks.bindings.queue_clock import QueueClock
from dmarcworks.bindings.queue_leasing import is_ready, lease_messages
from dmarcworks.bindings.queue_view import SqlQueueView
from dmarcworks.bindings.tables import queue_messages as table
from dmarcworks.errors import BoundError
from dmarcworks.process import failpoints

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["SqlQueue"]


class SqlQueue(SqlQueueView, SqlDeadLetters):
    """The contracts Queue, Leases and DeadLetters on `database`; `clock` returns the unix second."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        super().__init__(database, clock)
        self._set_back = QueueClock(database, clock)
        self._events: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._sending: GroupedCalls[Sequence[dict[str, Any]], Sequence[int]] = GroupedCalls(self._insert, "queue")

    async def send(self, queue: str, messages: Sequence[OutgoingMessage]) -> Sequence[int]:
        """Durably enqueue, all or none; their ids. A body has at most 128,000 bytes (else `BoundError`)."""
        now = self._clock()
        rows = [_row(queue, message, now) for message in messages]
        if not rows:
            return ()
        ids = await self._sending.call(rows)
        self._wake(queue)
        return ids

    async def _insert(self, groups: list[Sequence[dict[str, Any]]]) -> Sequence[Sequence[int]]:
        """One transaction for all groups; the ids of each."""
        rows = [row for group in groups for row in group]
        async with self._database.write() as connection:
            statement = insert(table).returning(table.c.id, sort_by_parameter_order=True)
            ids = (await connection.execute(statement, rows)).scalars().all()
            await self._announce(connection)
            failpoints.hit("queue.insert")
        failpoints.hit("queue.committed")
        return shares(groups, ids)

    async def _announce(self, connection: AsyncConnection) -> None:
        """Notify other processes that something was sent, where the database can."""

    def _wake(self, queue: str = "") -> None:
        """Wake who waits in this process for the queue, or for any."""
        for event in (self._events[queue],) if queue else tuple(self._events.values()):
            event.set()

    async def receive(
        self, queue: str, *, limit: int = 10, lease: float = 60.0, size: int | None = None
    ) -> Sequence[LeasedMessage]:
        """Lease up to `limit` (at most 1,000) messages for `lease` seconds, oldest first; empty when none is ready.

        With `size` they have at most so many bytes together, but one is always delivered. Messages whose lease ran out
        once are delivered apart from the rest, a few together; those whose lease ran out again are delivered alone: a
        message that kills its consumer must not fail its neighbours for ever. In a batch such a failure counts for no
        message.
        """
        if not 1 <= limit <= QUEUE_TOGETHER:
            raise BoundError(f"a queue batch has 1 to {QUEUE_TOGETHER} messages, not {limit}")
        now = self._clock()
        await self._set_back.correct(queue, now, lease)
        # An idle consumer looks once a second: it must not queue with the writers for a no.
        async with self._database.read() as connection:
            if (await connection.execute(select(table.c.id).where(is_ready(queue, now)).limit(1))).first() is None:
                return []

        def take(connection: Connection) -> Sequence[LeasedMessage]:
            return lease_messages(connection, queue, now, limit, lease, size)

        return await self._database.step(take)

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Remove what is done, give back what failed. Of a message that was delivered again since, or is gone, nothing
        changes."""
        if not settlements:
            return
        # To the microsecond, which a `datetime` holds: a page of dead letters ends at one moment and number exactly.
        now = round(self._clock(), 6)
        done: defaultdict[int, list[int]] = defaultdict(list)
        for settlement in settlements:
            if settlement.done:
                done[settlement.message.deliveries].append(settlement.message.id)
        failed = [settlement for settlement in settlements if not settlement.done]

        def work(connection: Connection) -> None:
            for deliveries, ids in done.items():
                delivered = and_(table.c.id.in_(ids), table.c.attempts == deliveries, table.c.dead.is_(None))
                connection.execute(delete(table).where(delivered))
            for settlement in failed:
                connection.execute(
                    update(table).where(_as_delivered(settlement.message)).values(_again(settlement, now))
                )

        await self._database.step(work)
        for settlement in failed:
            if settlement.dead and settlement.dead_letters:
                self._wake(settlement.dead_letters)
            elif not settlement.dead and settlement.delay <= 0:
                self._wake(settlement.message.queue)

    async def renew(self, messages: Sequence[LeasedMessage], *, lease: float) -> None:
        """Let the leases of these deliveries end in `lease` seconds from now; of one that has ended nothing changes."""
        if not messages:
            return
        until = self._clock() + lease
        numbers = {message.id: message.deliveries for message in messages}

        def work(connection: Connection) -> None:
            for deliveries in set(numbers.values()):
                ids = [number for number, times in numbers.items() if times == deliveries]
                held = and_(table.c.id.in_(ids), table.c.attempts == deliveries, table.c.dead.is_(None))
                connection.execute(
                    update(table).where(held, table.c.leased.is_not(None)).values(ready=until, leased=until)
                )

        await self._database.step(work)

    async def release(self, queue: str) -> int:
        """End every lease of the queue now, for a caller that knows that their holders are dead; how many.

        They come as those whose lease ran out: one of them may have killed its consumer.
        """
        now = self._clock()
        held = and_(table.c.queue == queue, table.c.dead.is_(None), table.c.leased.is_not(None), table.c.ready > now)
        statement = update(table).where(held).values(ready=now)
        ended = (await self._database.step(lambda connection: connection.execute(statement))).rowcount
        if ended:
            self._wake(queue)
        return ended

    async def wait(self, queue: str, timeout: float) -> bool:  # noqa: ASYNC109  how long to sleep, not a limit
        """Sleep until a message is sent to the queue or `timeout` seconds passed; True when woken.

        A send since the last `wait` wakes at once, so nothing is missed between `receive` and `wait`.
        """
        event = self._events[queue]
        try:
            await asyncio.wait_for(event.wait(), timeout)
        except TimeoutError:
            return False
        event.clear()
        return True


def shares(groups: Sequence[Sequence[object]], ids: Sequence[int]) -> list[Sequence[int]]:
    """The ids of each group, whose rows were inserted one after the other."""
    parts, start = [], 0
    for group in groups:
        parts.append(ids[start : start + len(group)])
        start += len(group)
    return parts


def _row(queue: str, message: OutgoingMessage, now: float) -> dict[str, Any]:
    if len(message.body) > QUEUE_BODY_BYTES:
        raise BoundError(f"a queue message may have {QUEUE_BODY_BYTES} bytes, this one has {len(message.body)}")
    return {
        "queue": queue,
        "type": message.type,
        "body": message.body,
        "sent": now,
        "ready": now + max(message.delay, 0.0),
        "attempts": 0,
        "failures": 0,
        "lost": 0,
    }


def _again(settlement: Settlement, now: float) -> dict[str, Any]:
    """The columns of a message whose delivery failed."""
    values: dict[str, Any] = {"ready": now + max(settlement.delay, 0.0), "leased": None}
    values["error"] = settlement.error or None
    if settlement.counts:
        values["failures"] = table.c.failures + 1
    if settlement.dead and settlement.dead_letters:
        # There it is a new message that nobody has tried.
        return values | {"queue": settlement.dead_letters, "ready": now, "attempts": 0, "failures": 0, "lost": 0}
    return values | ({"dead": now} if settlement.dead else {})


def _as_delivered(message: LeasedMessage) -> Any:
    return and_(table.c.id == message.id, table.c.attempts == message.deliveries, table.c.dead.is_(None))
