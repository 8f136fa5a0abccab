"""Queue on a SQL table: durable, at least once, with leases, delays, retries and dead letters.

Sends commit in groups: all that wait while a commit runs share the next transaction, so the price of an fsync is
split among them. A message stays in the table until it is acknowledged; a dead letter stays with its error.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, case, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dmarcworks.bindings.contracts import (
    QUEUE_BODY_BYTES,
    QUEUE_TOGETHER,
    Database,
    DeadLetter,
    QueueMessage,
    QueueStats,
    Wakes,
)
from dmarcworks.bindings.groups import GroupedCalls
from dmarcworks.bindings.sqlite import SqliteDatabase
from dmarcworks.bindings.tables import queue
from dmarcworks.errors import BoundError
from dmarcworks.process import failpoints

__all__ = ["SqlQueue"]

# A clock that was set back by more than this is made good for what waits.
_JUMP = 5.0
# So many come together whose lease ran out once: after a crash a thousand would take minutes one by one.
_SUSPECTS = 25


class SqlQueue:
    """The Queue contract on `database`; `clock` tells the unix second."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._looked: tuple[float, float] | None = None
        self._sent = asyncio.Event()
        self._listening = False
        self._sending: GroupedCalls[dict[str, Any], int] = GroupedCalls(self._insert, "queue")

    async def send(self, body: Mapping[str, Any], *, delay: float = 0.0) -> int:
        """Durably enqueue; the id. Body: JSON of at most 128,000 bytes (else `BoundError`). `delay` in seconds."""
        text = json.dumps(body, separators=(",", ":"))
        if len(text) > QUEUE_BODY_BYTES:
            raise BoundError(f"a queue message may have {QUEUE_BODY_BYTES} bytes of JSON, this one has {len(text)}")
        now = self._clock()
        row = {"body": text, "sent": now, "ready": now + max(delay, 0.0), "attempts": 0}
        return await self._sending.ask(row)

    async def _insert(self, rows: list[dict[str, Any]]) -> Sequence[int]:
        ids: Sequence[int]
        if isinstance(self._database, SqliteDatabase):
            last = await self._database.keep(lambda connection: _insert_into(connection, rows))
            # Nobody else wrote meanwhile and an id is never given twice, so ours are the last ones.
            ids = range(last - len(rows) + 1, last + 1)
        else:
            async with self._database.write() as connection:
                statement = insert(queue).returning(queue.c.id, sort_by_parameter_order=True)
                ids = (await connection.execute(statement, rows)).scalars().all()
                await self._tell(connection)
                failpoints.hit("queue.insert")
        failpoints.hit("queue.committed")
        self._sent.set()
        return ids

    async def _tell(self, connection: AsyncConnection) -> None:
        """Consumers of other processes wake too, where the database can carry the word."""
        if isinstance(self._database, Wakes):
            await self._database.notify(connection, "queue")

    async def receive(self, *, limit: int = 10, lease: float = 60.0) -> Sequence[QueueMessage]:
        """Lease up to `limit` (at most 1,000) messages for `lease` seconds, oldest first; empty when none is ready.

        What a lease ran out of once comes apart from the rest, a few together; what that happened to again comes alone:
        what kills its consumer must not take neighbours along for ever. In company it is nobody's failure.
        """
        if not 1 <= limit <= QUEUE_TOGETHER:
            raise BoundError(f"a queue batch has 1 to {QUEUE_TOGETHER} messages, not {limit}")
        now = self._clock()
        await self._forgive(now, lease)
        ready = select(queue.c.id).where(queue.c.dead.is_(None), queue.c.ready <= now)
        # An idle consumer asks once a second: it must not queue with the writers for a no.
        async with self._database.read() as connection:
            if (await connection.execute(ready.limit(1))).first() is None:
                return []
        # A lease that ran out is a suspicion: of what the same consumer held, one thing may have killed it.
        expired = case((queue.c.leased.is_not(None), 1), else_=0)
        times = (queue.c.lost + expired).label("times")
        blamed = case((queue.c.lost == 1, 0), else_=expired)
        oldest = ready.add_columns(times).order_by(queue.c.ready, queue.c.id).limit(limit)

        def take(connection: Connection) -> Sequence[Row[Any]]:
            found = connection.execute(oldest.with_for_update(skip_locked=True)).all()
            ids = _company([(row.id, row.times) for row in found])
            statement = (
                update(queue)
                .where(queue.c.id.in_(ids))
                .values(
                    attempts=queue.c.attempts + 1,
                    failures=queue.c.failures + blamed,
                    lost=queue.c.lost + expired,
                    ready=now + lease,
                    leased=now + lease,
                )
                .returning(*(queue.c[name] for name in ("id", "body", "sent", "attempts", "failures")))
            )
            return connection.execute(statement).all() if ids else []

        rows = await self._database.step(take)
        # RETURNING promises no order.
        return [
            QueueMessage(
                row.id,
                json.loads(row.body),
                datetime.fromtimestamp(row.sent, UTC),
                row.attempts,
                row.failures,
            )
            for row in sorted(rows, key=lambda row: (row.sent, row.id))
        ]

    async def _forgive(self, now: float, lease: float) -> None:
        """What waits keeps its seconds when the clock was set back, in this life or before it."""
        steady = time.monotonic()
        before, self._looked = self._looked, (now, steady)
        back = 0.0 if before is None else (steady - before[1]) - (now - before[0])
        if before is not None and back < _JUMP:
            return
        alive = queue.c.dead.is_(None)
        future = alive & (queue.c.sent > now + _JUMP)
        held = alive & (queue.c.leased > now + lease + _JUMP)
        late = alive & queue.c.leased.is_(None) & (queue.c.ready > now)
        async with self._database.read() as connection:
            if (
                back < _JUMP
                and (await connection.execute(select(queue.c.id).where(future | held).limit(1))).first() is None
            ):
                return
        early = queue.c.sent - now
        async with self._database.write() as connection:
            if back >= _JUMP:
                await connection.execute(update(queue).where(late, ~future).values(ready=queue.c.ready - back))
            shifted = {"ready": queue.c.ready - early, "leased": queue.c.leased - early, "sent": now}
            await connection.execute(update(queue).where(future).values(**shifted))
            await connection.execute(update(queue).where(held).values(ready=now + lease, leased=now + lease))

    async def ack(self, ids: Sequence[int]) -> None:
        """Done: remove them. Unknown ids are no error; a dead letter stays (the first word on a message counts)."""
        if not ids:
            return
        statement = delete(queue).where(queue.c.id.in_(ids), queue.c.dead.is_(None))
        await self._database.step(lambda connection: connection.execute(statement))

    async def retry(
        self, message_id: int, *, delay: float = 0.0, error: str = "", max_retries: int = 3, counts: bool = True
    ) -> bool:
        """Give it back after `delay` seconds; False when it had its `max_retries` and is now a dead letter, kept.

        With `counts=False` the delivery was no try (a store was away, the consumer stops): it never dies of it.
        Of a message that is gone already there is nothing to give back: True.
        """
        now = self._clock()
        values: dict[str, Any] = {"ready": now + max(delay, 0.0), "leased": None, "error": error or None}
        if counts:
            spent = queue.c.failures + 1 > max_retries
            values |= {"failures": queue.c.failures + 1, "dead": case((spent, now), else_=None)}
        statement = update(queue).where(queue.c.id == message_id, queue.c.dead.is_(None)).values(**values)
        async with self._database.write() as connection:
            await connection.execute(statement)
            dead = (await connection.execute(select(queue.c.dead).where(queue.c.id == message_id))).scalar()
        if dead is None and delay <= 0:
            self._sent.set()
        return dead is None

    async def renew(self, ids: Sequence[int], *, lease: float) -> None:
        """Let the leases of these messages end in `lease` seconds from now; of one that is not leased nothing
        changes."""
        if not ids:
            return
        until = self._clock() + lease
        held = queue.c.id.in_(ids) & queue.c.dead.is_(None) & queue.c.leased.is_not(None)
        statement = update(queue).where(held).values(ready=until, leased=until)
        await self._database.step(lambda connection: connection.execute(statement))

    async def release(self) -> int:
        """End every lease now, for one who knows that whoever held them is dead; how many.

        They come as those whose lease ran out: one of them may have killed its consumer.
        """
        now = self._clock()
        held = queue.c.dead.is_(None) & queue.c.leased.is_not(None) & (queue.c.ready > now)
        statement = update(queue).where(held).values(ready=now)
        ended = (await self._database.step(lambda connection: connection.execute(statement))).rowcount
        if ended:
            self._sent.set()
        return ended

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109  how long to sleep, not a limit
        """Sleep until a message is sent or `timeout` seconds passed; True when woken.

        A send since the last `wait` wakes at once, so nothing is missed between `receive` and `wait`.
        """
        if not self._listening and isinstance(self._database, Wakes):
            self._listening = True
            self._database.listen("queue", self._sent.set)
        try:
            await asyncio.wait_for(self._sent.wait(), timeout)
        except TimeoutError:
            return False
        self._sent.clear()
        return True

    async def stats(self) -> QueueStats:
        """How much waits; the oldest age is that of what is ready, delayed or leased."""
        now = self._clock()
        alive, waits = queue.c.dead.is_(None), queue.c.ready > now
        counts = select(
            func.count().filter(alive, ~waits).label("ready"),
            func.count().filter(alive, waits, queue.c.leased.is_(None)).label("delayed"),
            func.count().filter(alive, waits, queue.c.leased.is_not(None)).label("leased"),
            func.count().filter(~alive).label("dead"),
            func.min(queue.c.sent).filter(alive).label("oldest"),
        )
        async with self._database.read() as connection:
            row = (await connection.execute(counts)).one()
        age = 0.0 if row.oldest is None else max(now - row.oldest, 0.0)
        return QueueStats(row.ready, row.delayed, row.leased, row.dead, age)

    async def dead(self, *, limit: int = 100, before: int | None = None) -> Sequence[DeadLetter]:
        """Dead letters, newest id first, at most 1,000; `before` pages by id."""
        statement = select(queue).where(queue.c.dead.is_not(None))
        if before is not None:
            statement = statement.where(queue.c.id < before)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement.order_by(queue.c.id.desc()).limit(min(limit, 1000)))).all()
        return [
            DeadLetter(
                row.id,
                json.loads(row.body),
                datetime.fromtimestamp(row.sent, UTC),
                row.attempts,
                row.error or "",
                datetime.fromtimestamp(row.dead, UTC),
            )
            for row in rows
        ]

    async def requeue(self, message_id: int) -> bool:
        """Deliver it again, at once, with all its retries; it keeps its id, body and number of deliveries."""
        statement = (
            update(queue)
            .where(queue.c.id == message_id, queue.c.dead.is_not(None))
            .values(dead=None, ready=self._clock(), leased=None, failures=0, lost=0)
        )
        async with self._database.write() as connection:
            found = (await connection.execute(statement)).rowcount > 0
            await self._tell(connection)
        if found:
            self._sent.set()
        return found

    async def discard(self, message_id: int) -> bool:
        """Remove it for good."""
        statement = delete(queue).where(queue.c.id == message_id, queue.c.dead.is_not(None))
        async with self._database.write() as connection:
            return (await connection.execute(statement)).rowcount > 0


def _company(ready: Sequence[tuple[int, int]]) -> list[int]:
    """Which of (id, times that its lease ran out), oldest first, are delivered together."""
    if not ready:
        return []
    oldest, times = ready[0]
    if times > 1:
        return [oldest]
    return [number for number, lost in ready if lost == times][: _SUSPECTS if times else None]


def _insert_into(connection: sqlite3.Connection, rows: Sequence[Mapping[str, Any]]) -> int:
    connection.executemany(
        "INSERT INTO queue (body, sent, ready, attempts) VALUES (:body, :sent, :ready, :attempts)", rows
    )
    last: int = connection.execute("SELECT max(id) FROM queue").fetchone()[0]
    failpoints.hit("queue.insert")
    return last
