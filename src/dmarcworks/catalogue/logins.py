"""Log-ins: passwords, one-time links and sessions, each noted in the audit log.

A secret (link, session) leaves here once, when it is made; the store holds its SHA-256. A network that a user logged
in from is remembered for 90 days, so that failed tries from elsewhere do not lock the user out there.
"""

from __future__ import annotations

import hashlib
import secrets as randomness
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Row

from dmarcworks.bindings.contracts import Database
from dmarcworks.bindings.upsert import upsert
from dmarcworks.catalogue import audit, tables
from dmarcworks.catalogue.passwords import PASSWORD_MAXIMUM, Passwords
from dmarcworks.catalogue.tokens import secret_hash
from dmarcworks.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["FAILED", "Logins", "User"]

LOGIN_LINK_SECONDS = 24 * 3600
SESSION_SECONDS = 14 * 24 * 3600
FAMILIAR_SECONDS = 90 * 24 * 3600
PASSWORD_MINIMUM = 10
FAILED = "user.log-in-failed"
# Failed log-ins are written by strangers: the log keeps the newest of them, so that they cannot fill the disk.
FAILED_KEPT = 100_000
_PRUNE_EVERY = 1000
# A link that is used up or too old is remembered for a while, to name what it was when it is tried again.
_KEPT_SECONDS = 30 * 24 * 3600
_LINK, _USED_LINK, _SESSION, _FAMILIAR = "login", "login-used", "session", "familiar"


@dataclass(frozen=True, slots=True)
class User:
    """A person who may log in while `enabled`; `has_password` is False until they set one."""

    id: str
    account_id: str
    email: str
    role: str
    created: datetime
    has_password: bool
    enabled: bool = True


