"""Compare catalogue, Objects and Analytics and name every difference; with `repair`, repair what can be repaired.

Reports are walked by key, a page at a time, so that memory stays flat: the page's archived attachments are hashed, and
Analytics is queried for every row between its first and last key, also those that no report has. What seems different
is compared again, since mail is read meanwhile. Then come the raw mails that should be kept, and orphaned mail.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.engine import Row

from dmarcworks.bindings.contracts import Objects
from dmarcworks.catalogue import tables
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.ingest.item import MailItem
from dmarcworks.upkeep import catalogue_pages
from dmarcworks.upkeep.context import Events, UpkeepContext, progress
from dmarcworks.upkeep.replay.reread import digest_of
from dmarcworks.upkeep.verify import figures
from dmarcworks.upkeep.verify.compare import Difference, compare
from dmarcworks.upkeep.verify.figures import KINDS, ReportFigures
from dmarcworks.upkeep.verify.orphans import orphaned_mails, requeue
from dmarcworks.upkeep.verify.repair import repair_all

__all__ = ["verify"]

PAGE = 5_000
_AT_ONCE = 16
_LOOKS = 3
_PAUSE_SECONDS = 0.3


async def verify(context: UpkeepContext, *, repair: bool = False, domain: str = "") -> Events:
    """Events: progress, a `difference` each, and the `result` with what was compared."""
    only = await context.domain(domain)
    database = context.stores.database
    where = _scope(tables.reports.c, only)
    counts = {
        "reports": await catalogue_pages.count(database, tables.reports, *where),
        "objects": 0,
        "mails": 0,
        "problems": 0,
    }
    differing = repaired = done = 0
    async for page, differences in _reports(context, only, where):
        done += len(page)
        counts["objects"] += len({row.object_key for row in page if row.archive_taken is None})
        if repair and differences:
            differences = await repair_all(context, differences)
        for difference in differences:
            differing, repaired = differing + 1, repaired + difference.repaired
            yield {"event": "difference", **dataclasses.asdict(difference)}
        yield progress("reports", done, counts["reports"])
    async for what, size, differences in _mails(context, only):
        counts[what] += size
        for difference in differences:
            differing += 1
            yield {"event": "difference", **dataclasses.asdict(difference)}
        yield progress(what, counts[what], counts[what])
    async for what, size, differences in orphaned_mails(context, only):
        counts[what] += size
        if repair:
            differences = await requeue(context, differences)
        for difference in differences:
            differing, repaired = differing + 1, repaired + difference.repaired
            yield {"event": "difference", **dataclasses.asdict(difference)}
        yield progress(what, counts[what], counts[what])
    yield {
        "event": "result",
        "compared": counts,
        "differences": differing,
        "repaired": repaired,
        "left": differing - repaired,
    }


def _scope(columns: Any, only: Domain | None) -> list[ColumnElement[bool]]:
    return [] if only is None else [columns.account_id == only.account_id, columns.domain_id == only.id]


async def _reports(
    context: UpkeepContext, only: Domain | None, where: Sequence[ColumnElement[bool]]
) -> AsyncIterator[tuple[Sequence[Row[Any]], list[Difference]]]:
    """Each page of reports with what is different; the last one reaches to the end of all keys."""
    after = ""
    pages = catalogue_pages.pages(context.stores.database, tables.reports, "key", *where, size=PAGE)
    async for page in pages:
        last = page[-1].key if len(page) == PAGE else ""
        yield page, await _page(context, only, page, after, last)
        if not last:
            return
        after = last
    yield (), await _page(context, only, (), after, "")


async def _page(
    context: UpkeepContext, only: Domain | None, page: Sequence[Row[Any]], after: str, last: str
) -> list[Difference]:
    differences = [difference for row, difference in await _objects(context, page) if difference is not None]
    rows = {row.key: row for row in page}
    suspects: dict[str, list[Difference]] = {}
    for attempt in range(_LOOKS):
        if attempt:
            await asyncio.sleep(_PAUSE_SECONDS)
            rows |= await catalogue_pages.reports(context.stores.database, list(suspects))
        held = await _held(context, only, after, last)
        waiting = {item.mail_id for item in await context.waiting()}
        keys: Iterable[str] = rows.keys() | held.keys() if not attempt else list(suspects)
        suspects = {key: _compared(key, rows.get(key), held.get(key, ()), waiting) for key in keys}
        suspects = {key: named for key, named in suspects.items() if named}
        if not suspects:
            break
    return differences + [difference for key in sorted(suspects) for difference in suspects[key]]


def _compared(
    key: str, row: Row[Any] | None, stored: Sequence[tuple[str, ReportFigures]], waiting: set[str]
) -> list[Difference]:
    waits = row is not None and not row.published and row.mail_id in waiting
    return compare(key, row, stored, waits=waits)


async def _held(
    context: UpkeepContext, only: Domain | None, after: str, last: str
) -> Mapping[str, list[tuple[str, ReportFigures]]]:
    by_key: dict[str, list[tuple[str, ReportFigures]]] = {}
    for table in KINDS.values():
        for held in await figures.held(context.analytics, table, after=after, last=last, domain=only):
            by_key.setdefault(held.report_key, []).append((table, held))
    return by_key


async def _objects(context: UpkeepContext, page: Sequence[Row[Any]]) -> list[tuple[Row[Any], Difference | None]]:
    """Every report's archived attachment is there and has the hash that its key promises."""
    kept = [row for row in page if row.archive_taken is None]
    states: dict[str, str | None] = {}
    keys = list(dict.fromkeys(row.object_key for row in kept))
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        hashes = await asyncio.gather(*(_hash(context.stores.objects, key) for key in some))
        states |= dict(zip(some, hashes, strict=True))
    return [(row, _object(row, states[row.object_key])) for row in kept]


