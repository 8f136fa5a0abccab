"""Accounts, domains, users and tokens: who may see what, and which rua address belongs to whom.

Tokens stand in `tokens.py`, passwords, login links and sessions in `logins.py`. Every change is noted in the audit log,
in its own transaction.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from dmarcworks.bindings.contracts import KV, Database
from dmarcworks.catalogue import audit, tables
from dmarcworks.catalogue.logins import LOGIN_LINK_SECONDS, Logins, User, user_of
from dmarcworks.catalogue.passwords import Passwords
from dmarcworks.catalogue.tokens import SCOPES, Token, Tokens, secret_hash
from dmarcworks.errors import ConflictError, NotFoundError, UsageError

__all__ = ["SCOPES", "Account", "Accounts", "Domain", "Token", "User", "normal_domain", "secret_hash"]

FIRST_USER = "admin@localhost"
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant: everything belongs to exactly one."""

    id: str
    name: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Domain:
    """A policy domain and the address that its reports are sent to; mail for it is refused while not `enabled`."""

    id: str
    account_id: str
    name: str
    rua: str
    created: datetime
    enabled: bool = True


def normal_domain(name: str) -> str:
    """The domain in lower-case A-labels without trailing dot (RFC 1035 §2.3.1); `UsageError` when it is none."""
    text = name.strip().rstrip(".").lower()
    try:
        text = text.encode("idna").decode("ascii") if not text.isascii() else text
    except UnicodeError:
        text = ""
    labels = text.split(".")
    if len(text) > 253 or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise UsageError(f"{name!r} is not a domain name; write it like example.com")
    return text


class Accounts(Tokens, Logins):
    """Everything about who: accounts, domains (with their KV gate), users, tokens, sessions."""

    def __init__(self, database: Database, kv: KV, hostname: str, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._kv = kv
        self._hostname = hostname
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
        found = (await connection.execute(select(tables.accounts).where(tables.accounts.c.name == name))).first()
        if found is not None:
            return _account(found)
        if not name.strip() or len(name) > 255:
            raise UsageError("an account needs a name of 1 to 255 characters")
        values = {"id": uuid.uuid4().hex, "name": name, "created": self._clock()}
        await connection.execute(insert(tables.accounts).values(values))
        await audit.note(connection, self._clock(), "account.add", name, account_id=str(values["id"]))
        return Account(values["id"], name, _time(values["created"]))  # type: ignore[arg-type]  # a mixed dict

    # Domains ----------------------------------------------------------------------------------------------------

    async def add_domain(self, name: str, account: str = "default") -> Domain:
        """Take reports for a domain: a new rua address, open from now on. `ConflictError` when it is there already."""
        domain_name = normal_domain(name)
        async with self._database.write() as connection:
            statement = select(tables.domains).where(tables.domains.c.name == domain_name)
            if (await connection.execute(statement)).first() is not None:
                raise ConflictError(f"{domain_name} is there already; `dmarcworks domain show {domain_name}` prints it")
            owner = await self._account(connection, account)
            domain = Domain(
                id=uuid.uuid4().hex,
                account_id=owner.id,
                name=domain_name,
                rua=f"{uuid.uuid4().hex}@{self._hostname}",
                created=_time(self._clock()),
            )
            await connection.execute(
                insert(tables.domains).values(
                    id=domain.id,
                    account_id=domain.account_id,
                    name=domain.name,
                    rua=domain.rua,
                    created=domain.created.timestamp(),
                )
            )
            detail = {"rua": domain.rua}
            await audit.note(
                connection, self._clock(), "domain.add", domain.name, account_id=domain.account_id, detail=detail
            )
        await self.open_gate(domain)
        return domain

    async def open_gate(self, domain: Domain) -> None:
        """Put the KV entry by which mail for the domain's rua address is accepted (the post: `dmarc:${ruaID}`)."""
        entry = {"account_id": domain.account_id, "domain_id": domain.id, "domain": domain.name}
        await self._kv.put(f"dmarc:{domain.rua}", json.dumps(entry))

    async def open_gates(self) -> None:
        """Put every domain's entry that is missing: a crash between the two writes of `add_domain` heals at start."""
        for domain in await self.domains():
            if domain.enabled and await self._kv.get(f"dmarc:{domain.rua}") is None:
                await self.open_gate(domain)

    async def domains(self, account_id: str | None = None) -> list[Domain]:
        """The account's domains by name; of all accounts when None."""
        statement = select(tables.domains).order_by(tables.domains.c.name)
        if account_id is not None:
            statement = statement.where(tables.domains.c.account_id == account_id)
        async with self._database.read() as connection:
            return [_domain(row) for row in (await connection.execute(statement)).all()]

    async def domain(self, account_id: str | None, name_or_id: str) -> Domain | None:
        """The account's domain by name or id; of any account when `account_id` is None."""
        wanted = name_or_id.strip().rstrip(".").lower()
        statement = select(tables.domains).where((tables.domains.c.name == wanted) | (tables.domains.c.id == wanted))
        if account_id is not None:
            statement = statement.where(tables.domains.c.account_id == account_id)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
        return None if row is None else _domain(row)

    async def remove_domain(self, domain: Domain) -> None:
        """Refuse mail for its address from now on and forget the domain; archived reports and figures stay."""
        await self._kv.delete(f"dmarc:{domain.rua}")
        async with self._database.write() as connection:
            await connection.execute(delete(tables.domains).where(tables.domains.c.id == domain.id))
            await audit.note(
                connection,
                self._clock(),
                "domain.remove",
                domain.name,
                account_id=domain.account_id,
                detail={"rua": domain.rua},
            )

    async def enable_domain(self, domain: Domain, enabled: bool) -> Domain:
        """Take mail for the domain's rua address, or refuse it from now on; nothing is deleted."""
        if not enabled:
            # First the gate: once this returns, no mail is taken, whatever happens next.
            await self._kv.delete(f"dmarc:{domain.rua}")
        async with self._database.write() as connection:
            table = tables.domains
            was = (
                await connection.execute(select(table.c.enabled).where(table.c.id == domain.id))
            ).scalar_one_or_none()
            if was is None:
                raise NotFoundError(f"there is no domain {domain.name}")
            if was != enabled:
                await connection.execute(update(table).where(table.c.id == domain.id).values(enabled=enabled))
                action = "domain.enable" if enabled else "domain.disable"
                await audit.note(connection, self._clock(), action, domain.name, account_id=domain.account_id)
        changed = replace(domain, enabled=enabled)
        if enabled:
            await self.open_gate(changed)
        return changed

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
        async with self._database.write() as connection:
            await audit.note(connection, self._clock(), "user.login-link", email, account_id=user.account_id)
            return await self._secret(connection, "login", user.id, LOGIN_LINK_SECONDS)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _account(row: Row[Any]) -> Account:
    return Account(row.id, row.name, _time(row.created))


def _domain(row: Row[Any]) -> Domain:
    return Domain(row.id, row.account_id, row.name, row.rua, _time(row.created), row.enabled)