class Logins:
    """The log-ins of `Accounts`."""

    _database: Database
    _clock: Callable[[], float]
    _passwords: Passwords
    _failures = 0

    # Passwords --------------------------------------------------------------------------------------------------

    async def set_password(self, user_id: str, password: str) -> None:
        """Set a password of at least 10 characters (Argon2id); all sessions and links of the user end."""
        if not PASSWORD_MINIMUM <= len(password) <= PASSWORD_MAXIMUM:
            raise UsageError(f"a password has at least {PASSWORD_MINIMUM} characters (and at most 1,024)")
        hashed = await self._passwords.hash(password)
        async with self._database.write() as connection:
            row = (await connection.execute(select(tables.users).where(tables.users.c.id == user_id))).first()
            if row is None:
                raise NotFoundError("there is no such user")
            await connection.execute(update(tables.users).where(tables.users.c.id == user_id).values(password=hashed))
            await audit.note(connection, self._clock(), "user.password", row.email, account_id=row.account_id)
            await connection.execute(delete(tables.secrets).where(tables.secrets.c.user_id == user_id))

    async def enable_user(self, user: User, enabled: bool) -> User:
        """Let a user log in, or not: sessions and links of a disabled user end at once, the password stays."""
        table = tables.users
        async with self._database.write() as connection:
            now = self._clock()
            disabled = None if enabled else now
            changed = table.c.disabled.is_not(None) if enabled else table.c.disabled.is_(None)
            statement = update(table).where(table.c.id == user.id, changed).values(disabled=disabled)
            if not enabled:
                await connection.execute(delete(tables.secrets).where(tables.secrets.c.user_id == user.id))
            if (await connection.execute(statement)).rowcount:
                action = "user.enable" if enabled else "user.disable"
                await audit.note(connection, now, action, user.email, account_id=user.account_id)
        return replace(user, enabled=enabled)

    async def reset_user(self, user: User) -> str:
        """Forget the password and end sessions and links; the secret of a new one-time login link."""
        table = tables.users
        async with self._database.write() as connection:
            await connection.execute(update(table).where(table.c.id == user.id).values(password=None))
            await connection.execute(delete(tables.secrets).where(tables.secrets.c.user_id == user.id))
            await audit.note(connection, self._clock(), "user.reset", user.email, account_id=user.account_id)
            return await self._secret(connection, _LINK, user.id, LOGIN_LINK_SECONDS)

    async def check_password(self, email: str, password: str) -> User | None:
        """The user when address and password are right. Takes as long when there is no such user.

        `BusyError` when too many passwords are being checked.
        """
        async with self._database.read() as connection:
            statement = select(tables.users).where(tables.users.c.email == tables.storable(email))
            row = (await connection.execute(statement)).first()
        right = await self._passwords.verify(None if row is None else row.password, password)
        return user_of(row) if right and row is not None and row.disabled is None else None

    async def familiar(self, email: str, network: str) -> bool:
        """Whether the user logged in from that network in the last 90 days."""
        table = tables.secrets
        statement = select(table.c.expires).where(table.c.hash == _familiar_hash(email, network))
        async with self._database.read() as connection:
            expires = (await connection.execute(statement)).scalar_one_or_none()
        return expires is not None and expires > self._clock()

    # Sessions ---------------------------------------------------------------------------------------------------

    async def log_in(self, user: User, by: str, network: str) -> str:
        """The secret of a new session for who logged in `by` password or link; the network is familiar from now on."""
        now, hashed = self._clock(), _familiar_hash(user.email, network)
        async with self._database.write() as connection:
            detail = {"by": by}
            await audit.note(connection, now, "user.log-in", user.email, account_id=user.account_id, detail=detail)
            expires = now + FAMILIAR_SECONDS
            statement = upsert(connection.dialect.name, tables.secrets).values(
                hash=hashed, kind=_FAMILIAR, user_id=user.id, created=now, expires=expires
            )
            changed = {"expires": expires}
            await connection.execute(statement.on_conflict_do_update(index_elements=["hash"], set_=changed))
            return await self._session(connection, user.id)

    async def log_in_failed(self, name: str, reason: str) -> None:
        """Note a failed log-in: `name` as it was typed, and why it failed."""
        async with self._database.write() as connection:
            statement = select(tables.users.c.account_id).where(tables.users.c.email == tables.storable(name))
            account_id = (await connection.execute(statement)).scalar_one_or_none()
            detail = {"reason": reason}
            await audit.note(connection, self._clock(), FAILED, name, account_id=account_id, detail=detail)
            if self._failures % _PRUNE_EVERY == 0:
                await audit.keep_newest(connection, FAILED, FAILED_KEPT)
            self._failures += 1

    async def start_session(self, user_id: str) -> str:
        """The secret of a new session, good for 14 days."""
        async with self._database.write() as connection:
            return await self._session(connection, user_id)

    async def session(self, secret: str) -> User | None:
        """The user of a live session."""
        async with self._database.read() as connection:
            return await self._secret_user(connection, secret, _SESSION)

    async def end_session(self, secret: str) -> None:
        """End a session at once (log-out)."""
        async with self._database.write() as connection:
            user = await self._secret_user(connection, secret, _SESSION)
            await connection.execute(delete(tables.secrets).where(tables.secrets.c.hash == secret_hash(secret)))
            if user is not None:
                await audit.note(connection, self._clock(), "user.log-out", user.email, account_id=user.account_id)

    async def _session(self, connection: AsyncConnection, user_id: str) -> str:
        table = tables.secrets
        old = (table.c.kind == _SESSION) & (table.c.expires < self._clock())
        await connection.execute(delete(table).where(old | (table.c.expires < self._clock() - _KEPT_SECONDS)))
        return await self._secret(connection, _SESSION, user_id, SESSION_SECONDS)

    # Links ------------------------------------------------------------------------------------------------------

    async def redeem(self, secret: str) -> User | None:
        """The user of a login link, once; None when it is unknown, used or too old."""
        table = tables.secrets
        good = (table.c.hash == secret_hash(secret)) & (table.c.kind == _LINK) & (table.c.expires > self._clock())
        async with self._database.read() as connection:
            if (await connection.execute(select(table.c.hash).where(good))).first() is None:
                return None
        async with self._database.write() as connection:
            # One statement: of two presses at once only one finds the link unused.
            statement = update(table).where(good).values(kind=_USED_LINK).returning(table.c.user_id)
            user_id = (await connection.execute(statement)).scalar_one_or_none()
            row = (await connection.execute(select(tables.users).where(tables.users.c.id == user_id))).first()
        return None if row is None or row.disabled is not None else user_of(row)

    async def link_works(self, secret: str) -> bool:
        """Whether a login link can still be used."""
        async with self._database.read() as connection:
            return await self._secret_user(connection, secret, _LINK) is not None

    async def link_refused(self, secret: str) -> str:
        """Note that a link was tried in vain, and why: used, expired or unknown. The reason."""
        table = tables.secrets
        async with self._database.write() as connection:
            statement = (
                select(table.c.kind, tables.users.c.email, tables.users.c.account_id)
                .join(tables.users, table.c.user_id == tables.users.c.id)
                .where(table.c.hash == secret_hash(secret), table.c.kind.in_((_LINK, _USED_LINK)))
            )
            row = (await connection.execute(statement)).first()
            reason = "unknown" if row is None else "used" if row.kind == _USED_LINK else "expired"
            await audit.note(
                connection,
                self._clock(),
                FAILED,
                "" if row is None else row.email,
                account_id=None if row is None else row.account_id,
                detail={"reason": f"{reason} link"},
            )
        return reason

    async def _secret(self, connection: AsyncConnection, kind: str, user_id: str, seconds: int) -> str:
        secret = randomness.token_urlsafe(32)
        now = self._clock()
        await connection.execute(
            insert(tables.secrets).values(
                hash=secret_hash(secret), kind=kind, user_id=user_id, created=now, expires=now + seconds
            )
        )
        return secret

    async def _secret_user(self, connection: AsyncConnection, secret: str, kind: str) -> User | None:
        statement = (
            select(tables.users)
            .join(tables.secrets, tables.secrets.c.user_id == tables.users.c.id)
            .where(
                tables.secrets.c.hash == secret_hash(secret),
                tables.secrets.c.kind == kind,
                tables.secrets.c.expires > self._clock(),
                tables.users.c.disabled.is_(None),
            )
        )
        row = (await connection.execute(statement)).first()
        return None if row is None else user_of(row)


def user_of(row: Row[Any]) -> User:
    """A row of the table of users."""
    created = datetime.fromtimestamp(row.created, UTC)
    return User(row.id, row.account_id, row.email, row.role, created, row.password is not None, row.disabled is None)


def _familiar_hash(email: str, network: str) -> str:
    return hashlib.sha256(f"familiar\0{network}\0{email}".encode("utf-8", "surrogateescape")).hexdigest()
