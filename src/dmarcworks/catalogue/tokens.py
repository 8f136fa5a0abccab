"""Tokens: what lets a program query an account, or some of its domains only, until it expires or is revoked.

A secret leaves here once, when it is made; the store holds its SHA-256. Random secrets of 256 bits need no slow hash;
they are looked up by the hash, which reveals nothing to a guesser about its progress, and compared in constant time.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import secrets as randomness
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Row

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import audit, tables
from dmarcworks.errors import NotFoundError, StoreError, UsageError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["SCOPES", "Token", "Tokens", "forget_domain", "secret_hash"]

SCOPES = ("read", "write", "admin")
TOKEN_DOMAINS = 1000
# last_used is for people; a write per request would be a cost for no answer.
_LAST_USED_STEP = 60.0


@dataclass(frozen=True, slots=True)
class Token:
    """An API token without its secret. `domains`: the ids that it is limited to, or None for all of its account."""

    id: str
    account_id: str
    scope: str
    name: str
    created: datetime
    last_used: datetime | None
    domains: tuple[str, ...] | None = None
    expires: datetime | None = None

    def allows(self, scope: str) -> bool:
        """Whether this token's scope includes `scope` (admin ⊃ write ⊃ read)."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)

    def sees(self, domain_id: str) -> bool:
        """Whether the account's domain is within this token's reach."""
        return self.domains is None or domain_id in self.domains


