"""Mailboxes that reports are fetched from: their settings, and what a person does with them.

A mailbox is added by a command, the REST API or a page, or is in the TOML file (`origin`); one of the file is
changed there. The password is stored encrypted and is never returned to anybody but the code that logs in.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Row

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import audit
from dmarcworks.catalogue.mailbox_tables import mailbox_folders, mailbox_left, mailboxes
from dmarcworks.catalogue.secret_keys import SecretKeys
from dmarcworks.errors import ConflictError, NotFoundError, SettingsError, UsageError
from dmarcworks.settings import MailboxTable

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["BY_COMMAND", "BY_FILE", "BY_WEB", "MailboxRow", "Mailboxes"]

# Where a mailbox was added.
BY_COMMAND, BY_FILE, BY_WEB = "command", "file", "web"
_PASSWORD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class MailboxRow:
    """A mailbox with its state; never its password.

    `waiting` mails are listed and not processed; `accepted` were accepted durably, `known` had been before,
    `left_alone` hold no report, `too_large` are over the bound, and `gone` were removed by another client.
    """

    id: str
    account_id: str
    name: str
    url: str
    settle: str
    origin: str
    password_file: str
    has_secret: bool
    paused: bool
    created: datetime
    changed: float
    requested: float
    holder: str
    lease: float
    state: str
    next_try: datetime | None
    failures: int
    error_code: str
    error: str
    last_run: datetime | None
    last_mail: datetime | None
    waiting: int
    accepted: int
    known: int
    left_alone: int
    too_large: int
    gone: int

    @property
    def condition(self) -> str:
        """In a word: paused, failing, running, new, or ok."""
        if self.paused:
            return "paused"
        if self.error:
            return "failing"
        return self.state if self.state in ("new", "running") else "ok"


class Mailboxes:
    """The catalogue's mailboxes."""

    def __init__(self, database: Database, keys: SecretKeys, *, clock: Callable[[], float] = time.time) -> None:
        self._database, self._keys, self._clock = database, keys, clock

    def prepare(self) -> None:
        """Make the key file unless it is there."""
        self._keys.make()

    async def list(self, account_id: str | None = None) -> list[MailboxRow]:
        """The account's mailboxes by name; of all accounts when None."""
        statement = select(mailboxes).order_by(mailboxes.c.name, mailboxes.c.id)
        if account_id is not None:
            statement = statement.where(mailboxes.c.account_id == account_id)
        async with self._database.read() as connection:
            return [mailbox_row(row) for row in (await connection.execute(statement)).all()]

    async def conditions(self) -> tuple[dict[str, int], int]:
        """How many mailboxes are in each condition, and how many mails wait in them."""
        rows = await self.list()
        return dict(Counter(row.condition for row in rows)), sum(row.waiting for row in rows)

    async def get(self, account_id: str | None, name_or_id: str) -> MailboxRow:
        """A mailbox of the account by name or id; `NotFoundError` for any other."""
        columns = mailboxes.c
        statement = select(mailboxes).where((columns.name == name_or_id) | (columns.id == name_or_id))
        if account_id is not None:
            statement = statement.where(columns.account_id == account_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement.order_by(columns.id))).all()
        if not rows:
            raise NotFoundError(f"there is no mailbox {name_or_id}; `dmarcworks mailbox list` lists them")
        if len(rows) > 1:
            raise UsageError(f"several accounts have a mailbox {name_or_id}; name the account with --account")
        return mailbox_row(rows[0])

    async def add(
        self, account_id: str, table: MailboxTable, secret: str, origin: str, *, paused: bool = False
    ) -> MailboxRow:
        """Add a mailbox; `UsageError` for what cannot be right, `ConflictError` when the name is taken."""
        try:
            table.check_name()
            table.check()
        except ValueError as error:
            raise UsageError(str(error)) from None
        url, in_url = table.without_password()
        mailbox_id = uuid.uuid4().hex
        async with self._database.write() as connection:
            same = (mailboxes.c.account_id == account_id) & (mailboxes.c.name == table.name)
            if (await connection.execute(select(mailboxes.c.id).where(same))).first():
                raise ConflictError(f"there is a mailbox {table.name} already; remove it first, or choose another name")
            values: dict[str, Any] = {"account_id": account_id, "name": table.name, "url": url, "settle": table.settle}
            await self._insert(connection, mailbox_id, values, secret or in_url, table.password_file, origin, paused)
        return await self.get(account_id, mailbox_id)

    async def remove(self, mailbox: MailboxRow) -> None:
        """Forget it with its password and progress; its mail stays where it is, what was accepted stays too."""
        _changeable(mailbox)
        async with self._database.write() as connection:
            await _delete(connection, mailbox.id)
            await self._note(connection, "mailbox.remove", mailbox)

    async def pause(self, mailbox: MailboxRow, paused: bool) -> None:
        """Fetch nothing from it until it is resumed; a resumed one is tried at once."""
        now = self._clock()
        values = {"paused": paused, "changed": now, "next_try": 0.0}
        async with self._database.write() as connection:
            await connection.execute(update(mailboxes).where(mailboxes.c.id == mailbox.id).values(**values))
            await self._note(connection, "mailbox.pause" if paused else "mailbox.resume", mailbox)

    async def set_password(self, mailbox: MailboxRow, secret: str) -> None:
        """Replace the password; the mailbox is tried at once."""
        _changeable(mailbox)
        now = self._clock()
        values = {"secret": self._keys.encrypt(mailbox.id, secret), "password_file": "", "changed": now}
        async with self._database.write() as connection:
            statement = update(mailboxes).where(mailboxes.c.id == mailbox.id)
            await connection.execute(statement.values(**values, next_try=0.0, failures=0))
            await self._note(connection, "mailbox.password", mailbox)

    async def request_run(self, mailbox: MailboxRow) -> float:
        """Have the server fetch from it now; the moment, which `last_run` passes when that was done."""
        now = self._clock()
        async with self._database.write() as connection:
            statement = update(mailboxes).where(mailboxes.c.id == mailbox.id)
            await connection.execute(statement.values(requested=now, next_try=0.0, failures=0))
        return now

    async def password(self, mailbox: MailboxRow) -> str:
        """What it logs in with: of its file, read now, or the stored one. `SettingsError` when there is none."""
        if mailbox.password_file:
            return read_password(mailbox.password_file)
        statement = select(mailboxes.c.secret).where(mailboxes.c.id == mailbox.id)
        async with self._database.read() as connection:
            text = (await connection.execute(statement)).scalar()
        return "" if text is None else self._keys.decrypt(mailbox.id, text)

    async def rotate(self) -> int:
        """Encrypt all passwords with a new key and forget the old ones; how many there are."""
        self._keys.add()
        async with self._database.write() as connection:
            statement = select(mailboxes.c.id, mailboxes.c.secret).where(mailboxes.c.secret.is_not(None))
            rows = (await connection.execute(statement)).all()
            for row in rows:
                text = self._keys.encrypt(row.id, self._keys.decrypt(row.id, row.secret))
                await connection.execute(update(mailboxes).where(mailboxes.c.id == row.id).values(secret=text))
            await audit.note(connection, self._clock(), "mailbox.rotate-key", "", account_id=None)
        self._keys.keep_first()
        return len(rows)

    async def sync_file(self, entries: Sequence[tuple[str, MailboxTable]]) -> None:
        """Make the file's mailboxes (account id, table) those of origin "file": added, changed or removed."""
        wanted = {(account_id, table.name): table for account_id, table in entries}
        async with self._database.write() as connection:
            rows = (await connection.execute(select(mailboxes))).all()
            there = {(row.account_id, row.name): row for row in rows}
            for key, old in there.items():
                if old.origin == BY_FILE and key not in wanted:
                    await _delete(connection, old.id)
            for key, table in wanted.items():
                url, secret = table.without_password()
                values: dict[str, Any] = {"account_id": key[0], "name": key[1], "url": url, "settle": table.settle}
                row = there.get(key)
                if row is None:
                    new_id = uuid.uuid4().hex
                    await self._insert(connection, new_id, values, secret, table.password_file, BY_FILE, False)
                    continue
                if row.origin != BY_FILE:
                    raise SettingsError(
                        f"[[mailbox]] {table.name}: the account has a mailbox of this name that was added by command or"
                        " page; remove one of them"
                    )
                changes = {**values, "password_file": table.password_file}
                if any(getattr(row, name) != value for name, value in changes.items()) or secret:
                    changes |= {"secret": self._keys.encrypt(row.id, secret) if secret else None, "next_try": 0.0}
                    statement = update(mailboxes).where(mailboxes.c.id == row.id)
                    await connection.execute(statement.values(**changes, changed=self._clock()))

    async def _insert(
        self,
        connection: AsyncConnection,
        mailbox_id: str,
        values: dict[str, Any],
        secret: str,
        password_file: str,
        origin: str,
        paused: bool,
    ) -> None:
        now = self._clock()
        encrypted = self._keys.encrypt(mailbox_id, secret) if secret else None
        zeros: dict[str, Any] = dict.fromkeys(
            ("requested", "lease", "next_try", "failures", "waiting", "accepted", "known", "left_alone", "too_large"), 0
        )
        empty: dict[str, Any] = dict.fromkeys(("holder", "error", "error_code"), "")
        await connection.execute(
            insert(mailboxes).values(
                id=mailbox_id,
                **values,
                **zeros,
                **empty,
                gone=0,
                taking="[]",
                origin=origin,
                secret=encrypted,
                password_file=password_file,
                paused=paused,
                created=now,
                changed=now,
                state="new",
            )
        )
        detail = {name: values[name] for name in ("url", "settle")}
        account_id = str(values["account_id"])
        await audit.note(connection, now, "mailbox.add", str(values["name"]), account_id=account_id, detail=detail)

    async def _note(self, connection: AsyncConnection, action: str, mailbox: MailboxRow) -> None:
        await audit.note(connection, self._clock(), action, mailbox.name, account_id=mailbox.account_id)


