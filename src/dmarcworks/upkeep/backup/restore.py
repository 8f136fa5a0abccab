"""A backup into an empty home: catalogue, objects, and the figures made anew from them; then everything is compared.

Every file is checked against its hash first. A home that holds anything is refused unless told; a restore that was cut
off goes on when called again. A server must not run on the home meanwhile.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
from sqlalchemy import func, select

from dmarcworks.analytics.tables import ASKED
from dmarcworks.catalogue import tables
from dmarcworks.errors import ConflictError, UsageError
from dmarcworks.upkeep.backup.create import table_copies
from dmarcworks.upkeep.backup.format import LISTING, BackupFolder
from dmarcworks.upkeep.context import Events, UpkeepContext, progress
from dmarcworks.upkeep.replay.rebuild import drop_old, replay
from dmarcworks.upkeep.system import end_repair
from dmarcworks.upkeep.verify.check import verify

__all__ = ["restore"]

_AT_ONCE = 16
_FIGURES = re.compile(r"rows/([a-z_]+)-[0-9]+\.parquet")


async def restore(house: UpkeepContext, *, folder: str, force: bool = False) -> Events:
    """Events: progress, what differs in the end, and the `result`."""
    started = time.monotonic()
    shelf = BackupFolder(Path(folder))
    head = await asyncio.to_thread(shelf.head)
    mark = house.settings.home / "restoring"
    if not force and not mark.exists() and await _holds_anything(house):
        raise ConflictError(
            f"the home {house.settings.home} is not empty; name another by DMARCWORKS_HOME, or replace what it holds"
            " with --force"
        )
    mark.touch()
    async for event in _catalogue(house, shelf, head):
        yield event
    async for event in _objects(house, shelf, head):
        yield event
    await _figures(house, shelf, head)
    kept = 0
    async for event in replay(house, keep_old=True):
        kept += event["event"] == "kept"
        if event["event"] in ("progress", "kept"):
            yield event
    async for _ in drop_old(house):
        pass
    left = 0
    async for event in verify(house):
        if event["event"] == "result":
            left = event["left"]
        else:
            yield event
    await end_repair(house.stores, house.analytics, replace=True)
    mark.unlink()
    told = {"made": head["made"], "tables": head["tables"], "kept": kept, "left": left}
    yield {"event": "result", **told, "seconds": round(time.monotonic() - started, 1)}


async def _holds_anything(house: UpkeepContext) -> bool:
    async with house.stores.database.read() as connection:
        for table in (tables.accounts, tables.reports, tables.mails):
            if (await connection.execute(select(func.count()).select_from(table))).scalar_one():
                return True
    return any(not info.key.startswith("system/") for info in await house.stores.objects.list(limit=2))


async def _catalogue(house: UpkeepContext, shelf: BackupFolder, head: dict[str, Any]) -> Events:
    """All tables in one transaction: what was there goes, what the backup holds comes."""
    files = head["files"]
    copies = table_copies(house)
    async with copies.replacement() as replacement:
        if replacement.revision != head["revision"]:
            raise UsageError(
                f"the backup was made by dmarcworks {head['version']} (schema {head['revision']}), this one has schema"
                f" {replacement.revision}: restore it with that version, then upgrade"
            )
        await replacement.clear()
        for number, table in enumerate(copies.tables):
            name = f"catalogue/{table}.jsonl.gz"
            await replacement.fill(table, await asyncio.to_thread(_rows, shelf, name, files[name]))
            yield progress("catalogue", number + 1, len(copies.tables))
        await house.stores.system.note_repair(replacement, f"restore {shelf.folder}")


def _rows(shelf: BackupFolder, name: str, sha256: str) -> list[dict[str, Any]]:
    return list(shelf.rows(name, sha256))


async def _objects(house: UpkeepContext, shelf: BackupFolder, head: dict[str, Any]) -> Events:
    entries = await asyncio.to_thread(lambda: list(shelf.rows(LISTING, head["files"][LISTING])))
    for start in range(0, len(entries), _AT_ONCE):
        await asyncio.gather(*(_put(house, shelf, entry) for entry in entries[start : start + _AT_ONCE]))
        yield progress("objects", min(start + _AT_ONCE, len(entries)), len(entries))


async def _put(house: UpkeepContext, shelf: BackupFolder, entry: dict[str, Any]) -> None:
    key, sha256 = entry["key"], entry["sha256"]
    there = await house.stores.objects.get(key)
    if there is not None and hashlib.sha256(there).hexdigest() == sha256:
        return
    name = str(shelf.object(key).relative_to(shelf.folder))
    await house.stores.objects.put(key, await asyncio.to_thread(shelf.read, name, sha256))


async def _figures(house: UpkeepContext, shelf: BackupFolder, head: dict[str, Any]) -> None:
    """Empty tables, then the rows that the archive can no longer give, and what workers wrote."""
    for table in ASKED:
        await house.analytics.execute(f"TRUNCATE TABLE {table}")
    for name, sha256 in head["files"].items():
        match = _FIGURES.fullmatch(name)
        if match is None or match[1] not in ASKED:
            continue
        content = parquet.read_table(pa.BufferReader(await asyncio.to_thread(shelf.read, name, sha256)))
        await house.analytics.insert(match[1], content.cast(ASKED[match[1]].schema))