def secret_hash(secret: str) -> str:
    """What the store keeps of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


class Tokens:
    """The tokens of `Accounts`."""

    _database: Database
    _clock: Callable[[], float]

    async def create_token(
        self,
        account_id: str,
        scope: str = "read",
        name: str = "",
        *,
        domains: Sequence[str] | None = None,
        expires: datetime | None = None,
    ) -> tuple[str, Token]:
        """A new API token: its secret, shown only this once, and its properties.

        `domains` limits it to these of the account's domains, by name or id (`NotFoundError` for one that is not its).
        """
        if scope not in SCOPES:
            raise UsageError(f"there is no scope {scope!r}; choose one of {', '.join(SCOPES)}")
        if len(name) > 255:
            raise UsageError("a token's name has at most 255 characters")
        now = self._clock()
        if expires is not None and expires.timestamp() <= now:
            raise UsageError(f"a token cannot expire in the past ({expires:%Y-%m-%d %H:%M} UTC)")
        if domains is not None and not 0 < len(domains) <= TOKEN_DOMAINS:
            raise UsageError(f"a token is for all domains of its account or for 1 to {TOKEN_DOMAINS:,} of them")
        secret = "dw_" + randomness.token_urlsafe(32)
        async with self._database.write() as connection:
            ids = None if domains is None else await _domain_ids(connection, account_id, domains)
            token = Token(uuid.uuid4().hex, account_id, scope, tables.storable(name), _time(now), None, ids, expires)
            await connection.execute(
                insert(tables.tokens).values(
                    id=token.id,
                    account_id=account_id,
                    name=token.name,
                    scope=scope,
                    hash=secret_hash(secret),
                    created=now,
                    domains=None if ids is None else json.dumps(ids),
                    expires=None if expires is None else expires.timestamp(),
                )
            )
            detail = {"scope": scope, "name": name, "domains": domains and list(domains), "expires": expires}
            await audit.note(connection, now, "token.create", token.id, account_id=account_id, detail=detail)
        return secret, token

    async def token(self, secret: str) -> Token | None:
        """The token with that secret, or None: unknown, revoked or expired. Notes its use, at most once a minute."""
        hashed = secret_hash(secret)
        async with self._database.read() as connection:
            row = (await connection.execute(select(tables.tokens).where(tables.tokens.c.hash == hashed))).first()
        if row is None or not hmac.compare_digest(row.hash, hashed):
            return None
        now = self._clock()
        if row.expires is not None and row.expires <= now:
            return None
        if row.last_used is None or now - row.last_used > _LAST_USED_STEP:
            await self._used(row.id, now)
        return _token(row)

    async def _used(self, token_id: str, now: float) -> None:
        table = tables.tokens
        due = (table.c.last_used.is_(None)) | (table.c.last_used < now - _LAST_USED_STEP)
        # Who only reads is answered while the disk is full; the note waits for the next use.
        with contextlib.suppress(StoreError):
            async with self._database.write() as connection:
                await connection.execute(update(table).where(table.c.id == token_id, due).values(last_used=now))

    async def tokens(self, account_id: str | None = None) -> list[Token]:
        """The account's tokens, newest first; of all accounts when None. Includes expired ones, which people look
        for."""
        statement = select(tables.tokens).order_by(tables.tokens.c.created.desc(), tables.tokens.c.id)
        if account_id is not None:
            statement = statement.where(tables.tokens.c.account_id == account_id)
        async with self._database.read() as connection:
            return [_token(row) for row in (await connection.execute(statement)).all()]

    async def rotate_token(self, token_id: str, account_id: str | None = None) -> tuple[str, Token] | None:
        """Give a token a new secret; the old one ends at once. Everything else of it stays. None: there is no such."""
        table, secret = tables.tokens, "dw_" + randomness.token_urlsafe(32)
        statement = update(table).where(table.c.id == token_id).values(hash=secret_hash(secret), last_used=None)
        if account_id is not None:
            statement = statement.where(table.c.account_id == account_id)
        async with self._database.write() as connection:
            row = (await connection.execute(statement.returning(table))).first()
            if row is None:
                return None
            detail, account = {"name": row.name, "scope": row.scope}, row.account_id
            await audit.note(connection, self._clock(), "token.rotate", token_id, account_id=account, detail=detail)
        return secret, _token(row)

    async def revoke_token(self, token_id: str, account_id: str | None = None) -> bool:
        """End a token at once; False when there is none with that id (in the account, when one is named)."""
        statement = delete(tables.tokens).where(tables.tokens.c.id == token_id)
        if account_id is not None:
            statement = statement.where(tables.tokens.c.account_id == account_id)
        async with self._database.write() as connection:
            row = (await connection.execute(statement.returning(tables.tokens))).first()
            if row is not None:
                detail = {"name": row.name, "scope": row.scope}
                account = row.account_id
                await audit.note(connection, self._clock(), "token.revoke", token_id, account_id=account, detail=detail)
        return row is not None


async def forget_domain(connection: AsyncConnection, account_id: str, domain_id: str) -> None:
    """Take a removed domain out of the account's limited tokens: they do not see it when it is added again."""
    table = tables.tokens
    mine = (table.c.account_id == account_id) & table.c.domains.contains(domain_id, autoescape=True)
    for row in (await connection.execute(select(table.c.id, table.c.domains).where(mine))).all():
        left = json.dumps([one for one in json.loads(row.domains) if one != domain_id])
        await connection.execute(update(table).where(table.c.id == row.id).values(domains=left))


async def _domain_ids(connection: AsyncConnection, account_id: str, wanted: Sequence[str]) -> tuple[str, ...]:
    table = tables.domains
    chosen: dict[str, None] = {}
    for text in wanted:
        name = text.strip().rstrip(".").lower()
        statement = select(table.c.id).where(
            table.c.account_id == account_id, (table.c.name == name) | (table.c.id == name)
        )
        domain_id = (await connection.execute(statement)).scalar_one_or_none()
        if domain_id is None:
            raise NotFoundError(f"the account has no domain {text}")
        chosen[domain_id] = None
    return tuple(chosen)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _token(row: Row[Any]) -> Token:
    return Token(
        id=row.id,
        account_id=row.account_id,
        scope=row.scope,
        name=row.name,
        created=_time(row.created),
        last_used=None if row.last_used is None else _time(row.last_used),
        domains=None if row.domains is None else tuple(json.loads(row.domains)),
        expires=None if row.expires is None else _time(row.expires),
    )
