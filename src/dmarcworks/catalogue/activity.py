"""The activity log: one line for each mail that a listener accepted or refused, and the summary over time.

Lines are gathered in memory and written in groups, so that accepting mail does not wait for the log: a crash may lose
the lines of the last half second, never a mail. Text from outside is cut to the columns' lengths. The log of an account
is visible to that account only; `purge` deletes lines older than the retention period.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import Integer, Select, and_, cast, delete, func, or_, select
from sqlalchemy.engine import Row

from dmarcworks.bindings.bulk_insert import add
from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import mail_tables, tables
from dmarcworks.errors import DmarcworksError

log = structlog.get_logger("dmarcworks.activity")

# handled: a worker accepted it · failed: the sender got a temporary error and retries.
OUTCOMES = ("handled", "replied", "forwarded", "dropped", "rejected", "failed")
FLUSH_SECONDS = 0.5
_GROUP = 500
_WAITING = 20_000
_LENGTHS = {
    "sender": 320,
    "recipient": 320,
    "peer": 64,
    "helo": 255,
    "tls": 32,
    "rule": 255,
    "action": 64,
    "status": 3,
    "error": 1000,
    "message_id": 255,
    "subject": 255,
}


@dataclass(frozen=True, slots=True)
class ActivityLine:
    """A mail that reached a listener. `size` in bytes, `seconds` from the end of DATA to the reply; authentication
    results as in RFC 8601, "" when not checked. `mail_id` leads to the mail when the system's own worker accepted
    it."""

    time: datetime
    sender: str
    recipient: str
    peer: str
    size: int
    rule: str
    action: str
    outcome: str
    status: str
    account_id: str = ""
    domain_id: str = ""
    mail_id: str = ""
    helo: str = ""
    tls: str = ""
    error: str = ""
    message_id: str = ""
    subject: str = ""
    seconds: float = 0.0
    spf: str = ""
    dkim: str = ""
    dmarc: str = ""
    arc: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True)
class Bucket:
    """Mails by outcome from `start` on, for the summary's step."""

    start: datetime
    outcomes: dict[str, int]

    @property
    def received(self) -> int:
        """All of them."""
        return sum(self.outcomes.values())


