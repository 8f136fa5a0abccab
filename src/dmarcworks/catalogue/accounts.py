"""Accounts, domains, users and tokens: who may see what, and which rua address belongs to whom.

Tokens are in `tokens.py`, passwords, login links and sessions in `logins.py`. Every change is noted in the audit log,
in its own transaction.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.engine import Row

from dmarcworks.bindings.contracts import KV, Database
from dmarcworks.catalogue import audit, tables
from dmarcworks.catalogue.domains import Domain, Domains
from dmarcworks.catalogue.logins import LOGIN_LINK_SECONDS, Logins, User, user_of
from dmarcworks.catalogue.names import normal_domain
from dmarcworks.catalogue.passwords import Passwords
from dmarcworks.catalogue.tokens import SCOPES, Token, Tokens, secret_hash
from dmarcworks.catalogue.zones import Zones
from dmarcworks.errors import ConflictError, NotFoundError, UsageError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["SCOPES", "Account", "Accounts", "Domain", "Token", "User", "normal_domain", "secret_hash"]

FIRST_USER = "admin@localhost"


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant: everything belongs to exactly one."""

    id: str
    name: str
    created: datetime


class Accounts(Tokens, Domains, Logins):
    """Everything about who: accounts, domains (with their KV gate), users, tokens, sessions."""

    def __init__(
        self,
        database: Database,
        kv: KV,
        hostname: str,
        *,
        operator_account: str = "default",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.zones = Zones(database, kv, hostname, operator_account, clock=clock)
        self._database = database
        self._kv = kv
        self.hostname = hostname
        self._clock = clock
        self._passwords = Passwords()

    # Accounts ---------------------------------------------------------------------------------------------------

    async def account_by_name(self, name: str, *, create: bool = False) -> Account:
        """The account of that name; made when `create`, else `NotFoundError`."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(tables.accounts).where(tables.accounts.c.name == name))).first()
        if row is not None:
            return _account(row)
        if not create:
            raise NotFoundError(
                f"there is no account {name!r}; its first domain makes it: dmarcworks domain add --account"
            )
        async with self._database.write() as connection:
            return await self._account(connection, name)

    async def account(self, account_id: str) -> Account | None:
        """The account with that id."""
        async with self._database.read() as connection:
            statement = select(tables.accounts).where(tables.accounts.c.id == account_id)
            row = (await connection.execute(statement)).first()
        return None if row is None else _account(row)

    async def accounts(self) -> list[Account]:
        """All accounts by name."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(tables.accounts).order_by(tables.accounts.c.name))).all()
        return [_account(row) for row in rows]

    async def _account(self, connection: AsyncConnection, name: str) -> Account:
        existing = (await connection.execute(select(tables.accounts).where(tables.accounts.c.name == name))).first()
        if existing is not None:
            return _account(existing)
        if not name.strip() or len(name) > 255:
            raise UsageError("an account needs a name of 1 to 255 characters")
        values = {"id": uuid.uuid4().hex, "name": name, "created": self._clock()}
        await connection.execute(insert(tables.accounts).values(values))
        await audit.note(connection, self._clock(), "account.add", name, account_id=str(values["id"]))
        return Account(values["id"], name, _time(values["created"]))  # type: ignore[arg-type]  # a mixed dict

    # Users ------------------------------------------------------------------------------------------------------

    async def first_user(self, email: str = FIRST_USER, account: str = "default") -> str | None:
        """Make the first admin when nobody is there yet: the secret of a one-time login link, else None."""
        async with self._database.write() as connection:
            if (await connection.execute(select(func.count()).select_from(tables.users))).scalar_one():
                return None
            owner = await self._account(connection, account)
            user_id = await self._user(connection, owner.id, email, "admin")
            return await self._secret(connection, "login", user_id, LOGIN_LINK_SECONDS)

    async def add_user(self, email: str, account: str = "default", role: str = "admin") -> User:
        """Make a user; `ConflictError` when the address is taken."""
        async with self._database.write() as connection:
            if (await connection.execute(select(tables.users).where(tables.users.c.email == email))).first():
                raise ConflictError(f"there is a user {email} already")
            owner = await self._account(connection, account)
            await self._user(connection, owner.id, email, role)
        user = await self.user(email)
        if user is None:  # pragma: no cover - somebody removed it in between
            raise NotFoundError(f"there is no user {email}")
        return user

    async def user(self, email: str) -> User | None:
        """The user with that address."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(tables.users).where(tables.users.c.email == email))).first()
        return None if row is None else user_of(row)

    async def users(self, account_id: str | None = None) -> list[User]:
        """The account's users by address; of all accounts when None."""
        statement = select(tables.users).order_by(tables.users.c.email)
        if account_id is not None:
            statement = statement.where(tables.users.c.account_id == account_id)
        async with self._database.read() as connection:
            return [user_of(row) for row in (await connection.execute(statement)).all()]

    async def remove_user(self, user: User) -> None:
        """Their sessions and links end at once."""
        async with self._database.write() as connection:
            await connection.execute(delete(tables.secrets).where(tables.secrets.c.user_id == user.id))
            await connection.execute(delete(tables.users).where(tables.users.c.id == user.id))
            await audit.note(connection, self._clock(), "user.remove", user.email, account_id=user.account_id)

    async def _user(self, connection: AsyncConnection, account_id: str, email: str, role: str) -> str:
        if "@" not in email or len(email) > 320:
            raise UsageError(f"{email!r} is not a mail address")
        user_id = uuid.uuid4().hex
        await connection.execute(
            insert(tables.users).values(
                id=user_id, account_id=account_id, email=email, role=role, password=None, created=self._clock()
            )
        )
        await audit.note(connection, self._clock(), "user.add", email, account_id=account_id, detail={"role": role})
        return user_id

    async def login_link(self, email: str) -> str:
        """The secret of a new one-time login link for a user, good for 24 hours."""
        user = await self.user(email)
        if user is None:
            raise NotFoundError(f"there is no user {email}; `dmarcworks user list` names them")
        if not user.enabled:
            raise ConflictError(f"{email} is disabled; `dmarcworks user enable {email}` lets them log in again")
        async with self._database.write() as connection:
            await audit.note(connection, self._clock(), "user.login-link", email, account_id=user.account_id)
            return await self._secret(connection, "login", user.id, LOGIN_LINK_SECONDS)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _account(row: Row[Any]) -> Account:
    return Account(row.id, row.name, _time(row.created))