def read_password(path: str) -> str:
    """A file's first line; `SettingsError` when it cannot be read or is empty."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_PASSWORD_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"the password file {path} cannot be read: {reason}") from None
    if not (lines := text.splitlines()) or not lines[0]:
        raise SettingsError(f"the password file {path} is empty; its first line is the password")
    return lines[0]


def _changeable(mailbox: MailboxRow) -> None:
    if mailbox.origin == BY_FILE:
        raise ConflictError(f"the mailbox {mailbox.name} is in the TOML file; change it there and restart the server")


async def _delete(connection: AsyncConnection, mailbox_id: str) -> None:
    for table in (mailbox_left, mailbox_folders):
        await connection.execute(delete(table).where(table.c.mailbox_id == mailbox_id))
    await connection.execute(delete(mailboxes).where(mailboxes.c.id == mailbox_id))


def mailbox_row(row: Row[Any]) -> MailboxRow:
    """A row of the table as a `MailboxRow`, without its secret."""
    values = dict(row._mapping)
    has_secret = values.pop("secret") is not None
    del values["taking"]
    for name in ("created", "last_run", "last_mail", "next_try"):
        values[name] = datetime.fromtimestamp(values[name], UTC) if values[name] else None
    return MailboxRow(**values, has_secret=has_secret)
