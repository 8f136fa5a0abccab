"""Destinations: addresses that an account's mail may be forwarded to, once a link that was mailed to them was opened.

An account has at most 200. The link's secret leaves here once; the store holds its SHA-256. Taking a destination away
stops the rules that forward to it. A link is good for 24 hours and proves one address of one account.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Row

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import audit, mail_tables
from dmarcworks.catalogue.accounts import secret_hash
from dmarcworks.catalogue.routes import plain_address
from dmarcworks.errors import BoundError, ConflictError, NotFoundError

DESTINATIONS = 200
LINK_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class Destination:
    """An address that an account forwards to; `verified` is when its owner opened the link, None before."""

    id: str
    account_id: str
    email: str
    verified: datetime | None
    created: datetime
    modified: datetime


class Destinations:
    """Destinations by account."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def add(self, account_id: str, email: str, *, verified: bool = False) -> tuple[Destination, str]:
        """A new destination and its link's secret; an unverified one that is there already gets a new link.

        `ConflictError` when it is verified already. With `verified` no link is needed: the operator vouches for it.
        """
        address, now = plain_address(email), self._clock()
        secret = secrets.token_urlsafe(32)
        table = mail_tables.destinations
        link = {"secret": secret_hash(secret), "expires": now + LINK_SECONDS, "modified": now}
        if verified:
            link = {"secret": None, "expires": None, "modified": now, "verified": now}
        async with self._database.write() as connection:
            mine = table.c.account_id == account_id
            existing = (await connection.execute(select(table).where(mine, table.c.email == address))).first()
            if existing is not None and existing.verified is not None:
                raise ConflictError(f"{address} is verified already")
            if existing is None:
                counted = select(func.count()).select_from(table).where(mine)
                if (await connection.execute(counted)).scalar_one() >= DESTINATIONS:
                    raise BoundError(f"an account has at most {DESTINATIONS} destination addresses")
                row = {"id": uuid.uuid4().hex, "account_id": account_id, "email": address, "created": now, **link}
                await connection.execute(insert(table).values(row))
            else:
                await connection.execute(update(table).where(table.c.id == existing.id).values(link))
            await audit.note(
                connection, now, "destination.add", address, account_id=account_id, detail={"trusted": verified}
            )
            made = (await connection.execute(select(table).where(mine, table.c.email == address))).one()
        return _destination(made), secret

    async def verify(self, secret: str) -> Destination | None:
        """Open a link: the destination that it proves, None when it is unknown or too old."""
        table, now = mail_tables.destinations, self._clock()
        async with self._database.write() as connection:
            mine = (table.c.secret == secret_hash(secret), table.c.expires > now)
            row = (await connection.execute(select(table).where(*mine))).first()
            if row is None:
                return None
            values = {"verified": now, "modified": now, "secret": None, "expires": None}
            await connection.execute(update(table).where(table.c.id == row.id).values(values))
            await audit.note(connection, now, "destination.verify", row.email, account_id=row.account_id)
            return _destination((await connection.execute(select(table).where(table.c.id == row.id))).one())

    async def pending(self, secret: str) -> Destination | None:
        """What a link would prove, without opening it."""
        table = mail_tables.destinations
        mine = (table.c.secret == secret_hash(secret), table.c.expires > self._clock())
        async with self._database.read() as connection:
            row = (await connection.execute(select(table).where(*mine))).first()
        return None if row is None else _destination(row)

    async def verified(self, account_id: str, email: str) -> bool:
        """Whether the account may forward to the address."""
        table = mail_tables.destinations
        statement = select(table.c.id).where(
            table.c.account_id == account_id, table.c.email == email.strip().lower(), table.c.verified.is_not(None)
        )
        async with self._database.read() as connection:
            return (await connection.execute(statement)).first() is not None

    async def destinations(self, account_id: str | None = None) -> list[Destination]:
        """The account's destinations by address; of all accounts when None."""
        table = mail_tables.destinations
        statement = select(table).order_by(table.c.email)
        if account_id is not None:
            statement = statement.where(table.c.account_id == account_id)
        async with self._database.read() as connection:
            return [_destination(row) for row in (await connection.execute(statement)).all()]

    async def destination(self, account_id: str, id_or_email: str) -> Destination:
        """The account's destination by id or address; `NotFoundError` when there is none."""
        table = mail_tables.destinations
        wanted = id_or_email.strip().lower()
        named = (table.c.id == wanted) | (table.c.email == wanted)
        async with self._database.read() as connection:
            row = (await connection.execute(select(table).where(table.c.account_id == account_id, named))).first()
        if row is None:
            raise NotFoundError("there is no such destination address")
        return _destination(row)

    async def remove(self, account_id: str, id_or_email: str) -> Destination:
        """Take a destination away; rules that forward to it stop until it is verified again."""
        gone = await self.destination(account_id, id_or_email)
        async with self._database.write() as connection:
            await connection.execute(delete(mail_tables.destinations).where(mail_tables.destinations.c.id == gone.id))
            await audit.note(connection, self._clock(), "destination.remove", gone.email, account_id=account_id)
        return gone


def _destination(row: Row[Any]) -> Destination:
    def moment(seconds: float | None) -> datetime | None:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

    made, changed = moment(row.created), moment(row.modified)
    assert made is not None
    assert changed is not None
    return Destination(row.id, row.account_id, row.email, moment(row.verified), made, changed)
