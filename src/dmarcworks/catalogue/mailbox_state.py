"""The state of mailboxes: which process fetches from one, how far each folder is, and what was left alone.

A process claims a mailbox by a lease in the database and extends it while it works, so that no two fetch from the same
one. The lease of a process of this machine that has died is free at once, any other when it has run out.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.engine import Row

from dmarcworks.bindings.contracts import Database
from dmarcworks.bindings.upsert import upsert
from dmarcworks.catalogue.mailbox_tables import mailbox_folders, mailbox_left, mailboxes
from dmarcworks.catalogue.mailboxes import MailboxRow, mailbox_row
from dmarcworks.catalogue.tables import reports, storable

__all__ = ["COUNTS", "FolderMark", "LeftMail", "MailboxState", "UnknownDomain", "new_holder"]

# The columns that count mails.
COUNTS = ("accepted", "known", "left_alone", "too_large", "gone")
# Mails that are listed per mailbox as left alone; all are counted.
_LISTED = 1000
_DOMAINS = 200


@dataclass(frozen=True, slots=True)
class FolderMark:
    """How far a folder is: the source's own text, how many mails wait there, and why it cannot be read."""

    marker: str = ""
    waiting: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class LeftMail:
    """A mail without a report, which was left where it is."""

    folder: str
    uid: str
    reason: str
    detail: str
    sender: str
    subject: str
    size: int
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class UnknownDomain:
    """A domain that reports from mailboxes are about and that the account does not have."""

    name: str
    reports: int
    messages: int
    first_day: str
    last_day: str


def new_holder() -> str:
    """A name for this process as the holder of leases."""
    return f"{socket.gethostname()[:150]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"


