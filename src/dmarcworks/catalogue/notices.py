"""Notices to an account: what its users must learn although none of them did it. One of them dismisses each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import audit, tables
from dmarcworks.catalogue.setup_tables import account_notices
from dmarcworks.errors import NotFoundError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["DOMAIN_LOST", "DOMAIN_RECEIVED", "AccountNotice", "Notices", "add"]

# Codes: another account proved the domain and has it now; the account proved a domain and received it.
DOMAIN_LOST, DOMAIN_RECEIVED = "domain-lost", "domain-received"
_SHOWN = 100
_COLUMNS = account_notices.c


@dataclass(frozen=True, slots=True)
class AccountNotice:
    """A notice; `code` is stable, `domain` is a name."""

    id: int
    created: datetime
    code: str
    domain: str
    text: str


async def add(connection: AsyncConnection, at: float, account_id: str, code: str, domain: str, text: str) -> None:
    """Leave a notice in the transaction that makes the change."""
    values = {"account_id": account_id, "created": at, "code": code, "domain": domain, "text": tables.storable(text)}
    await connection.execute(insert(account_notices).values(values))


class Notices:
    """The notices of accounts, for those who read them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, account_id: str) -> list[AccountNotice]:
        """The account's notices, newest first; a hundred at most."""
        statement = select(account_notices).where(_COLUMNS.account_id == account_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement.order_by(_COLUMNS.id.desc()).limit(_SHOWN))).all()
        return [
            AccountNotice(row.id, datetime.fromtimestamp(row.created, UTC), row.code, row.domain, row.text)
            for row in rows
        ]

    async def dismiss(self, account_id: str, notice_id: int, at: float) -> None:
        """Delete a notice that somebody has read; `NotFoundError` when the account has no such one."""
        mine = (_COLUMNS.account_id == account_id) & (_COLUMNS.id == notice_id)
        async with self._database.write() as connection:
            row = (await connection.execute(select(_COLUMNS.domain, _COLUMNS.code).where(mine))).first()
            if row is None:
                raise NotFoundError("there is no such notice")
            await connection.execute(delete(account_notices).where(mine))
            detail = {"notice": row.code}
            await audit.note(connection, at, "notice.dismiss", row.domain, account_id=account_id, detail=detail)
