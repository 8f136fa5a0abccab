"""Answers to writes that carried a key, kept for 24 hours, so that a write that is sent again is done once.

A record begins when the write does and is filled when it is done. A write that died leaves an unfilled one, which
another try may take over after a minute. Answers here hold no secret (`api.rest.tags.SecretResponse`), and the digest
of a request, which may hold one, is keyed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import api_tables

__all__ = ["KEPT_SECONDS", "Begun", "Idempotency"]

KEPT_SECONDS = 24 * 3600.0
TAKEOVER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Begun:
    """How a write stands: `new` (do it), `done` (answer this), `running`, or `other` (another request's key)."""

    outcome: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Idempotency:
    """The keys of each token."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def begin(self, token_id: str, key: str, digest: str) -> Begun:
        """Begin a write, or return the state of the earlier one; `digest` is the request's."""
        table, now = api_tables.idempotency, self._clock()
        here = (table.c.token_id == token_id) & (table.c.key == key)
        try:
            async with self._database.write() as connection:
                await connection.execute(delete(table).where(table.c.created <= now - KEPT_SECONDS))
                row = (await connection.execute(select(table).where(here))).first()
                if row is None:
                    await connection.execute(
                        insert(table).values(token_id=token_id, key=key, digest=digest, created=now)
                    )
                    return Begun("new")
                if row.digest != digest:
                    return Begun("other")
                if row.status is not None:
                    return Begun("done", row.status, json.loads(row.headers), bytes(row.body))
                if row.created > now - TAKEOVER_SECONDS:
                    return Begun("running")
                await connection.execute(update(table).where(here).values(created=now))
                return Begun("new")
        except IntegrityError:  # the same key at the same moment, on another connection
            return Begun("running")

    async def finish(self, token_id: str, key: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """The write is done; this is its answer from now on."""
        table = api_tables.idempotency
        async with self._database.write() as connection:
            await connection.execute(
                update(table)
                .where(table.c.token_id == token_id, table.c.key == key)
                .values(status=status, headers=json.dumps(dict(headers)), body=body)
            )

    async def forget(self, token_id: str, key: str) -> None:
        """The write was not done; the key is free."""
        table = api_tables.idempotency
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(table.c.token_id == token_id, table.c.key == key))
