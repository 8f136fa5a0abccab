"""The dead letters of all queues: list, requeue or remove permanently."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Row, and_, delete, or_, select, update

from dmarcworks.bindings.contracts import SYSTEM_QUEUE, Database, DeadLetter
from dmarcworks.bindings.tables import queue_messages as table

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["SqlDeadLetters"]

_PAGE = 1000


class SqlDeadLetters(ABC):
    """The contract DeadLetters on `database`; `clock` returns the unix second."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def dead(
        self,
        queue: str = "",
        *,
        limit: int = 100,
        message_id: int | None = None,
        before: tuple[float, int] | None = None,
    ) -> Sequence[DeadLetter]:
        """Dead letters of one queue, or of all but the system's own; newest first, at most 1,000; or the one by its id.

        `before`: only what comes after the message that died at this unix second and has this id.
        """
        query = select(table).where(_dead(queue, message_id)).order_by(table.c.dead.desc(), table.c.id.desc())
        if before is not None:
            died, last = before
            query = query.where(or_(table.c.dead < died, and_(table.c.dead == died, table.c.id < last)))
        async with self._database.read() as connection:
            rows = (await connection.execute(query.limit(min(limit, _PAGE)))).all()
        return [_dead_letter(row) for row in rows]

    async def requeue(self, queue: str = "", message_id: int | None = None) -> int:
        """Deliver one (or every one of the queue, or of all but the system's) again with all its tries; how many."""
        values = {"dead": None, "ready": self._clock(), "leased": None, "failures": 0, "lost": 0}
        async with self._database.write() as connection:
            revived = (await connection.execute(update(table).where(_dead(queue, message_id)).values(values))).rowcount
            await self._announce(connection)
        if revived:
            self._wake()
        return revived

    async def discard(self, queue: str = "", message_id: int | None = None) -> int:
        """Remove one (or every one of the queue, or of all but the system's) permanently; how many."""
        async with self._database.write() as connection:
            return (await connection.execute(delete(table).where(_dead(queue, message_id)))).rowcount

    @abstractmethod
    async def _announce(self, connection: AsyncConnection) -> None:
        """Notify other processes that messages are ready."""

    @abstractmethod
    def _wake(self, queue: str = "") -> None:
        """Wake the consumers of this process."""


def _dead_letter(row: Row[Any]) -> DeadLetter:
    return DeadLetter(
        row.id,
        row.queue,
        row.type,
        bytes(row.body),
        datetime.fromtimestamp(row.sent, UTC),
        row.attempts,
        row.failures,
        row.error or "",
        datetime.fromtimestamp(row.dead, UTC),
    )


def _dead(queue: str, message_id: int | None) -> ColumnElement[bool]:
    wanted: list[ColumnElement[bool]] = [table.c.dead.is_not(None)]
    wanted.append(table.c.queue == queue if queue else table.c.queue != SYSTEM_QUEUE)
    if message_id is not None:
        wanted.append(table.c.id == message_id)
    return and_(*wanted)
