"""The audit log: who changed what, when and from where. Never holds a secret, a password or a report's content.

The caller that starts a piece of work (a command, a request, a page) names the actor with `acting`. The catalogue notes
each change in the transaction that makes it, so that there is no change without its line and no line without its
change.
"""

from __future__ import annotations

import builtins
import getpass
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Row

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import tables

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["SYSTEM", "Actor", "Audit", "AuditRow", "act", "acting", "actor", "command", "keep_newest", "note"]

DETAIL_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: `kind` is user, token, command, system, or visitor (somebody who is not logged in).

    `name` is a mail address, a token's id or the name of a system user.
    """

    kind: str
    name: str
    peer: str = ""


SYSTEM = Actor("system", "dmarcworks")
# Every request is a task of its own, and a task has a context of its own: nobody acts in another's name.
_ACTOR: ContextVar[Actor] = ContextVar("actor", default=SYSTEM)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A change; `account_id` is None when it is about no account."""

    id: int
    at: datetime
    account_id: str | None
    actor: str
    name: str
    action: str
    target: str
    detail: Mapping[str, Any]
    peer: str


def act(actor: Actor) -> None:
    """Whatever this task changes from now on is changed by `actor`."""
    _ACTOR.set(actor)


def actor() -> Actor:
    """Who this task acts for."""
    return _ACTOR.get()


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """`act` for the length of a block."""
    token = _ACTOR.set(actor)
    try:
        yield
    finally:
        _ACTOR.reset(token)


def command() -> Actor:
    """A person at this machine's command line."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        name = str(os.getuid())
    return Actor("command", name, "local")


async def note(
    connection: AsyncConnection,
    at: float,
    action: str,
    target: str,
    *,
    account_id: str | None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Note a change in the transaction that makes it. `action` like `domain.add`, `target` what a person calls it."""
    actor = _ACTOR.get()
    await connection.execute(
        insert(tables.audit).values(
            at=at,
            account_id=account_id,
            actor=actor.kind,
            name=tables.storable(actor.name)[:320],
            action=action,
            target=tables.storable(target)[:DETAIL_CHARACTERS],
            detail=tables.storable(json.dumps(dict(detail or {}), default=str))[:DETAIL_CHARACTERS],
            peer=actor.peer[:64],
        )
    )


async def keep_newest(connection: AsyncConnection, action: str, rows: int) -> None:
    """Delete all but the newest `rows` lines of an action that strangers can repeat as often as they like."""
    table = tables.audit
    newest = select(table.c.id).where(table.c.action == action).order_by(table.c.id.desc()).offset(rows).limit(1)
    if (last := (await connection.execute(newest)).scalar_one_or_none()) is not None:
        await connection.execute(delete(table).where(table.c.action == action, table.c.id <= last))


class Audit:
    """The log, for those who read it and for changes that have no transaction of their own."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def add(
        self, action: str, target: str, *, account_id: str | None, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Note a change that was made elsewhere (in another store)."""
        async with self._database.write() as connection:
            await note(connection, self._clock(), action, target, account_id=account_id, detail=detail)

    async def list(
        self, account_id: str | None = None, *, action: str | None = None, limit: int = 100, before: int | None = None
    ) -> list[AuditRow]:
        """Changes, newest first; of all accounts when `account_id` is None; `before` pages by id.

        `action` is a whole action (`domain.add`) or the part before its dot (`domain`).
        """
        table = tables.audit
        statement = select(table)
        if account_id is not None:
            statement = statement.where(table.c.account_id == account_id)
        if action is not None:
            statement = statement.where(
                (table.c.action == action) | table.c.action.startswith(f"{action}.", autoescape=True)
            )
        if before is not None:
            statement = statement.where(table.c.id < before)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement.order_by(table.c.id.desc()).limit(min(limit, 1000)))).all()
        return [_row(row) for row in rows]

    async def about(
        self, account_id: str, target: str, begin: datetime, end: datetime, *, limit: int = 1000
    ) -> builtins.list[AuditRow]:
        """An account's changes of one target from `begin` to before `end`, oldest first."""
        table = tables.audit
        statement = select(table).where(
            table.c.account_id == account_id,
            table.c.target == target,
            table.c.at >= begin.timestamp(),
            table.c.at < end.timestamp(),
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(statement.order_by(table.c.id).limit(min(limit, 1000)))).all()
        return [_row(row) for row in rows]


def _row(row: Row[Any]) -> AuditRow:
    return AuditRow(**{**row._mapping, "at": datetime.fromtimestamp(row.at, UTC), "detail": _detail(row.detail)})


def _detail(text: str) -> Mapping[str, Any]:
    try:
        detail = json.loads(text)
    except ValueError:  # cut at its bound
        return {"text": text}
    return detail if isinstance(detail, dict) else {"text": text}
