"""Which messages of a queue one delivery holds, and their lease.

A lease that ran out is a suspicion: of what the same consumer held, one message may have killed it. Such messages are
delivered apart from the others, a few together; those that it happened to again are delivered alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, select, update

from dmarcworks.bindings.contracts import LeasedMessage
from dmarcworks.bindings.tables import queue_messages as table

__all__ = ["is_ready", "lease_messages"]

# So many come together whose lease ran out once: after a crash a thousand would take minutes one by one.
_SUSPECTS = 25


def is_ready(queue: str, now: float) -> ColumnElement[bool]:
    """Messages of the queue that may be delivered at this second."""
    return and_(table.c.queue == queue, table.c.dead.is_(None), table.c.ready <= now)


def lease_messages(
    connection: Connection, queue: str, now: float, limit: int, lease: float, size: int | None
) -> Sequence[LeasedMessage]:
    """Lease the next messages, oldest first: at most `limit`, and of at most `size` bytes together when it is given."""
    expired = case((table.c.leased.is_not(None), 1), else_=0)
    blamed = case((table.c.lost == 1, 0), else_=expired)
    columns = [table.c.id, (table.c.lost + expired).label("times")]
    if size is not None:
        columns.append(func.length(table.c.body).label("size"))
    oldest = select(*columns).where(is_ready(queue, now)).order_by(table.c.ready, table.c.id).limit(limit)
    rows = connection.execute(oldest.with_for_update(skip_locked=True)).all()
    ids = _company([(row.id, row.times) for row in rows])
    if size is not None:
        ids = _within(ids, {row.id: row.size for row in rows}, size)
    statement = (
        update(table)
        .where(table.c.id.in_(ids))
        .values(
            attempts=table.c.attempts + 1,
            failures=table.c.failures + blamed,
            lost=table.c.lost + expired,
            ready=now + lease,
            leased=now + lease,
        )
        .returning(*(table.c[name] for name in ("id", "queue", "type", "body", "sent", "attempts", "failures")))
    )
    leased = connection.execute(statement).all() if ids else []
    # RETURNING promises no order.
    return [_leased(row) for row in sorted(leased, key=lambda row: (row.sent, row.id))]


def _company(ready: Sequence[tuple[int, int]]) -> list[int]:
    """Which of (id, times that its lease ran out), oldest first, are delivered together."""
    if not ready:
        return []
    oldest, times = ready[0]
    if times > 1:
        return [oldest]
    return [number for number, lost in ready if lost == times][: _SUSPECTS if times else None]


def _within(ids: Sequence[int], sizes: Mapping[int, int], most: int) -> list[int]:
    """The first of the ids whose bodies have at most `most` bytes together; always one."""
    kept: list[int] = []
    total = 0
    for number in ids:
        total += sizes[number]
        if kept and total > most:
            break
        kept.append(number)
    return kept


def _leased(row: Row[Any]) -> LeasedMessage:
    sent = datetime.fromtimestamp(row.sent, UTC)
    return LeasedMessage(row.id, row.queue, row.type, bytes(row.body), sent, row.attempts, row.failures)