class MailboxState:
    """Leases, progress and errors."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    async def claim(self, mailbox_id: str, holder: str, seconds: float) -> MailboxRow | None:
        """The mailbox, now held for so many seconds; None when another process holds it or it is gone."""
        now = self._clock()
        async with self._database.write() as connection:
            statement = select(mailboxes).where(mailboxes.c.id == mailbox_id).with_for_update()
            row = (await connection.execute(statement)).first()
            if row is None or (row.holder not in ("", holder) and row.lease > now and not _dead(row.holder)):
                return None
            values = {"holder": holder, "lease": now + seconds}
            await connection.execute(update(mailboxes).where(mailboxes.c.id == mailbox_id).values(**values))
        return mailbox_row(row)

    async def renew(self, mailbox_id: str, holder: str, seconds: float) -> bool:
        """Hold it on; False when it was lost."""
        where = (mailboxes.c.id == mailbox_id) & (mailboxes.c.holder == holder)
        async with self._database.write() as connection:
            statement = update(mailboxes).where(where).values(lease=self._clock() + seconds)
            return (await connection.execute(statement)).rowcount == 1

    async def release(self, mailbox_id: str, holder: str) -> None:
        """Let another process have it."""
        where = (mailboxes.c.id == mailbox_id) & (mailboxes.c.holder == holder)
        async with self._database.write() as connection:
            await connection.execute(update(mailboxes).where(where).values(holder="", lease=0.0))

    async def running(self, mailbox_id: str) -> None:
        """A run has begun."""
        await self._set(mailbox_id, state="running")

    async def succeeded(self, mailbox_id: str, *, began: float, next_try: float) -> None:
        """A run that began then ended well."""
        values = {"state": "idle", "error": "", "error_code": "", "failures": 0}
        await self._set(mailbox_id, **values, last_run=began, next_try=next_try)

    async def failed(self, mailbox_id: str, code: str, text: str, *, began: float, next_try: float) -> None:
        """A run ended with an error; it is tried again at `next_try`."""
        error = storable(text)[:2000]
        values = {"state": "idle", "error_code": code[:32], "error": error, "last_run": began, "next_try": next_try}
        await self._set(mailbox_id, **values, failures=mailboxes.c.failures + 1)

    async def taking(self, mailbox_id: str) -> dict[tuple[str, str], float]:
        """Mails (folder and key) that were being accepted when a run ended, and their times of receipt."""
        statement = select(mailboxes.c.taking).where(mailboxes.c.id == mailbox_id)
        async with self._database.read() as connection:
            text = (await connection.execute(statement)).scalar() or "[]"
        return {(folder, key): at for folder, key, at in json.loads(text)}

    async def take(self, mailbox_id: str, taking: Mapping[tuple[str, str], float]) -> None:
        """Note which mails are being accepted."""
        await self._set(mailbox_id, taking=_taking(taking))

    async def marks(self, mailbox_id: str) -> dict[str, FolderMark]:
        """How far each folder is."""
        statement = select(mailbox_folders).where(mailbox_folders.c.mailbox_id == mailbox_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement.order_by(mailbox_folders.c.folder))).all()
        return {row.folder: FolderMark(row.marker, row.waiting, row.error) for row in rows}

    async def progress(
        self,
        mailbox_id: str,
        marks: Mapping[str, FolderMark],
        counts: Mapping[str, int],
        left: Sequence[LeftMail] = (),
        *,
        mail: bool = False,
        taking: Mapping[tuple[str, str], float] | None = None,
    ) -> None:
        """Note in one transaction how far the folders are, what was counted, and what was left alone."""
        now = self._clock()
        async with self._database.write() as connection:
            dialect = connection.dialect.name
            for folder, mark in marks.items():
                values = {"marker": mark.marker, "waiting": mark.waiting, "error": storable(mark.error)[:2000]}
                statement = upsert(dialect, mailbox_folders).values(mailbox_id=mailbox_id, folder=folder, **values)
                statement = statement.on_conflict_do_update(index_elements=["mailbox_id", "folder"], set_=values)
                await connection.execute(statement)
            added: dict[str, Any] = {name: mailboxes.c[name] + number for name, number in counts.items() if number}
            total = select(func.coalesce(func.sum(mailbox_folders.c.waiting), 0))
            added["waiting"] = total.where(mailbox_folders.c.mailbox_id == mailbox_id).scalar_subquery()
            if mail:
                added["last_mail"] = now
            if taking is not None:
                added["taking"] = _taking(taking)
            await connection.execute(update(mailboxes).where(mailboxes.c.id == mailbox_id).values(**added))
            for one in left:
                values = {
                    "mailbox_id": mailbox_id,
                    "folder": one.folder,
                    "uid": one.uid[:255],
                    "reason": one.reason[:64],
                    "detail": storable(one.detail)[:500],
                    "sender": storable(one.sender)[:200],
                    "subject": storable(one.subject)[:200],
                    "size": one.size,
                    "at": now,
                }
                await connection.execute(upsert(dialect, mailbox_left).values(**values).on_conflict_do_nothing())
            if left:
                await self._trim(connection, mailbox_id)

    async def left(self, mailbox_id: str, limit: int = 100, before: int | None = None) -> list[tuple[int, LeftMail]]:
        """Mails that were left alone with their numbers, newest first."""
        columns = mailbox_left.c
        statement = select(mailbox_left).where(columns.mailbox_id == mailbox_id)
        if before is not None:
            statement = statement.where(columns.id < before)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement.order_by(columns.id.desc()).limit(limit))).all()
        return [(row.id, _left_mail(row)) for row in rows]

    async def unknown_domains(self, account_id: str, no_domain: str) -> list[UnknownDomain]:
        """Domains that reports from mailboxes are about and that are none of the account's, most reports first."""
        columns = reports.c
        number = func.count().label("number")
        statement = (
            select(
                columns.policy_domain,
                number,
                func.sum(columns.messages).label("messages"),
                func.min(columns.day).label("first"),
                func.max(columns.day).label("last"),
            )
            .where(columns.account_id == account_id, columns.domain_id == no_domain, columns.state == "foreign")
            .where(columns.policy_domain != "")
            .group_by(columns.policy_domain)
            .order_by(number.desc(), columns.policy_domain)
            .limit(_DOMAINS)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [UnknownDomain(row.policy_domain, row.number, int(row.messages), row.first, row.last) for row in rows]

    async def _set(self, mailbox_id: str, **values: Any) -> None:
        async with self._database.write() as connection:
            await connection.execute(update(mailboxes).where(mailboxes.c.id == mailbox_id).values(**values))

    async def _trim(self, connection: Any, mailbox_id: str) -> None:
        mine = mailbox_left.c.mailbox_id == mailbox_id
        ids = select(mailbox_left.c.id).where(mine).order_by(mailbox_left.c.id.desc()).offset(_LISTED).limit(1)
        oldest = (await connection.execute(ids)).scalar()
        if oldest is not None:
            await connection.execute(delete(mailbox_left).where(mine, mailbox_left.c.id <= oldest))


def _taking(taking: Mapping[tuple[str, str], float]) -> str:
    return json.dumps([[folder, key, at] for (folder, key), at in taking.items()], separators=(",", ":"))


def _left_mail(row: Row[Any]) -> LeftMail:
    at = datetime.fromtimestamp(row.at, UTC)
    return LeftMail(row.folder, row.uid, row.reason, row.detail, row.sender, row.subject, row.size, at)


def _dead(holder: str) -> bool:
    """Whether the holder was a process of this machine that no longer runs."""
    host, number, _ = [*holder.split(":"), "", ""][:3]
    if host != socket.gethostname()[:150] or not number.isdigit() or int(number) == os.getpid():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
