"""What waits in the queues, read without changing anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import func, select

from dmarcworks.bindings.contracts import QUEUE_BATCH, QUEUE_TOGETHER, Database, QueueStats, StoredMessage
from dmarcworks.bindings.queue_leasing import is_ready
from dmarcworks.bindings.tables import queue_messages as table
from dmarcworks.errors import BoundError

__all__ = ["SqlQueueView"]


class SqlQueueView:
    """The reading part of the contract Queue on `database`; `clock` returns the unix second."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def peek(self, queue: str, *, after: int = 0, limit: int = QUEUE_TOGETHER) -> Sequence[StoredMessage]:
        """Look at the queue's messages, leased and delayed ones too but no dead letters, without changing anything.

        They come by id, at most `limit` (1 to 1,000) with an id above `after`.
        """
        if not 1 <= limit <= QUEUE_TOGETHER:
            raise BoundError(f"a look at a queue shows 1 to {QUEUE_TOGETHER} messages, not {limit}")
        columns = (table.c[name] for name in ("id", "type", "body", "sent"))
        # Pages go by the primary key: by the index of what is ready, each page would sort the whole queue.
        alive = select(*columns).where(table.c.id > after, table.c.queue + "" == queue, table.c.dead.is_(None))
        async with self._database.read() as connection:
            rows = (await connection.execute(alive.order_by(table.c.id).limit(limit))).all()
        return [
            StoredMessage(row.id, queue, row.type, bytes(row.body), datetime.fromtimestamp(row.sent, UTC))
            for row in rows
        ]

    async def ready(self, queue: str) -> tuple[int, float]:
        """How many could be delivered now (counted to 100), and for how many seconds the first has waited."""
        now = self._clock()
        waiting = select(table.c.ready).where(is_ready(queue, now)).order_by(table.c.ready).limit(QUEUE_BATCH)
        async with self._database.read() as connection:
            times = (await connection.execute(waiting)).scalars().all()
        return len(times), max(now - min(times, default=now), 0.0)

    async def stats(self) -> Mapping[str, QueueStats]:
        """How much waits in each queue that holds something; the oldest age is of what is ready, delayed or leased."""
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
