"""Whether the analytics store belongs to the database's system and still holds the rows of its published reports."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, select, update

from dmarcworks.analytics.schema import published_keys
from dmarcworks.analytics.system import any_rows, read_id, write_id
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.catalogue import tables
from dmarcworks.catalogue.stores import Stores
from dmarcworks.catalogue.system import ACCEPT, ANALYTICS, DATABASE, OBJECTS, UNFINISHED
from dmarcworks.errors import LostStoreError
from dmarcworks.upkeep.verify.figures import KINDS

__all__ = ["TOLERATED", "analytics_there", "end_repair", "note_analytics", "settle_analytics"]

# What each job repairs, or can work without.
TOLERATED: dict[str, Collection[str]] = {
    "verify": {ANALYTICS, OBJECTS},
    "replay": {ANALYTICS},
    "replay-back": {ANALYTICS},
    "replay-drop": {ANALYTICS},
    "catalogue": {DATABASE, ANALYTICS, UNFINISHED},
    "restore": {"", DATABASE, OBJECTS, ANALYTICS, UNFINISHED},
}
_SAMPLE = 50


@dataclass(frozen=True, slots=True)
class _Report:
    key: str
    account_id: str
    domain_id: str
    day: date


async def settle_analytics(
    stores: Stores, analytics: Analytics, where: str, tolerated: Collection[str] = (), *, accept: bool = False
) -> None:
    """Check that the analytics store, `where` in messages, belongs to the other stores; write the id if it is missing.

    `LostStoreError` names what is lost, unless the caller repairs it. `accept`: the operator accepts the loss.
    """
    ours, theirs = await stores.system.id(), await read_id(analytics)
    if ours is None:
        return  # only a caller that repairs the database comes this far
    if theirs not in (None, ours):
        if "" in tolerated:
            return
        raise LostStoreError(
            f"the analytics store {where} belongs to system {theirs}, the database to system {ours}: check"
            " DMARCWORKS_ANALYTICS_URL, or name an empty store there and rebuild the figures with `dmarcworks replay`"
        )
    if await _rows_lost(stores, analytics, marked=theirs is not None):
        if ANALYTICS in tolerated:
            return
        if not accept:
            raise LostStoreError(
                f"the analytics store {where} is empty or missing, but the database names published reports: rebuild"
                f" the figures with `dmarcworks replay`; {ACCEPT} starts without the figures of these reports"
            )
        await _give_up_rows(stores)
    elif theirs is None and not tolerated and not accept and await _unknown_rows(stores, analytics):
        raise LostStoreError(
            f"the analytics store {where} holds rows of reports, but the database is new: check"
            " DMARCWORKS_DATABASE_URL, or restore a backup with `dmarcworks restore DIR --force`; for a new system name"
            f" an empty data directory; {ACCEPT} keeps the rows"
        )
    if theirs is None and not tolerated:
        await write_id(analytics, ours)


async def analytics_there(stores: Stores, analytics: Analytics) -> None:
    """`LostStoreError` when the analytics store no longer holds the id."""
    if await read_id(analytics) != await stores.system.id():
        raise LostStoreError(
            "the analytics store has lost its content or belongs to another system: stop the server; `dmarcworks serve`"
            " then names the command that repairs it"
        )


async def note_analytics(stores: Stores, analytics: Analytics, *, replace: bool = False) -> None:
    """The figures are whole again: write the id where it is missing. `replace`: also over another one."""
    ours, theirs = await stores.system.id(), await read_id(analytics)
    if ours is not None and (theirs is None or (replace and theirs != ours)):
        await write_id(analytics, ours)


async def end_repair(stores: Stores, analytics: Analytics, *, replace: bool = False) -> None:
    """The stores belong together now: the same id in all of them. `replace`: also over another one."""
    await stores.system.end_repair(replace=replace, identity=await read_id(analytics))
    await note_analytics(stores, analytics, replace=replace)


async def _rows_lost(stores: Stores, analytics: Analytics, *, marked: bool) -> bool:
    """Whether none of the rows that should be there is; in a store without the id, whether the newest ones are not."""
    columns = tables.reports.c
    statement = select(columns.key, columns.account_id, columns.domain_id, columns.day, columns.kind)
    statement = statement.where(*_published()).order_by(columns.received.desc()).limit(1 if marked else _SAMPLE)
    async with stores.database.read() as connection:
        rows = (await connection.execute(statement)).all()
    if not rows:
        return False
    if marked:
        return not await any_rows(analytics)
    return not await _any_published(analytics, rows)


async def _any_published(analytics: Analytics, rows: Sequence[Any]) -> bool:
    for kind, table in KINDS.items():
        named = [
            _Report(row.key, row.account_id, row.domain_id, date.fromisoformat(row.day))
            for row in rows
            if row.kind == kind
        ]
        if await published_keys(analytics, named, table=table):
            return True
    return False


async def _unknown_rows(stores: Stores, analytics: Analytics) -> bool:
    """Whether the store holds rows although the database has no report at all."""
    async with stores.database.read() as connection:
        if (await connection.execute(select(tables.reports.c.key).limit(1))).first() is not None:
            return False
    return await any_rows(analytics)


async def _give_up_rows(stores: Stores) -> None:
    """The rows of published reports are noted as deleted, as retention notes it."""
    async with stores.database.write() as connection:
        await connection.execute(update(tables.reports).where(*_published()).values(rows_taken=time.time()))


def _published() -> list[ColumnElement[bool]]:
    """Reports whose rows should be in the store."""
    columns = tables.reports.c
    return [
        columns.published.is_(True),
        columns.state == "counted",
        columns.rows_taken.is_(None),
        columns.records > 0,
    ]