class Activity:
    """The log. `note` takes a line at once; `run` writes until `stop`, and then what still waits."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._waiting: deque[ActivityLine] = deque(maxlen=_WAITING)
        self._stopping = asyncio.Event()
        self._trouble = ""

    def note(self, line: ActivityLine) -> None:
        """Take a line; over 20,000 that wait for the database the oldest are lost."""
        self._waiting.append(line)

    async def stop(self) -> None:
        """Make `run` write the waiting lines and return."""
        self._stopping.set()

    async def run(self, *, days: int = 0) -> None:
        """Write every half second until `stop`; with `days`, delete older lines once an hour."""
        purged = 0.0
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), FLUSH_SECONDS)
            try:
                await self.flush()
                if days and self._clock() - purged > 3600:
                    purged = self._clock()
                    await self.purge(days)
                self._trouble = ""
            except DmarcworksError as error:
                if self._trouble != str(error):
                    log.warning("the activity log waits for its store", error=str(error))
                self._trouble = str(error)
            # Whatever a driver raises, the log continues; mail is not affected.
            except Exception as error:
                log.exception("the activity log failed", error=repr(error))
        with contextlib.suppress(DmarcworksError):
            await self.flush()

    async def flush(self) -> None:
        """Write what waits; on an error it waits on."""
        while self._waiting:
            group = [self._waiting[index] for index in range(min(_GROUP, len(self._waiting)))]
            await self._write(group)
            for line in group:
                if self._waiting and self._waiting[0] is line:
                    self._waiting.popleft()

    async def _write(self, lines: Sequence[ActivityLine]) -> None:
        await self._database.step(
            lambda connection: add(connection, mail_tables.activity, [_values(line) for line in lines])
        )

    async def purge(self, days: int) -> int:
        """Take away lines older than `days`; how many."""
        oldest = self._clock() - days * 86_400
        async with self._database.write() as connection:
            result = await connection.execute(delete(mail_tables.activity).where(mail_tables.activity.c.time < oldest))
        return int(result.rowcount)

    async def lines(
        self,
        account_id: str | None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        outcome: str = "",
        text: str = "",
        domain_id: str = "",
        domain_ids: Sequence[str] | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[ActivityLine]:
        """Lines, newest first, of all accounts when None, and of some domains only when they are given.

        `text` is looked for in sender, recipient, peer and subject; `before` is the last line's id of the page before;
        at most 1,000.
        """
        table = mail_tables.activity
        statement = _of(_joined(), account_id, since, until, domain_ids)
        if outcome:
            statement = statement.where(table.c.outcome == outcome)
        if domain_id:
            statement = statement.where(table.c.domain_id == domain_id)
        if text:
            columns = (table.c.sender, table.c.recipient, table.c.subject, table.c.peer, table.c.message_id)
            statement = statement.where(or_(*(column.icontains(text, autoescape=True) for column in columns)))
        if before is not None:
            statement = statement.where(table.c.id < before)
        statement = statement.order_by(table.c.id.desc()).limit(max(1, min(limit, 1000)))
        async with self._database.read() as connection:
            return [_line(row) for row in (await connection.execute(statement)).all()]

    async def line(
        self, account_id: str | None, line_id: int, domain_ids: Sequence[str] | None = None
    ) -> ActivityLine | None:
        """The line, if it belongs to the account (any account when None), and to one of the domains."""
        statement = _of(_joined(), account_id, None, None, domain_ids).where(mail_tables.activity.c.id == line_id)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
        return None if row is None else _line(row)

    async def summary(
        self,
        account_id: str | None,
        since: datetime,
        until: datetime,
        step: int,
        *,
        domain_id: str = "",
        domain_ids: Sequence[str] | None = None,
    ) -> list[Bucket]:
        """Mails by outcome per `step` seconds from `since` up to `until`, oldest first, empty steps included."""
        table, first = mail_tables.activity, since.timestamp()
        # A cast to integer rounds on PostgreSQL and truncates on SQLite: `floor` agrees on both.
        slot = cast(func.floor((table.c.time - first) / step), Integer)
        counted = select(slot.label("slot"), table.c.outcome, func.count().label("mails"))
        statement = _of(counted, account_id, since, until, domain_ids).group_by(slot, table.c.outcome)
        if domain_id:
            statement = statement.where(table.c.domain_id == domain_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        steps = max(1, -(-int(until.timestamp() - first) // step))
        outcomes: list[dict[str, int]] = [{} for _ in range(steps)]
        for row in rows:
            if 0 <= row.slot < steps:
                outcomes[row.slot][row.outcome] = row.mails
        return [Bucket(datetime.fromtimestamp(first + n * step, UTC), outcomes[n]) for n in range(steps)]


def _of(
    statement: Select[Any],
    account_id: str | None,
    since: datetime | None,
    until: datetime | None,
    domain_ids: Sequence[str] | None,
) -> Select[Any]:
    table = mail_tables.activity
    if domain_ids is not None:
        statement = statement.where(table.c.domain_id.in_(list(domain_ids)))
    if account_id is not None:
        statement = statement.where(table.c.account_id == account_id)
    if since is not None:
        statement = statement.where(table.c.time >= since.timestamp())
    if until is not None:
        statement = statement.where(table.c.time < until.timestamp())
    return statement


def _joined() -> Select[Any]:
    """The log with what was found out about report mails after they were accepted."""
    table, checks = mail_tables.activity, mail_tables.authenticity
    same_mail = and_(table.c.mail_id == checks.c.mail_id, table.c.mail_id != "")
    later = [func.coalesce(getattr(checks.c, name), getattr(table.c, name)).label(f"found_{name}") for name in _AUTH]
    return select(table, *later).select_from(table.outerjoin(checks, same_mail))


_AUTH = ("spf", "dkim", "dmarc", "arc")


_NOTED = tuple(field.name for field in fields(ActivityLine) if field.name != "id")


def _values(line: ActivityLine) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(line, name) for name in _NOTED}
    values["time"] = line.time.timestamp()
    for name, length in _LENGTHS.items():
        values[name] = tables.storable(values[name])[:length]
    return values


def _line(row: Row[Any]) -> ActivityLine:
    columns = row._mapping
    values = {field.name: columns[field.name] for field in fields(ActivityLine)}
    values["time"] = datetime.fromtimestamp(row.time, UTC)
    for name in _AUTH:
        values[name] = columns[f"found_{name}"]
    return ActivityLine(**values)
