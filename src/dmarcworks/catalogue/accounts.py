"""Accounts, domains, users and tokens: who may see what, and which rua address belongs to whom.

A secret (login link, session; tokens stand in `tokens.py`) leaves here once, when it is made; the store holds its
SHA-256. Every change is noted in the audit log, in its own transaction.
"""

from __future__ import annotations

import secrets as randomness
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from dmarcworks.bindings.contracts import KV, Database
from dmarcworks.catalogue import audit, tables
from dmarcworks.catalogue.domains import Domain, Domains
from dmarcworks.catalogue.names import normal_domain
from dmarcworks.catalogue.tokens import SCOPES, Token, Tokens, secret_hash
from dmarcworks.catalogue.zones import Zones
from dmarcworks.errors import ConflictError, NotFoundError, UsageError

__all__ = ["SCOPES", "Account", "Accounts", "Domain", "Token", "User", "normal_domain", "secret_hash"]

LOGIN_LINK_SECONDS = 24 * 3600
SESSION_SECONDS = 14 * 24 * 3600
PASSWORD_MINIMUM = 10


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant: everything belongs to exactly one."""

    id: str
    name: str
    created: datetime


@dataclass(frozen=True, slots=True)
class User:
    """A person who may log in; `has_password` is False until they set one."""

    id: str
    account_id: str
    email: str
    role: str
    created: datetime
    has_password: bool


class Accounts(Tokens, Domains):
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
        self.zones = Zones(database, hostname, operator_account, clock=clock)
        self._database = database
        self._kv = kv
        self._hostname = hostname
        self._clock = clock
        self._hasher = PasswordHasher()
        self._nobody = ""

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
        found = (await connection.execute(select(tables.accounts).where(tables.accounts.c.name == name))).first()
        if found is not None:
            return _account(found)
        if not name.strip() or len(name) > 255:
            raise UsageError("an account needs a name of 1 to 255 characters")
        values = {"id": uuid.uuid4().hex, "name": name, "created": self._clock()}
        await connection.execute(insert(tables.accounts).values(values))
        await audit.note(connection, self._clock(), "account.add", name, account_id=str(values["id"]))
        return Account(values["id"], name, _time(values["created"]))  # type: ignore[arg-type]  # a mixed dict

    # Users ------------------------------------------------------------------------------------------------------

    async def first_user(self, email: str = "admin@localhost", account: str = "default") -> str | None:
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
        return None if row is None else _user(row)

    async def users(self, account_id: str | None = None) -> list[User]:
        """The account's users by address; of all accounts when None."""
        statement = select(tables.users).order_by(tables.users.c.email)
        if account_id is not None:
            statement = statement.where(tables.users.c.account_id == account_id)
        async with self._database.read() as connection:
            return [_user(row) for row in (await connection.execute(statement)).all()]

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
        async with self._database.write() as connection:
            await audit.note(connection, self._clock(), "user.login-link", email, account_id=user.account_id)
            return await self._secret(connection, "login", user.id, LOGIN_LINK_SECONDS)

    async def redeem(self, secret: str) -> User | None:
        """The user of a login link, once; None when it is unknown, used or too old."""
        async with self._database.write() as connection:
            user = await self._user_of(connection, secret, "login")
            if user is not None:
                await connection.execute(delete(tables.secrets).where(tables.secrets.c.hash == secret_hash(secret)))
            return user

    async def set_password(self, user_id: str, password: str) -> None:
        """Set a password of at least 10 characters (Argon2id); all other sessions of the user end."""
        if not PASSWORD_MINIMUM <= len(password) <= 1024:
            raise UsageError(f"a password has at least {PASSWORD_MINIMUM} characters (and at most 1,024)")
        hashed = self._hasher.hash(password)
        async with self._database.write() as connection:
            row = (await connection.execute(select(tables.users).where(tables.users.c.id == user_id))).first()
            if row is None:
                raise NotFoundError("there is no such user")
            await connection.execute(update(tables.users).where(tables.users.c.id == user_id).values(password=hashed))
            await audit.note(connection, self._clock(), "user.password", row.email, account_id=row.account_id)
            await connection.execute(delete(tables.secrets).where(tables.secrets.c.user_id == user_id))

    async def check_password(self, email: str, password: str) -> User | None:
        """The user when address and password are right. Takes as long when there is no such user."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(tables.users).where(tables.users.c.email == email))).first()
        if not self._nobody:
            self._nobody = self._hasher.hash(randomness.token_urlsafe())
        stored = self._nobody if row is None or row.password is None else row.password
        try:
            self._hasher.verify(stored, password[:1024])
        except (VerificationError, InvalidHashError):
            return None
        return None if row is None or row.password is None else _user(row)

    # Sessions ---------------------------------------------------------------------------------------------------

    async def start_session(self, user_id: str) -> str:
        """The secret of a new session, good for 14 days."""
        async with self._database.write() as connection:
            await connection.execute(delete(tables.secrets).where(tables.secrets.c.expires < self._clock()))
            return await self._secret(connection, "session", user_id, SESSION_SECONDS)

    async def session(self, secret: str) -> User | None:
        """The user of a live session."""
        async with self._database.read() as connection:
            return await self._user_of(connection, secret, "session")

    async def end_session(self, secret: str) -> None:
        """End a session at once."""
        async with self._database.write() as connection:
            await connection.execute(delete(tables.secrets).where(tables.secrets.c.hash == secret_hash(secret)))

    async def _secret(self, connection: AsyncConnection, kind: str, user_id: str, seconds: int) -> str:
        secret = randomness.token_urlsafe(32)
        now = self._clock()
        await connection.execute(
            insert(tables.secrets).values(
                hash=secret_hash(secret), kind=kind, user_id=user_id, created=now, expires=now + seconds
            )
        )
        return secret

    async def _user_of(self, connection: AsyncConnection, secret: str, kind: str) -> User | None:
        statement = (
            select(tables.users)
            .join(tables.secrets, tables.secrets.c.user_id == tables.users.c.id)
            .where(
                tables.secrets.c.hash == secret_hash(secret),
                tables.secrets.c.kind == kind,
                tables.secrets.c.expires > self._clock(),
            )
        )
        row = (await connection.execute(statement)).first()
        return None if row is None else _user(row)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _account(row: Row[Any]) -> Account:
    return Account(row.id, row.name, _time(row.created))


def _user(row: Row[Any]) -> User:
    return User(row.id, row.account_id, row.email, row.role, _time(row.created), row.password is not None)
