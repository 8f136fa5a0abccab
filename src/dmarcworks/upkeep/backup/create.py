"""Copy the running system into a folder: a snapshot of the catalogue, then every object that it names.

The catalogue comes first, so that whatever it names was durable before and is still there. Figures are not copied,
since they can be rebuilt from the archive, except for those of reports whose attachment retention has deleted. A run on
a folder that holds a backup already, or an interrupted one, copies only the objects that are new.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dmarcworks import __version__
from dmarcworks.analytics.tables import DATA_POINTS
from dmarcworks.bindings.contracts import ObjectInfo, TableCopies
from dmarcworks.bindings.open import open_table_copies
from dmarcworks.catalogue import tables
from dmarcworks.catalogue.mail_tables import metadata as catalogue
from dmarcworks.upkeep import catalogue_pages
from dmarcworks.upkeep.backup.format import FORMAT, LISTING, BackupFolder
from dmarcworks.upkeep.context import Event, Events, UpkeepContext, progress
from dmarcworks.upkeep.replay import versions
from dmarcworks.upkeep.replay.reread import digest_of
from dmarcworks.upkeep.verify.figures import KINDS

__all__ = ["backup", "table_copies"]

_AT_ONCE = 16
_LISTED = 1000
_ROWS_OF_REPORTS = 500


def table_copies(context: UpkeepContext) -> TableCopies:
    """Every table of the database, read or replaced as a whole."""
    return open_table_copies(context.stores.database, catalogue.sorted_tables)


async def backup(context: UpkeepContext, *, folder: str) -> Events:
    """Events: progress, `damaged` objects, and the `result`."""
    started = time.monotonic()
    backup_folder = BackupFolder(Path(folder))
    await asyncio.to_thread(backup_folder.prepare)
    files, revision, counts = await _catalogue(context, backup_folder)
    yield progress("catalogue", len(files), len(files))
    listed: dict[str, Event] = {}
    copied = damaged = 0
    known = await asyncio.to_thread(backup_folder.known)
    after = ""
    while page := await context.stores.objects.list(limit=_LISTED, start_after=after):
        after = page[-1].key
        new, kept = _new(page, known, backup_folder)
        listed |= {entry["key"]: entry for entry in kept}
        for start in range(0, len(new), _AT_ONCE):
            entries = await asyncio.gather(
                *(_copy(context, backup_folder, info) for info in new[start : start + _AT_ONCE])
            )
            there = [entry for entry in entries if entry is not None]
            await asyncio.to_thread(backup_folder.copied, there)
            copied += len(there)
            for entry in there:
                listed[entry["key"]] = entry
                promised = digest_of(entry["key"]) if not entry["key"].startswith("inbox/") else ""
                if len(promised) == 64 and promised != entry["sha256"]:
                    damaged += 1
                    yield {"event": "damaged", "key": entry["key"]}
        yield progress("objects", len(listed), len(listed))
    files[LISTING] = await asyncio.to_thread(backup_folder.lines, LISTING, listed.values())
    files |= await _rows(context, backup_folder)
    head = {
        "format": FORMAT,
        "version": __version__,
        "revision": revision,
        "made": datetime.now(UTC).isoformat(),
        "tables": counts,
        "files": files,
    }
    await asyncio.to_thread(backup_folder.finish, head, {*files, *(f"objects/{key}" for key in listed)})
    size = sum(entry["size"] for entry in listed.values())
    summary = {"objects": len(listed), "bytes": size, "copied": copied, "damaged": damaged}
    summary["reports"] = counts["reports"]
    yield {"event": "result", **summary, "seconds": round(time.monotonic() - started, 1)}


async def _catalogue(context: UpkeepContext, backup_folder: BackupFolder) -> tuple[dict[str, str], str, dict[str, int]]:
    """Every table in one snapshot: the files' hashes, the schema's revision, rows by table."""
    files: dict[str, str] = {}
    counts: dict[str, int] = {}
    copies = table_copies(context)
    async with copies.snapshot() as snapshot:
        for table in copies.tables:
            rows = await snapshot.rows(table)
            name = f"catalogue/{table}.jsonl.gz"
            files[name] = await asyncio.to_thread(backup_folder.lines, name, rows)
            counts[table] = len(rows)
    return files, snapshot.revision, counts


def _new(
    page: Sequence[ObjectInfo], known: Mapping[str, Event], backup_folder: BackupFolder
) -> tuple[list[ObjectInfo], list[dict[str, Any]]]:
    """The objects to copy, and the entries of those that are copied already."""
    new, kept = [], []
    for info in page:
        entry = known.get(info.key)
        same = entry is not None and (entry["size"], entry["etag"]) == (info.size, info.etag) and info.etag is not None
        if entry is not None and same and _size(backup_folder.object(info.key)) == info.size:
            kept.append(entry)
        else:
            new.append(info)
    return new, kept


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


async def _copy(context: UpkeepContext, backup_folder: BackupFolder, info: ObjectInfo) -> Event | None:
    """Copy an object; None when it was deleted meanwhile."""
    content = await context.stores.objects.get(info.key)
    if content is None:
        return None
    name = str(backup_folder.object(info.key).relative_to(backup_folder.folder))
    await asyncio.to_thread(backup_folder.write, name, content)
    sha256 = hashlib.sha256(content).hexdigest()
    return {"key": info.key, "size": len(content), "sha256": sha256, "etag": info.etag}


async def _rows(context: UpkeepContext, backup_folder: BackupFolder) -> dict[str, str]:
    """The figures of reports whose attachment retention has deleted: there is no other copy of them."""
    columns = tables.reports.c
    files: dict[str, str] = {}
    number = 0
    where = [columns.archive_taken.is_not(None), columns.rows_taken.is_(None), columns.state == "counted"]
    async for page in catalogue_pages.pages(
        context.stores.database, tables.reports, "key", *where, size=_ROWS_OF_REPORTS
    ):
        for table in KINDS.values():
            keys = [row.key for row in page if KINDS[row.kind] == table]
            if not keys:
                continue
            number += 1
            content = await context.analytics.query(
                f"SELECT {versions.columns(table)} FROM {table} WHERE report_key IN {{keys:Array(String)}}",  # noqa: S608 - a table of ours
                {"keys": keys},
                format="Parquet",
            )
            name = f"rows/{table}-{number}.parquet"
            files[name] = await asyncio.to_thread(backup_folder.write, name, content)
    return files | await _points(context, backup_folder)


async def _points(context: UpkeepContext, backup_folder: BackupFolder) -> dict[str, str]:
    """The data points of workers, a file a day: no archived mail holds them."""
    table = DATA_POINTS.name
    files: dict[str, str] = {}
    days = await context.analytics.query(
        f"SELECT DISTINCT toYYYYMMDD(timestamp) AS day FROM {table} ORDER BY day",  # noqa: S608 - a table of ours
        format="TabSeparated",
    )
    for day in days.decode().split():
        content = await context.analytics.query(
            f"SELECT * FROM {table} WHERE toYYYYMMDD(timestamp) = {{day:UInt32}}",  # noqa: S608 - a table of ours
            {"day": int(day)},
            format="Parquet",
        )
        name = f"rows/{table}-{day}.parquet"
        files[name] = await asyncio.to_thread(backup_folder.write, name, content)
    return files
