"""The bound on DNS queries of the checks, for all processes together: each query has a moment of its own.

A process reserves some moments at a time in the database, one after the other over all processes, so that queries are
spread evenly and no two processes use the same moment.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable

from sqlalchemy import Connection, select, update

from dmarcworks.bindings.contracts import Database
from dmarcworks.bindings.upsert import upsert
from dmarcworks.catalogue.dns_tables import dns_pace

__all__ = ["QueryPace"]

_NAME = "checks"
# A clock that was set back must not hold up the checks: nobody reserves further ahead than this.
_AHEAD_SECONDS = 60.0


class QueryPace:
    """At most so many queries in a second, evenly."""

    def __init__(
        self,
        database: Database,
        per_second: float,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._database = database
        self._interval = 1.0 / per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = asyncio.Lock()
        self._moments: deque[float] = deque()
        self._waiting = 0

    async def wait(self) -> None:
        """Return when the next query may be sent."""
        self._waiting += 1
        try:
            async with self._lock:
                moment = await self._moment()
        finally:
            self._waiting -= 1
        if (pause := moment - self._clock()) > 0:
            await self._sleep(pause)

    async def _moment(self) -> float:
        # A moment that has passed is lost: used later, it would be one query too many there.
        while self._moments and self._moments[0] < self._clock() - self._interval:
            self._moments.popleft()
        if not self._moments:
            await self._reserve()
        return self._moments.popleft()

    async def _reserve(self) -> None:
        """As many as wait, for a quarter of a second at least and for one second at most."""
        a_second = max(1, int(1.0 / self._interval))
        number = min(max(self._waiting, math.ceil(a_second / 4)), a_second)
        now, ahead = self._clock(), number * self._interval

        def work(connection: Connection) -> float:
            mine = dns_pace.c.name == _NAME
            # The row is there before it is locked: without one, two processes would begin at the same moment.
            absent = upsert(connection.dialect.name, dns_pace).values(name=_NAME, reserved=0.0)
            connection.execute(absent.on_conflict_do_nothing())
            statement = select(dns_pace.c.reserved).where(mine)
            if connection.dialect.name == "postgresql":
                statement = statement.with_for_update()
            reserved: float = connection.execute(statement).scalar_one()
            first = reserved if now < reserved <= now + _AHEAD_SECONDS else now
            connection.execute(update(dns_pace).where(mine).values(reserved=first + ahead))
            return first

        first = await self._database.step(work)
        self._moments.extend(first + place * self._interval for place in range(number))