def _object(row: Row[Any], digest: str | None) -> Difference | None:
    expected = digest_of(row.object_key)
    if digest == expected:
        return None
    kind = "object_missing" if digest is None else "object_changed"
    return Difference(kind, row.key, row.object_key, f"sha256 {expected}", _sha(digest), row.account_id, row.domain_id)


async def _hash(objects: Objects, key: str) -> str | None:
    content = await objects.get(key)
    return None if content is None else await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())


def _sha(digest: str | None) -> str:
    return "nothing" if digest is None else f"sha256 {digest}"


async def _mails(context: UpkeepContext, only: Domain | None) -> AsyncIterator[tuple[str, int, list[Difference]]]:
    """Raw mails: of what was read, of what waits, and of open problems."""
    database = context.stores.database
    seen: set[str] = set()
    where = [tables.mails.c.raw_taken.is_(None), *_scope(tables.mails.c, only)]
    waiting = {item.object_key: item for item in await context.waiting()}
    async for page in catalogue_pages.pages(database, tables.mails, "id", *where, size=PAGE):
        # A mail that is to be reprocessed may be replaced by its redacted form meanwhile.
        named = [(row, None if row.object_key in waiting else row.sha256) for row in page]
        yield "mails", len(page), await _raw(context, named)
        seen.update(row.object_key for row in page)
    left = [item for key, item in waiting.items() if key not in seen and _ours(item, only)]
    yield "mails", len(left), await _raw(context, [(item, item.sha256) for item in left])
    open_ones = [tables.problems.c.state == "open", *_scope(tables.problems.c, only)]
    async for page in catalogue_pages.pages(database, tables.problems, "id", *open_ones, size=PAGE):
        # A problem with the reason that its mail is missing is known.
        unseen = [row for row in page if row.object_key not in seen and row.reason != "raw_missing"]
        yield "problems", len(page), await _raw(context, [(row, None) for row in unseen])


def _ours(item: MailItem, only: Domain | None) -> bool:
    return only is None or item.domain_id == only.id


async def _raw(context: UpkeepContext, named: Sequence[tuple[Any, str | None]]) -> list[Difference]:
    differences = []
    for start in range(0, len(named), _AT_ONCE):
        some = named[start : start + _AT_ONCE]
        hashes = await asyncio.gather(*(_hash(context.stores.objects, row.object_key) for row, _ in some))
        for (row, expected), sha in zip(some, hashes, strict=True):
            if sha is None or (expected is not None and sha != expected):
                kind = "raw_missing" if sha is None else "raw_changed"
                content = "the raw mail" if expected is None else f"sha256 {expected}"
                differences.append(
                    Difference(kind, "", row.object_key, content, _sha(sha), row.account_id, row.domain_id)
                )
    return differences
