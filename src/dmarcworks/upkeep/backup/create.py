"""A whole copy of the system in a folder, while it runs: the catalogue of one moment, then every object that it names.

The catalogue comes first, so that whatever it names was durable before and is still there. Figures are not copied,
since the archive gives them again, but for those of reports whose attachment retention took. Called again on the same
folder it copies only objects that are new, and goes on after any end.
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


def table_copies(house: UpkeepContext) -> TableCopies:
    """Every table of the database, read or replaced as a whole."""
    return open_table_copies(house.stores.database, catalogue.sorted_tables)


async def backup(house: UpkeepContext, *, folder: str) -> Events:
    """Events: progress, `damaged` objects, and the `result`."""
    started = time.monotonic()
    shelf = BackupFolder(Path(folder))
    await asyncio.to_thread(shelf.prepare)
    files, revision, counts = await _catalogue(house, shelf)
    yield progress("catalogue", len(files), len(files))
    listed: dict[str, Event] = {}
    copied = damaged = 0
    known = await asyncio.to_thread(shelf.known)
    after = ""
    while found := await house.stores.objects.list(limit=_LISTED, start_after=after):
        after = found[-1].key
        new, kept = _new(found, known, shelf)
        listed |= {entry["key"]: entry for entry in kept}
        for start in range(0, len(new), _AT_ONCE):
            entries = await asyncio.gather(*(_copy(house, shelf, info) for info in new[start : start + _AT_ONCE]))
            there = [entry for entry in entries if entry is not None]
            await asyncio.to_thread(shelf.copied, there)
            copied += len(there)
            for entry in there:
                listed[entry["key"]] = entry
                promised = digest_of(entry["key"]) if not entry["key"].startswith("inbox/") else ""
                if len(promised) == 64 and promised != entry["sha256"]:
                    damaged += 1
                    yield {"event": "damaged", "key": entry["key"]}
        yield progress("objects", len(listed), len(listed))
    files[LISTING] = await asyncio.to_thread(shelf.lines, LISTING, listed.values())
    files |= await _rows(house, shelf)
    head = {
        "format": FORMAT,
        "version": __version__,
        "revision": revision,
        "made": datetime.now(UTC).isoformat(),
        "tables": counts,
        "files": files,
    }
    await asyncio.to_thread(shelf.finish, head, {*files, *(f"objects/{key}" for key in listed)})
    size = sum(entry["size"] for entry in listed.values())
    told = {"objects": len(listed), "bytes": size, "copied": copied, "damaged": damaged, "reports": counts["reports"]}
    yield {"event": "result", **told, "seconds": round(time.monotonic() - started, 1)}


async def _catalogue(house: UpkeepContext, shelf: BackupFolder) -> tuple[dict[str, str], str, dict[str, int]]:
    """Every table as it stands at one moment: the files' hashes, the schema's revision, rows by table."""
    files: dict[str, str] = {}
    counts: dict[str, int] = {}
    copies = table_copies(house)
    async with copies.snapshot() as snapshot:
        for table in copies.tables:
            rows = await snapshot.rows(table)
            name = f"catalogue/{table}.jsonl.gz"
            files[name] = await asyncio.to_thread(shelf.lines, name, rows)
            counts[table] = len(rows)
    return files, snapshot.revision, counts


def _new(
    found: Sequence[ObjectInfo], known: Mapping[str, Event], shelf: BackupFolder
) -> tuple[list[ObjectInfo], list[dict[str, Any]]]:
    """Which objects are to be copied, and which ones are here as they are."""
    new, kept = [], []
    for info in found:
        entry = known.get(info.key)
        same = entry is not None and (entry["size"], entry["etag"]) == (info.size, info.etag) and info.etag is not None
        if entry is not None and same and _size(shelf.object(info.key)) == info.size:
            kept.append(entry)
        else:
            new.append(info)
    return new, kept


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


async def _copy(house: UpkeepContext, shelf: BackupFolder, info: ObjectInfo) -> Event | None:
    """Copy an object; None when it is gone meanwhile."""
    content = await house.stores.objects.get(info.key)
    if content is None:
        return None
    name = str(shelf.object(info.key).relative_to(shelf.folder))
    await asyncio.to_thread(shelf.write, name, content)
    sha256 = hashlib.sha256(content).hexdigest()
    return {"key": info.key, "size": len(content), "sha256": sha256, "etag": info.etag}


async def _rows(house: UpkeepContext, shelf: BackupFolder) -> dict[str, str]:
    """The figures of reports whose attachment is gone by retention: there is no other copy of them."""
    columns = tables.reports.c
    files: dict[str, str] = {}
    number = 0
    where = [columns.archive_taken.is_not(None), columns.rows_taken.is_(None), columns.state == "counted"]
    async for page in catalogue_pages.pages(
        house.stores.database, tables.reports, "key", *where, size=_ROWS_OF_REPORTS
    ):
        for table in KINDS.values():
            keys = [row.key for row in page if KINDS[row.kind] == table]
            if not keys:
                continue
            number += 1
            content = await house.analytics.query(
                f"SELECT {versions.columns(table)} FROM {table} WHERE report_key IN {{keys:Array(String)}}",  # noqa: S608 - a table of ours
                {"keys": keys},
                format="Parquet",
            )
            name = f"rows/{table}-{number}.parquet"
            files[name] = await asyncio.to_thread(shelf.write, name, content)
    return files | await _points(house, shelf)


async def _points(house: UpkeepContext, shelf: BackupFolder) -> dict[str, str]:
    """What workers wrote, a file a day: it came in no mail that could be read again."""
    table = DATA_POINTS.name
    files: dict[str, str] = {}
    days = await house.analytics.query(
        f"SELECT DISTINCT toYYYYMMDD(timestamp) AS day FROM {table} ORDER BY day",  # noqa: S608 - a table of ours
        format="TabSeparated",
    )
    for day in days.decode().split():
        content = await house.analytics.query(
            f"SELECT * FROM {table} WHERE toYYYYMMDD(timestamp) = {{day:UInt32}}",  # noqa: S608 - a table of ours
            {"day": int(day)},
            format="Parquet",
        )
        name = f"rows/{table}-{day}.parquet"
        files[name] = await asyncio.to_thread(shelf.write, name, content)
    return files
