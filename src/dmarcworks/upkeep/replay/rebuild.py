"""Rebuild Analytics: reprocess the archived reports into a new version of the tables, show what changes, swap.

    building   rows that the replay is not about are copied, the reports it is about are reprocessed, in key order
    built      nothing more to read; what was published meanwhile is copied over just before the swap
    swapping   publishing is held: the rest is copied, the tables are exchanged, the catalogue is updated
    swapped    the version holds the old rows, until `drop` or `back`

The catalogue holds the state, so an interrupted rebuild resumes. A report that cannot be reprocessed keeps its rows.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.engine import Row

from dmarcworks.analytics.rows import Placed, row_count, tables_of
from dmarcworks.analytics.tables import TABLES
from dmarcworks.catalogue import tables
from dmarcworks.catalogue.authenticity import AuthenticityCatalogue
from dmarcworks.errors import ConflictError, NotFoundError, UsageError
from dmarcworks.upkeep import catalogue_pages
from dmarcworks.upkeep.context import Event, Events, UpkeepContext, progress
from dmarcworks.upkeep.replay import versions
from dmarcworks.upkeep.replay.changes import changes
from dmarcworks.upkeep.replay.reread import ChangedValues, NotInArchive, all_domain_names, placed, reread_all
from dmarcworks.upkeep.replay.runs import UNFINISHED, Replay, Replays
from dmarcworks.upkeep.replay.swap import back, catch_up, finish, swap
from dmarcworks.upkeep.replay.versions import version_of
from dmarcworks.upkeep.system import note_analytics
from dmarcworks.upkeep.verify.figures import held, literal

__all__ = ["drop_old", "replay", "swap_back"]

PAGE = 500
# Beyond this many rows they are inserted at once, so that memory stays flat.
INSERT_ROWS = 100_000
_AT_ONCE = 50


async def replay(
    context: UpkeepContext, *, domain: str = "", since: str = "", keep_old: bool = False, only_build: bool = False
) -> Events:
    """Events: progress, `kept` reports, the differences (see `changes`), and the `result`."""
    started = time.monotonic()
    replays = Replays(context.stores.database)
    only = await context.domain(domain)
    scope = ("" if only is None else only.id, _day(since))
    await forget_lost(context, replays)
    if cut_off := await finish(context, replays):
        yield _result(cut_off[0], "swapped", 0, {"reports": 0, "shown": 0}, started)
        return
    names = await all_domain_names(context)
    now = await _begin(context, replays, scope, keep_old)
    kept = 0
    if now.state == "building":
        async for event in _build(context, replays, now, names):
            kept += event["event"] == "kept"
            yield event
        await replays.note(now.id, state="built")
        (now,) = (built for built in await replays.all("built") if built.id == now.id)
    await catch_up(context, now)
    result: Event = {}
    async for event in changes(context.analytics, now.version, names):
        result = event
        yield event
    if not only_build:
        yield progress("swapping", 0, len(TABLES))
        # The client may disconnect now: half a swap would have to wait for the next start.
        await asyncio.shield(swap(context, replays, now))
        await note_analytics(context.stores, context.analytics)
    yield _result(now, "built" if only_build else "swapped", kept, result, started)


def _result(now: Replay, state: str, kept: int, result: Event, started: float) -> Event:
    return {
        "event": "result",
        "state": state,
        "version": now.version,
        "reports": now.done,
        "kept": kept,
        "changed": result["reports"],
        "shown": result["shown"],
        "seconds": round(time.monotonic() - started, 1),
    }


async def swap_back(context: UpkeepContext) -> Events:
    """Go back to the rows from before the last replay; the version then holds the newer ones."""
    replays = Replays(context.stores.database)
    await forget_lost(context, replays)
    await finish(context, replays)
    swapped = await replays.all("swapped")
    if not swapped:
        raise NotFoundError("there is no older version to go back to")
    await back(context, replays, swapped[0])
    yield {"event": "result", "state": "back", "version": swapped[0].version}


async def drop_old(context: UpkeepContext) -> Events:
    """Drop every inactive version: old ones, and what an unfinished replay has filled."""
    replays = Replays(context.stores.database)
    await finish(context, replays)
    old_runs = await replays.all("swapped", "back", *UNFINISHED)
    for number, old in enumerate(old_runs):
        yield progress("dropping", number, len(old_runs))
        await versions.drop(context.analytics, old.version)
    await replays.forget([old.id for old in old_runs])
    yield {"event": "result", "state": "dropped", "versions": [old.version for old in old_runs]}


async def forget_lost(context: UpkeepContext, replays: Replays) -> None:
    """Forget versions whose tables no longer exist, since Analytics was lost."""
    there = await versions.uuids(context.analytics)
    lost = [
        old.id
        for old in await replays.all("swapped", "back")
        if not any(version_of(table, old.version) in there for table in TABLES)
    ]
    if lost:
        await replays.forget(lost)


def _day(since: str) -> str:
    try:
        return date.fromisoformat(since).isoformat() if since else ""
    except ValueError:
        raise UsageError(f"{since!r} is no date like 2026-01-31") from None


async def _begin(context: UpkeepContext, replays: Replays, scope: tuple[str, str], keep_old: bool) -> Replay:
    """The unfinished replay of this scope if its tables still fit, or a new one."""
    unfinished = await replays.all(*UNFINISHED)
    if unfinished:
        now = unfinished[0]
        if (now.domain_id, now.since) != scope:
            raise ConflictError(
                "a replay of other reports was begun and not finished; give the same --domain and --since to resume it,"
                " or drop it with --drop-old"
            )
        if await _fits(context, now):
            return now
        await replays.forget([now.id])
    elif (old := await replays.all("swapped", "back")) and not keep_old:
        raise ConflictError(
            f"the version of {old[0].started:%Y-%m-%d %H:%M} UTC is still kept: drop it with --drop-old, go back to it"
            " with --back, or keep one more with --keep-old"
        )
    total = await catalogue_pages.count(context.stores.database, tables.reports, *_where(*scope))
    return await replays.begin(*scope, total)


async def _fits(context: UpkeepContext, now: Replay) -> bool:
    """Whether the version's tables exist, with the same columns as the active ones."""
    there = await versions.uuids(context.analytics)
    for table in TABLES:
        known, name = now.tables.get(table), version_of(table, now.version)
        if known is None or there.get(name) != known["new"] or there.get(table) != known["old"]:
            return False
        if await versions.shape(context.analytics, table) != await versions.shape(context.analytics, name):
            return False
    return True


