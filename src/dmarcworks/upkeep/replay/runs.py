"""The rebuilds in the catalogue: the state of each, so that it can resume when interrupted, and what it changed."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Row

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import tables, upkeep_tables

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["UNFINISHED", "Replay", "Replays"]

UNFINISHED = ("building", "built", "swapping")


@dataclass(frozen=True, slots=True)
class Replay:
    """A rebuild. `state`: building, built, swapping, swapped (the version is the old one), back, dropped.

    `tables` names the UUIDs of the table before ("old") and of the one that was filled ("new"), by table.
    """

    id: int
    version: str
    state: str
    domain_id: str
    since: str
    last_key: str
    done: int
    total: int
    tables: Mapping[str, Mapping[str, str]]
    started: datetime


class Replays:
    """The catalogue's rebuilds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, *states: str) -> list[Replay]:
        """Those in these states, newest first."""
        table = upkeep_tables.replays
        statement = select(table).where(table.c.state.in_(states)).order_by(table.c.id.desc())
        async with self._database.read() as connection:
            return [_replay(row) for row in (await connection.execute(statement)).all()]

    async def begin(self, domain_id: str, since: str, total: int) -> Replay:
        """A new one."""
        now = time.time()
        stamp = datetime.fromtimestamp(now, UTC)
        values = {
            "version": f"{stamp:%Y%m%d_%H%M%S}_{stamp.microsecond // 1000:03}",
            "state": "building",
            "domain_id": domain_id,
            "since": since,
            "last_key": "",
            "done": 0,
            "total": total,
            "tables": "{}",
            "started": now,
            "changed": now,
        }
        async with self._database.write() as connection:
            row = (
                await connection.execute(
                    insert(upkeep_tables.replays).values(**values).returning(upkeep_tables.replays)
                )
            ).one()
        return _replay(row)

    async def note(self, replay_id: int, **values: Any) -> None:
        """Update the rebuild: any of state, last_key, done, total, tables."""
        async with self._database.write() as connection:
            await self.note_in(connection, replay_id, **values)

    async def note_in(self, connection: AsyncConnection, replay_id: int, **values: Any) -> None:
        """The same inside a transaction."""
        if "tables" in values:
            values["tables"] = json.dumps(values["tables"])
        statement = update(upkeep_tables.replays).where(upkeep_tables.replays.c.id == replay_id)
        await connection.execute(statement.values(changed=time.time(), **values))

    async def batch(
        self,
        replay_id: int,
        *,
        last_key: str,
        done: int,
        changes: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]],
    ) -> None:
        """Reports up to `last_key` are written; `changes` are the catalogue's values before and after by report."""
        table = upkeep_tables.replay_reports
        rows = [
            {"replay_id": replay_id, "report_key": key, "before": json.dumps(before), "after": json.dumps(after)}
            for key, (before, after) in changes.items()
        ]
        async with self._database.write() as connection:
            if rows:
                again = (table.c.replay_id == replay_id) & table.c.report_key.in_(list(changes))
                await connection.execute(delete(table).where(again))
                await connection.execute(insert(table), rows)
            await self.note_in(connection, replay_id, last_key=last_key, done=done)

    async def apply(self, replay_id: int, column: str, state: str) -> int:
        """Write the reports' values of `column` (before, after) into the catalogue and note the state, all at once."""
        table = upkeep_tables.replay_reports
        mine = table.c.replay_id == replay_id
        async with self._database.write() as connection:
            rows = (await connection.execute(select(table).where(mine))).all()
            for row in rows:
                values = json.loads(row._mapping[column])
                await connection.execute(
                    update(tables.reports).where(tables.reports.c.key == row.report_key).values(**values)
                )
            await self.note_in(connection, replay_id, state=state)
        return len(rows)

    async def forget(self, replay_ids: Sequence[int]) -> None:
        """Their versions are dropped."""
        async with self._database.write() as connection:
            chosen = upkeep_tables.replay_reports.c.replay_id.in_(list(replay_ids))
            await connection.execute(delete(upkeep_tables.replay_reports).where(chosen))
            for replay_id in replay_ids:
                await self.note_in(connection, replay_id, state="dropped")


def _replay(row: Row[Any]) -> Replay:
    columns = {name: row._mapping[name] for name in Replay.__slots__}
    return Replay(
        **{**columns, "tables": json.loads(row.tables), "started": datetime.fromtimestamp(row.started, UTC)},
    )
