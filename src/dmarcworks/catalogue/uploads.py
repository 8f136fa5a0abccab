"""What came in over HTTP, and what became of it: an upload is a mail like any other once it is accepted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select, tuple_
from sqlalchemy.engine import Row

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import api_tables, tables

__all__ = ["UploadRow", "Uploads"]


@dataclass(frozen=True, slots=True)
class UploadRow:
    """An accepted upload; `id` is its mail's, `size` in bytes."""

    id: str
    account_id: str
    domain_id: str
    name: str
    size: int
    created: datetime


class Uploads:
    """The uploads of the accounts."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def add(self, mail_id: str, account_id: str, domain_id: str, name: str, size: int) -> UploadRow:
        """Note an upload that is durably accepted."""
        now = round(self._clock(), 6)  # what a datetime holds, so that a cursor finds its place again
        name = tables.storable(name)
        async with self._database.write() as connection:
            await connection.execute(
                insert(api_tables.uploads).values(
                    id=mail_id, account_id=account_id, domain_id=domain_id, name=name, size=size, created=now
                )
            )
        return UploadRow(mail_id, account_id, domain_id, name, size, datetime.fromtimestamp(now, UTC))

    async def get(self, account_id: str, mail_id: str) -> UploadRow | None:
        """The account's upload of that id."""
        table = api_tables.uploads
        statement = select(table).where(table.c.account_id == account_id, table.c.id == mail_id)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
        return None if row is None else _upload(row)

    async def list(
        self,
        account_id: str,
        *,
        domain_ids: Sequence[str] | None = None,
        limit: int = 100,
        before: tuple[float, str] | None = None,
    ) -> list[UploadRow]:
        """The account's uploads, newest first; `before` is (created, id) of the last one of the page before."""
        table = api_tables.uploads
        statement = select(table).where(table.c.account_id == account_id)
        if domain_ids is not None:
            statement = statement.where(table.c.domain_id.in_(list(domain_ids)))
        if before is not None:
            statement = statement.where(tuple_(table.c.created, table.c.id) < before)
        statement = statement.order_by(table.c.created.desc(), table.c.id.desc()).limit(limit)
        async with self._database.read() as connection:
            return [_upload(row) for row in (await connection.execute(statement)).all()]


def _upload(row: Row[Any]) -> UploadRow:
    return UploadRow(**{**row._mapping, "created": datetime.fromtimestamp(row.created, UTC)})