def _where(domain_id: str, since: str) -> list[ColumnElement[bool]]:
    columns = tables.reports.c
    # Rows of a report whose attachment retention has deleted cannot be rebuilt: they are copied.
    kept = columns.rows_taken.is_(None) & columns.archive_taken.is_(None)
    where = [columns.state == "counted", columns.published.is_(True), kept]
    if domain_id:
        where.append(columns.domain_id == domain_id)
    if since:
        where.append(columns.day >= since)
    return where


async def _build(context: UpkeepContext, replays: Replays, now: Replay, names: Mapping[str, str]) -> Events:
    analytics = context.analytics
    if not now.last_key:
        # Nothing was noted yet: whatever is in the version's tables is incomplete.
        await versions.create(analytics, now.version)
        there = await versions.uuids(analytics)
        ids = {table: {"old": there[table], "new": there[version_of(table, now.version)]} for table in TABLES}
        now = dataclasses.replace(now, tables=ids)
        await replays.note(now.id, tables=ids)
        async for event in _copy_others(context, now):
            yield event
    done, fresh = now.done, not now.last_key
    pages = catalogue_pages.pages(
        context.stores.database,
        tables.reports,
        "key",
        *_where(now.domain_id, now.since),
        size=PAGE,
        after=now.last_key or None,
    )
    after = now.last_key
    async for page in pages:
        last = page[-1].key
        # What an earlier run wrote and did not note is there already; pages have moved if reports came in since.
        present = set() if fresh else await _present(context, now, after, last)
        changed: dict[str, tuple[ChangedValues, ChangedValues]] = {}
        async for event in _page(context, now, [row for row in page if row.key not in present], names, changed):
            yield event
        done, after = done + len(page), last
        await replays.batch(now.id, last_key=last, done=done, changes=changed)
        yield progress("reprocessing", done, max(done, now.total))


async def _copy_others(context: UpkeepContext, now: Replay) -> Events:
    """Rows that the replay is not about, partition by partition."""
    if not now.domain_id and not now.since:
        return
    mine = " AND ".join(
        ([f"domain_id = {literal(now.domain_id)}"] if now.domain_id else [])
        + ([f"day >= {literal(now.since)}"] if now.since else [])
    )
    work = [(table, month) for table in TABLES for month in await versions.partitions(context.analytics, table)]
    for number, (table, month) in enumerate(work):
        yield progress("copying", number, len(work))
        names = versions.columns(table)
        await context.analytics.execute(
            f"INSERT INTO {version_of(table, now.version)} ({names}) SELECT {names} FROM {table}"  # noqa: S608 - ours
            f" WHERE toYYYYMM(day) = {month} AND NOT ({mine})"
        )


async def _present(context: UpkeepContext, now: Replay, after: str, last: str) -> set[str]:
    keys: set[str] = set()
    for table in TABLES:
        there = await held(context.analytics, version_of(table, now.version), after=after, last=last)
        keys.update(one.report_key for one in there)
    return keys


async def _page(
    context: UpkeepContext,
    now: Replay,
    page: Sequence[Row[Any]],
    names: Mapping[str, str],
    changed: dict[str, tuple[ChangedValues, ChangedValues]],
) -> Events:
    gathered: list[Placed[Any]] = []
    size = 0
    for start in range(0, len(page), _AT_ONCE):
        some = page[start : start + _AT_ONCE]
        proofs = await AuthenticityCatalogue(context.stores.database).dmarc([row.mail_id for row in some])
        for row, (got, after) in zip(some, await reread_all(context, some), strict=True):
            if isinstance(got, NotInArchive):
                yield {"event": "kept", "report": row.key, "key": row.object_key, "reason": str(got)}
                continue
            if after:
                changed[row.key] = {column: row._mapping[column] for column in after}, after
            gathered.append(
                placed(row, got.report, names.get(row.domain_id, row.policy_domain), proofs.get(row.mail_id))
            )
            size += row_count(got.report)
        if size >= INSERT_ROWS:
            await _insert(context, now, gathered)
            gathered, size = [], 0
    await _insert(context, now, gathered)


async def _insert(context: UpkeepContext, now: Replay, gathered: Sequence[Placed[Any]]) -> None:
    enricher = context.env.enricher
    enrichment = None if enricher is None else await enricher.prepared(gathered)
    for table, content in (await asyncio.to_thread(tables_of, gathered, enrichment)).items():
        await context.analytics.insert(version_of(table, now.version), content)
