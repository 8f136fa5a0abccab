"""Restore a backup into an empty data directory: catalogue, objects, and the figures rebuilt from them; then verify.

Every file is checked against its hash first. A data directory that is not empty is refused without `force`; an
interrupted restore resumes when it is run again. No server may use the data directory meanwhile.
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

from dmarcworks.analytics.tables import QUERYABLE_TABLES
from dmarcworks.catalogue import tables
from dmarcworks.catalogue.mailbox_tables import mailboxes
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


async def restore(context: UpkeepContext, *, folder: str, force: bool = False) -> Events:
    """Events: progress, what differs in the end, and the `result`."""
    started = time.monotonic()
    backup_folder = BackupFolder(Path(folder))
    head = await asyncio.to_thread(backup_folder.head)
    mark = context.settings.home / "restoring"
    if not force and not mark.exists() and await _holds_anything(context):
        raise ConflictError(
            f"the data directory {context.settings.home} is not empty; name another by DMARCWORKS_HOME, or replace"
            " what it holds with --force"
        )
    mark.touch()
    async for event in _catalogue(context, backup_folder, head):
        yield event
    async for event in _objects(context, backup_folder, head):
        yield event
    await _figures(context, backup_folder, head)
    kept = 0
    async for event in replay(context, keep_old=True):
        kept += event["event"] == "kept"
        if event["event"] in ("progress", "kept"):
            yield event
    async for _ in drop_old(context):
        pass
    left = 0
    async for event in verify(context):
        if event["event"] == "result":
            left = event["left"]
        else:
            yield event
    await end_repair(context.stores, context.analytics, replace=True)
    mark.unlink()
    summary = {"made": head["made"], "tables": head["tables"], "kept": kept, "left": left}
    yield {"event": "result", **summary, "seconds": round(time.monotonic() - started, 1)}


async def _holds_anything(context: UpkeepContext) -> bool:
    async with context.stores.database.read() as connection:
        for table in (tables.accounts, tables.reports, tables.mails):
            if (await connection.execute(select(func.count()).select_from(table))).scalar_one():
                return True
    return any(not info.key.startswith("system/") for info in await context.stores.objects.list(limit=2))


async def _catalogue(context: UpkeepContext, backup_folder: BackupFolder, head: dict[str, Any]) -> Events:
    """Replace all tables with those of the backup, in one transaction."""
    files = head["files"]
    copies = table_copies(context)
    async with copies.replacement() as replacement:
        if replacement.revision != head["revision"]:
            raise UsageError(
                f"the backup was made by dmarcworks {head['version']} (schema {head['revision']}), this one has schema"
                f" {replacement.revision}: restore it with that version, then upgrade"
            )
        await replacement.clear()
        for number, table in enumerate(copies.tables):
            name = f"catalogue/{table}.jsonl.gz"
            await replacement.fill(table, await asyncio.to_thread(_rows, backup_folder, name, files[name]))
            yield progress("catalogue", number + 1, len(copies.tables))
        await context.stores.system.note_repair(replacement, f"restore {backup_folder.folder}")


def _rows(backup_folder: BackupFolder, name: str, sha256: str) -> list[dict[str, Any]]:
    rows = list(backup_folder.rows(name, sha256))
    if name == f"catalogue/{mailboxes.name}.jsonl.gz":
        # The system that the backup is of may run on: a drill must not fetch its mail, so a person resumes them.
        rows = [{**row, "paused": True, "holder": "", "lease": 0.0} for row in rows]
    return rows


async def _objects(context: UpkeepContext, backup_folder: BackupFolder, head: dict[str, Any]) -> Events:
    entries = await asyncio.to_thread(lambda: list(backup_folder.rows(LISTING, head["files"][LISTING])))
    for start in range(0, len(entries), _AT_ONCE):
        await asyncio.gather(*(_put(context, backup_folder, entry) for entry in entries[start : start + _AT_ONCE]))
        yield progress("objects", min(start + _AT_ONCE, len(entries)), len(entries))


async def _put(context: UpkeepContext, backup_folder: BackupFolder, entry: dict[str, Any]) -> None:
    key, sha256 = entry["key"], entry["sha256"]
    there = await context.stores.objects.get(key)
    if there is not None and hashlib.sha256(there).hexdigest() == sha256:
        return
    name = str(backup_folder.object(key).relative_to(backup_folder.folder))
    await context.stores.objects.put(key, await asyncio.to_thread(backup_folder.read, name, sha256))


async def _figures(context: UpkeepContext, backup_folder: BackupFolder, head: dict[str, Any]) -> None:
    """Empty the tables, then insert the rows that the archive can no longer give, and the workers' data points."""
    for table in QUERYABLE_TABLES:
        await context.analytics.execute(f"TRUNCATE TABLE {table}")
    for name, sha256 in head["files"].items():
        match = _FIGURES.fullmatch(name)
        if match is None or match[1] not in QUERYABLE_TABLES:
            continue
        content = parquet.read_table(pa.BufferReader(await asyncio.to_thread(backup_folder.read, name, sha256)))
        await context.analytics.insert(match[1], content.cast(QUERYABLE_TABLES[match[1]].schema))
