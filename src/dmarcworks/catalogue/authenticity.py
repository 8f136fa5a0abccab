"""Whether report mails are genuine, as it was found out after they were accepted: a row per mail."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, select

from dmarcworks.bindings.bulk_insert import add
from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import mail_tables, tables

# Kept so that people see them. They are no DMARC results: reports of such mails have an unknown authenticity.
_UNKNOWN = ("", "temperror", "not_checked")


@dataclass(frozen=True, slots=True)
class AuthenticityRow:
    """Results in the words of RFC 8601; `detail` names the domains that they concern."""

    mail_id: str
    spf: str
    dkim: str
    dmarc: str
    arc: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    checked: datetime | None = None


class AuthenticityCatalogue:
    """The catalogue of results."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def record(self, proofs: Sequence[AuthenticityRow]) -> None:
        """Note results, all or none; a second check of a mail takes the first one's place."""
        if not proofs:
            return
        table, now = mail_tables.authenticity, self._clock()
        rows = [
            {
                "mail_id": proof.mail_id,
                "checked": now,
                "spf": proof.spf[:16],
                "dkim": proof.dkim[:16],
                "dmarc": proof.dmarc[:16],
                "arc": proof.arc[:16],
                "detail": tables.storable(json.dumps(proof.detail))[:4000],
            }
            for proof in {proof.mail_id: proof for proof in proofs}.values()
        ]

        def keep(connection: Connection) -> None:
            connection.execute(delete(table).where(table.c.mail_id.in_([row["mail_id"] for row in rows])))
            add(connection, table, rows)

        await self._database.step(keep)

    async def dmarc(self, mail_ids: Sequence[str]) -> dict[str, str]:
        """DMARC's result for each of the mails (at most some hundred); one that could not be checked is absent."""
        table = mail_tables.authenticity
        statement = select(table.c.mail_id, table.c.dmarc).where(table.c.mail_id.in_(list(mail_ids)))
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return {row.mail_id: row.dmarc for row in rows if row.dmarc not in _UNKNOWN}

    async def proof(self, mail_id: str) -> AuthenticityRow | None:
        """What is known of a mail; None when nobody could find out."""
        table = mail_tables.authenticity
        async with self._database.read() as connection:
            row = (await connection.execute(select(table).where(table.c.mail_id == mail_id))).first()
        if row is None:
            return None
        try:
            detail = json.loads(row.detail)
        except ValueError:  # cut at the column's length
            detail = {}
        checked = datetime.fromtimestamp(row.checked, UTC)
        return AuthenticityRow(row.mail_id, row.spf, row.dkim, row.dmarc, row.arc, detail, checked)
