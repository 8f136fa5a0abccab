"""The queue on PostgreSQL: what one process sends wakes the consumers of all (LISTEN and NOTIFY)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from dmarcworks.bindings.postgres import PostgresDatabase
from dmarcworks.bindings.queue import SqlQueue

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["PostgresQueue"]

_TOPIC = "queue"


class PostgresQueue(SqlQueue):
    """The contracts Queue, Leases and DeadLetters on a PostgreSQL database."""

    def __init__(self, database: PostgresDatabase, clock: Callable[[], float] = time.time) -> None:
        super().__init__(database, clock)
        self._postgres = database
        self._listening = False

    async def _announce(self, connection: AsyncConnection) -> None:
        await self._postgres.notify(connection, _TOPIC)

    async def wait(self, queue: str, timeout: float) -> bool:  # noqa: ASYNC109  how long to sleep, not a limit
        """As `SqlQueue.wait`; the first call begins to listen to other processes."""
        if not self._listening:
            self._listening = True
            self._postgres.listen(_TOPIC, self._wake)
        return await super().wait(queue, timeout)
