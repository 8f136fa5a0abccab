"""A system clock that was set back, made good for what waits in a queue.

Without this a message that was sent, delayed or leased before would wait until the clock reaches its time again.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import select, update

from dmarcworks.bindings.contracts import Database
from dmarcworks.bindings.tables import queue_messages as table

__all__ = ["QueueClock"]

# Seconds: what the clock is off by less than this is not a jump.
_JUMP = 5.0


class QueueClock:
    """Compares the clock with the time that has really passed between two looks at a queue."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._looked: dict[str, tuple[float, float]] = {}

    async def correct(self, queue: str, now: float, lease: float) -> None:
        """Let what waits in the queue keep its seconds when the clock was set back, in this process's life or before.

        `now` is the clock's second, `lease` the seconds that a lease lasts at most.
        """
        steady = time.monotonic()
        before, self._looked[queue] = self._looked.get(queue), (now, steady)
        back = 0.0 if before is None else (steady - before[1]) - (now - before[0])
        if before is not None and back < _JUMP:
            return
        alive = (table.c.queue == queue) & table.c.dead.is_(None)
        future = alive & (table.c.sent > now + _JUMP)
        held = alive & (table.c.leased > now + lease + _JUMP)
        late = alive & table.c.leased.is_(None) & (table.c.ready > now)
        async with self._database.read() as connection:
            looked = select(table.c.id).where(future | held).limit(1)
            if back < _JUMP and (await connection.execute(looked)).first() is None:
                return
        early = table.c.sent - now
        async with self._database.write() as connection:
            if back >= _JUMP:
                await connection.execute(update(table).where(late, ~future).values(ready=table.c.ready - back))
            shifted = {"ready": table.c.ready - early, "leased": table.c.leased - early, "sent": now}
            await connection.execute(update(table).where(future).values(**shifted))
            await connection.execute(update(table).where(held).values(ready=now + lease, leased=now + lease))
