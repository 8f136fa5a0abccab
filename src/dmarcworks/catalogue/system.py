"""The identity of a system in its stores, so that a store that lost its content is not taken for a new one.

A random id is written at the first start into the database (a KV entry), the object store (`system/id`) and, by
`upkeep.system`, into the analytics store. A store without the id is accepted as new only when no other store holds
anything that belongs to it. `LostStoreError` names the store that is empty or belongs to another system, and the
command that rebuilds it. Stores of versions that wrote no id receive one when their contents fit together.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass

from sqlalchemy import select, update

from dmarcworks.bindings.contracts import KV, Database, Objects, TableReplacement
from dmarcworks.catalogue import tables
from dmarcworks.errors import LostStoreError

__all__ = ["ANALYTICS", "DATABASE", "OBJECTS", "UNFINISHED", "System"]

DATABASE, OBJECTS, ANALYTICS, UNFINISHED = "database", "objects", "analytics", "unfinished"
_ID, _REPAIR = "system:id", "system:repair"
_OBJECT = "system/id"
_ARCHIVED = re.compile(r"[0-9]{4}/[0-9]{1,2}/")
_SAMPLE = 20
_NOTED = 200
# Objects that should be there, newest first.
_NAMED = (
    (tables.mails, tables.mails.c.raw_taken.is_(None), tables.mails.c.received),
    (tables.reports, tables.reports.c.archive_taken.is_(None), tables.reports.c.received),
)
ACCEPT = "`dmarcworks serve --accept-loss`"


@dataclass(frozen=True, slots=True)
class System:
    """The identity in database and objects; `where` names the two stores in messages, without a password."""

    database: Database
    kv: KV
    objects: Objects
    where: tuple[str, str]

    async def settle(self, tolerated: Collection[str] = (), *, accept: bool = False) -> None:
        """Check that database and objects belong together, and write the id where it is missing.

        A loss that the caller repairs is `tolerated`: then nothing is written. `accept`: the operator accepts the loss
        of what a store has lost.
        """
        if accept:
            await self.kv.delete(_REPAIR)
        loss = await self._loss()
        if loss is not None:
            kind, error = loss
            if kind in tolerated:
                return
            if not accept or not kind:
                raise error
            if kind == OBJECTS:
                await self._give_up_objects()
        if not tolerated:
            await self.claim()

    async def claim(self, *, replace: bool = False, identity: str | None = None) -> str:
        """Write the id into database and objects where it is missing; the id. `replace`: also over another one.

        `identity` is the id in the analytics store, for a system whose other stores have none.
        """
        theirs = await self._in_objects()
        ours = await self.id() or await self._insert(theirs or identity or secrets.token_hex(16))
        # Nothing is written at an ordinary start, which must succeed on a full disk too.
        if theirs is None or (replace and theirs != ours):
            await self.objects.put(_OBJECT, f"{ours}\n".encode(), create_only=not replace)
        return ours

    async def id(self) -> str | None:
        """The id in the database."""
        return await self.kv.get(_ID)

    async def begin_repair(self, command: str) -> None:
        """Note that `command` rebuilds the database: until `end_repair` no server starts on it."""
        await self.kv.put(_REPAIR, command)

    async def note_repair(self, replacement: TableReplacement, command: str) -> None:
        """The same in the transaction that replaces every table."""
        await replacement.put(_REPAIR, command)

    async def end_repair(self, *, replace: bool = False, identity: str | None = None) -> None:
        """The database is whole again: write the id where it is missing."""
        await self.claim(replace=replace, identity=identity)
        await self.kv.delete(_REPAIR)

    async def sure(self) -> None:
        """`LostStoreError` when the database no longer holds the id: its content was removed while we run."""
        if await self.id() is None:
            raise LostStoreError(
                f"the database {self.where[0]} has lost its content while this process runs: stop the server;"
                " `dmarcworks serve` then names the command that repairs it"
            )

    async def objects_there(self) -> None:
        """`LostStoreError` when the object store no longer holds the id."""
        theirs = await self._in_objects()
        if theirs is None or theirs != await self.id():
            raise LostStoreError(
                f"the object store {self.where[1]} has lost its content or belongs to another system: stop the server;"
                " `dmarcworks serve` then names the command that repairs it"
            )

    async def _loss(self) -> tuple[str, LostStoreError] | None:
        """What is lost, and the error that reports it; "" for stores of two systems."""
        database, objects = self.where
        if command := await self.kv.get(_REPAIR):
            return UNFINISHED, LostStoreError(
                f"`dmarcworks {command}` has not finished rebuilding the database {database}: run it again; {ACCEPT}"
                " starts with what is there"
            )
        ours, theirs = await self.id(), await self._in_objects()
        if ours is not None and theirs is not None and ours != theirs:
            return "", LostStoreError(
                f"the database {database} belongs to system {ours}, the object store {objects} to system {theirs}:"
                " check DMARCWORKS_DATABASE_URL and DMARCWORKS_OBJECTS_URL, or replace both with `dmarcworks"
                " restore DIR --force`"
            )
        if ours is None and await self._database_lost(theirs is not None):
            return DATABASE, LostStoreError(
                f"the database {database} is empty or new, but the object store {objects} holds mail or reports of this"
                " system: rebuild the database from it with `dmarcworks replay --catalogue`, or restore a backup with"
                f" `dmarcworks restore DIR --force`; {ACCEPT} starts without what the database held, and for a new"
                " system name an empty data directory"
            )
        if theirs is None and await self._objects_lost():
            return OBJECTS, LostStoreError(
                f"the object store {objects} is empty or missing, but the database {database} names mail and reports in"
                " it: bring the object store back, or restore a backup with `dmarcworks restore DIR --force`;"
                f" {ACCEPT} starts without them"
            )
        return None

    async def _in_objects(self) -> str | None:
        stored = await self.objects.get(_OBJECT)
        return None if stored is None else stored.decode("ascii", "replace").strip()

    async def _database_lost(self, marked: bool) -> bool:
        """Whether a database without the id is missing what the objects belong to."""
        if not marked and not await self._any_object():
            return False
        if not await self._any_row():
            return True
        noted = [one async for one in self._noted_domains()]
        if not noted:
            return False
        async with self.database.read() as connection:
            known = tables.domains.c.id
            return (await connection.execute(select(known).where(known.in_(noted)).limit(1))).first() is None

    async def _any_object(self) -> bool:
        for prefix in ("inbox/", "domains/"):
            if await self.objects.list(prefix=prefix, limit=1):
                return True
        for century in ("1", "2"):
            listed = await self.objects.list(prefix=century, limit=1)
            if listed and _ARCHIVED.match(listed[0].key):
                return True
        return False

    async def _any_row(self) -> bool:
        async with self.database.read() as connection:
            for table in (tables.domains, tables.mails, tables.reports):
                if (await connection.execute(select(table).limit(1))).first() is not None:
                    return True
        return False

    async def _noted_domains(self) -> AsyncIterator[str]:
        """Ids of domains that objects know and that were not removed."""
        for info in await self.objects.list(prefix="domains/", limit=_NOTED):
            content = await self.objects.get(info.key)
            if content is not None:
                one = json.loads(content)
                if not one.get("removed"):
                    yield str(one["domain_id"])

    async def _objects_lost(self) -> bool:
        """Whether none of the newest objects that the database names is there."""
        named = []
        async with self.database.read() as connection:
            for table, gone, newest in _NAMED:
                statement = select(table.c.object_key).where(gone).order_by(newest.desc()).limit(_SAMPLE)
                named += list((await connection.execute(statement)).scalars())
        for key in named:
            if await self.objects.head(key) is not None:
                return False
        return bool(named)

    async def _give_up_objects(self) -> None:
        """What the lost object store held is noted as deleted, as retention notes it."""
        now = time.time()
        async with self.database.write() as connection:
            mails, reports = tables.mails.c, tables.reports.c
            await connection.execute(update(tables.mails).where(mails.raw_taken.is_(None)).values(raw_taken=now))
            await connection.execute(
                update(tables.reports).where(reports.archive_taken.is_(None)).values(archive_taken=now)
            )

    async def _insert(self, new: str) -> str:
        """Several processes may start at once: the first one's id is everybody's."""
        await self.kv.put(_ID, new, create_only=True)
        return await self.id() or new
