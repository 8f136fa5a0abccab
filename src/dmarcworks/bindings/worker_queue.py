"""The queues of users' workers on one SQL table, apart from the system's own queue: named, durable, at least once.

A message stays until it is acknowledged. One whose lease ran out is ready again and that delivery counts. What was
given up moves to another queue or stays, marked dead, for a person. What an older delivery says of a message that has
been delivered again counts no more.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update

from dmarcworks.bindings.contracts import QUEUE_BATCH, Database, QueueStats, Wakes
from dmarcworks.bindings.groups import GroupedCalls
from dmarcworks.bindings.tables import worker_queue as table

__all__ = ["Dead", "Given", "Leased", "Sent", "WorkerQueues"]

BATCH_BYTES = 256_000
LONGEST_DELAY = 43_200.0
# What would be ready later than any delay or lease allows was written before the clock was set back.
_NEVER = 2 * LONGEST_DELAY


@dataclass(frozen=True, slots=True)
class Sent:
    """A message to send: its bytes, what they are (json, text or bytes), and seconds until it may be delivered."""

    type: str
    body: bytes
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Leased:
    """A delivered message; `attempts` counts this delivery too."""

    id: int
    type: str
    body: bytes
    sent: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Given:
    """A delivery that failed: again after `delay` seconds; `dead`: given up; `counts`: whether it was a try."""

    message: Leased
    error: str
    delay: float = 0.0
    dead: bool = False
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Dead:
    """A message that was given up and stays: its tries, its last error, and when it died."""

    id: int
    queue: str
    type: str
    body: bytes
    sent: datetime
    attempts: int
    error: str
    died: datetime


class WorkerQueues:
    """All queues by name, on `database`; `clock` tells the unix second. `StoreError` when the database is away."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._events: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._listening = False
        self._sending: GroupedCalls[Sequence[dict[str, Any]], None] = GroupedCalls(self._insert, "worker queue")

    async def send(self, queue: str, messages: Sequence[Sent]) -> None:
        """Durably enqueue, all or none."""
        now = self._clock()
        rows = [
            {"queue": queue, "type": one.type, "body": one.body, "sent": now, "ready": now + one.delay, "attempts": 0}
            for one in messages
        ]
        if rows:
            await self._sending.ask(rows)
            self._events[queue].set()

    async def _insert(self, groups: list[Sequence[dict[str, Any]]]) -> Sequence[None]:
        async with self._database.write() as connection:
            await connection.execute(insert(table), [row for rows in groups for row in rows])
            if isinstance(self._database, Wakes):
                await self._database.notify(connection, "worker_queue")
        return [None] * len(groups)

    async def ready(self, queue: str) -> tuple[int, float]:
        """How many could be delivered now (counted to 100), and for how many seconds the first has waited."""
        now = self._clock()
        found = select(table.c.ready).where(_ready(queue, now)).order_by(table.c.ready).limit(QUEUE_BATCH)
        async with self._database.read() as connection:
            times = (await connection.execute(found)).scalars().all()
        return len(times), max(now - min(times, default=now), 0.0)

    async def receive(self, queue: str, *, limit: int, lease: float) -> Sequence[Leased]:
        """Lease up to `limit` messages of at most 256,000 bytes together for `lease` seconds, oldest first."""
        now = self._clock()
        oldest = (
            select(table.c.id, func.length(table.c.body).label("size"))
            .where(_ready(queue, now))
            .order_by(table.c.ready, table.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        async with self._database.write() as connection:
            ids: list[int] = []
            size = 0
            for row in (await connection.execute(oldest)).all():
                size += row.size
                if ids and size > BATCH_BYTES:
                    break
                ids.append(row.id)
            lent = (
                update(table)
                .where(table.c.id.in_(ids))
                .values(attempts=table.c.attempts + 1, ready=now + lease, leased=now + lease)
                .returning(*(table.c[name] for name in ("id", "type", "body", "sent", "attempts")))
            )
            rows = (await connection.execute(lent)).all() if ids else []
        return [
            Leased(row.id, row.type, bytes(row.body), datetime.fromtimestamp(row.sent, UTC), row.attempts)
            for row in sorted(rows, key=lambda row: (row.sent, row.id))
        ]

    async def settle(self, done: Sequence[Leased], failed: Sequence[Given], dead_letters: str = "") -> None:
        """Remove what is done and give back what failed; what is given up goes to `dead_letters` or stays."""
        # To the microsecond, which a `datetime` holds: a page of dead ones ends at one moment and number exactly.
        now = round(self._clock(), 6)
        async with self._database.write() as connection:
            for message in done:
                await connection.execute(delete(table).where(_as_delivered(message)))
            for given in failed:
                values: dict[str, Any] = {"ready": now + given.delay, "leased": None, "error": given.error}
                if not given.counts:
                    values["attempts"] = table.c.attempts - 1
                elif given.dead and dead_letters:
                    values |= {"queue": dead_letters, "ready": now, "attempts": 0}
                elif given.dead:
                    values["dead"] = now
                await connection.execute(update(table).where(_as_delivered(given.message)).values(**values))
        if dead_letters and any(given.dead for given in failed):
            self._events[dead_letters].set()

    async def wait(self, queue: str, timeout: float) -> None:  # noqa: ASYNC109  how long to sleep, not a limit
        """Sleep until something is sent to the queue or `timeout` seconds have passed."""
        if not self._listening and isinstance(self._database, Wakes):
            self._listening = True
            self._database.listen("worker_queue", self._heard)
        event = self._events[queue]
        try:
            await asyncio.wait_for(event.wait(), timeout)
        except TimeoutError:
            return
        event.clear()

    def _heard(self) -> None:
        """Another process sent something, to whichever queue."""
        for event in self._events.values():
            event.set()

    async def stats(self) -> Mapping[str, QueueStats]:
        """How much waits in each queue that has something."""
        now = self._clock()
        alive, waits = table.c.dead.is_(None), table.c.ready > now
        counts = select(
            table.c.queue,
            func.count().filter(alive, ~waits).label("ready"),
            func.count().filter(alive, waits, table.c.leased.is_(None)).label("delayed"),
            func.count().filter(alive, waits, table.c.leased.is_not(None)).label("leased"),
            func.count().filter(~alive).label("dead"),
            func.min(table.c.sent).filter(alive).label("oldest"),
        ).group_by(table.c.queue)
        async with self._database.read() as connection:
            rows = (await connection.execute(counts.order_by(table.c.queue))).all()
        return {
            row.queue: QueueStats(
                row.ready, row.delayed, row.leased, row.dead, 0.0 if row.oldest is None else max(now - row.oldest, 0.0)
            )
            for row in rows
        }

    async def dead(
        self,
        queue: str = "",
        *,
        limit: int = 100,
        message_id: int | None = None,
        before: tuple[float, int] | None = None,
    ) -> Sequence[Dead]:
        """What was given up and stays, of one queue or all, newest first, at most 1,000; or the one with this id.

        `before`: only what comes after the message that was given up at this unix second and has this id.
        """
        found = select(table).where(_dead(queue, message_id)).order_by(table.c.dead.desc(), table.c.id.desc())
        if before is not None:
            died, last = before
            found = found.where(or_(table.c.dead < died, and_(table.c.dead == died, table.c.id < last)))
        async with self._database.read() as connection:
            rows = (await connection.execute(found.limit(min(limit, 1000)))).all()
        return [
            Dead(
                row.id,
                row.queue,
                row.type,
                bytes(row.body),
                datetime.fromtimestamp(row.sent, UTC),
                row.attempts,
                row.error or "",
                datetime.fromtimestamp(row.dead, UTC),
            )
            for row in rows
        ]

    async def requeue(self, queue: str = "", message_id: int | None = None) -> int:
        """Deliver a dead one (or every one of the queue, or of all) again with all its tries; how many there were."""
        revived = update(table).where(_dead(queue, message_id)).values(dead=None, ready=self._clock(), attempts=0)
        async with self._database.write() as connection:
            found = (await connection.execute(revived)).rowcount
            if isinstance(self._database, Wakes):
                await self._database.notify(connection, "worker_queue")
        if found:
            self._heard()
        return found

    async def discard(self, queue: str = "", message_id: int | None = None) -> int:
        """Remove a dead one (or every one of the queue, or of all) for good; how many there were."""
        async with self._database.write() as connection:
            return (await connection.execute(delete(table).where(_dead(queue, message_id)))).rowcount


def _ready(queue: str, now: float) -> Any:
    return and_(table.c.queue == queue, table.c.dead.is_(None), or_(table.c.ready <= now, table.c.ready > now + _NEVER))


def _as_delivered(message: Leased) -> Any:
    return and_(table.c.id == message.id, table.c.attempts == message.attempts, table.c.dead.is_(None))


def _dead(queue: str, message_id: int | None) -> Any:
    wanted: list[ColumnElement[bool]] = [table.c.dead.is_not(None)]
    if queue:
        wanted.append(table.c.queue == queue)
    if message_id is not None:
        wanted.append(table.c.id == message_id)
    return and_(*wanted)
