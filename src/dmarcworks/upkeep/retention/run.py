"""Delete what is past its account's retention period, kind by kind; a dry run only shows what would be deleted.

Objects are deleted before their mark in the catalogue is set, rows after it: the next run completes an interrupted one,
and `verify` in between reports no loss. An attachment that another report still needs stays. Rows of a month that no
account keeps are deleted as a whole partition.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.engine import Row

from dmarcworks.analytics.tables import NOBODY
from dmarcworks.bindings.contracts import SYSTEM_QUEUE
from dmarcworks.catalogue import mail_tables, tables
from dmarcworks.catalogue.accounts import Account
from dmarcworks.errors import NotFoundError
from dmarcworks.upkeep import catalogue_pages
from dmarcworks.upkeep.context import Events, UpkeepContext, progress
from dmarcworks.upkeep.retention.periods import RetentionPeriods
from dmarcworks.upkeep.retention.rows import ROWS, Cut, delete_rows
from dmarcworks.upkeep.retention.runs import Runs
from dmarcworks.upkeep.verify.figures import remove

__all__ = ["retain"]

log = structlog.get_logger("dmarcworks.retention")

PAGE = 500
_DAY = 86_400


@dataclass(slots=True)
class _Deleted:
    """How much of a kind was deleted, or would be."""

    things: int = 0
    bytes: int = 0


async def retain(context: UpkeepContext, *, dry_run: bool = False, account: str = "") -> Events:
    """Events: a `taken` per account and kind (things, bytes), and the `result`."""
    rules, runs = RetentionPeriods(context.stores.database, context.settings), Runs(context.stores.database)
    accounts = [entry for entry in await context.stores.accounts.accounts() if account in ("", entry.name, entry.id)]
    if account and not accounts:
        raise NotFoundError(f"there is no account {account}")
    now = time.time()
    sums = _Deleted()
    cuts: dict[str, list[Cut]] = {kind: [] for kind in ROWS}
    if not account and (days := context.settings.retention_data_points):
        # Data points of mail that belongs to no account are the operator's.
        cuts["data_points"].append(Cut(NOBODY, "(no account)", datetime.fromtimestamp(now - days * _DAY, UTC).date()))
    for number, owner in enumerate(accounts):
        yield progress("retention", number, len(accounts))
        for rule in await rules.of(owner.id):
            if not rule.days:
                continue
            before = now - rule.days * _DAY
            if rule.kind in ROWS:
                cuts[rule.kind].append(Cut(owner.id, owner.name, datetime.fromtimestamp(before, UTC).date()))
                continue
            deleted = await _DELETE_BY_KIND[rule.kind](context, owner, before, dry_run)
            since = datetime.fromtimestamp(before, UTC).isoformat()
            if deleted.things and not dry_run:
                await runs.note(owner.id, rule.kind, since, deleted.things, deleted.bytes)
            yield _event(owner.name, rule.kind, since, deleted, dry_run)
            sums = _Deleted(sums.things + deleted.things, sums.bytes + deleted.bytes)
    for kind, some in cuts.items():
        for cut, rows, size in await delete_rows(context, kind, some, dry_run):
            if rows and not dry_run and cut.account_id != NOBODY:
                await runs.note(cut.account_id, kind, cut.day.isoformat(), rows, size)
            yield _event(cut.account, kind, cut.day.isoformat(), _Deleted(rows, size), dry_run)
            sums = _Deleted(sums.things + rows, sums.bytes + size)
    yield {"event": "result", "dry_run": dry_run, "things": sums.things, "bytes": sums.bytes}


def _event(account: str, kind: str, before: str, deleted: _Deleted, dry_run: bool) -> dict[str, Any]:
    if deleted.things and not dry_run:
        log.info("retention", account=account, kind=kind, before=before, things=deleted.things, bytes=deleted.bytes)
    summary = {"account": account, "kind": kind, "before": before, "things": deleted.things, "bytes": deleted.bytes}
    return {"event": "taken", **summary}


async def _raw_mails(context: UpkeepContext, owner: Account, before: float, dry_run: bool) -> _Deleted:
    mails = tables.mails.c
    where = [mails.account_id == owner.id, mails.received < before, mails.raw_taken.is_(None), ~_troubled(mails.id)]
    return await _delete_raw(context, where, dry_run)


def _troubled(mail_id: Any) -> ColumnElement[bool]:
    """Whether something of the mail is an open problem: its raw form is what a retry reads."""
    problems = tables.problems.c
    return select(problems.id).where(problems.mail_id == mail_id, problems.state == "open").exists()


async def _delete_raw(context: UpkeepContext, where: Sequence[ColumnElement[bool]], dry_run: bool) -> _Deleted:
    deleted = _Deleted()
    waiting = {item.object_key for item in await context.waiting()}
    async for page in catalogue_pages.pages(context.stores.database, tables.mails, "id", *where, size=PAGE):
        ready = [row for row in page if row.object_key not in waiting]
        for row in ready:
            deleted.bytes += await _object(context, row.object_key, dry_run)
        deleted.things += len(ready)
        if not dry_run:
            await _mark(context, tables.mails, "id", [row.id for row in ready], raw_taken=time.time())
    return deleted


async def _archived(context: UpkeepContext, owner: Account, before: float, dry_run: bool) -> _Deleted:
    reports = tables.reports.c
    where = [reports.account_id == owner.id, reports.kind != "failure", reports.received < before]
    return await _delete_archived(context, [*where, reports.archive_taken.is_(None)], dry_run)


async def _delete_archived(context: UpkeepContext, where: Sequence[ColumnElement[bool]], dry_run: bool) -> _Deleted:
    deleted = _Deleted()
    async for page in catalogue_pages.pages(context.stores.database, tables.reports, "key", *where, size=PAGE):
        needed = await _needed_by_others(context, page)
        for key in sorted({row.object_key for row in page} - needed):
            deleted.bytes += await _object(context, key, dry_run)
        deleted.things += len(page)
        if not dry_run:
            await _mark(context, tables.reports, "key", [row.key for row in page], archive_taken=time.time())
    return deleted


async def _needed_by_others(context: UpkeepContext, page: Sequence[Row[Any]]) -> set[str]:
    """Attachments of these reports that another report, which is not among them, still has."""
    table = tables.reports.c
    statement = select(table.object_key).where(
        table.object_key.in_([row.object_key for row in page]),
        table.key.not_in([row.key for row in page]),
        table.archive_taken.is_(None),
    )
    async with context.stores.database.read() as connection:
        return set((await connection.execute(statement)).scalars())


async def _failures(context: UpkeepContext, owner: Account, before: float, dry_run: bool) -> _Deleted:
    """Row, raw mails and attachment; the attachment's mark is last, so that an interrupted run begins again."""
    reports, sightings, mails = tables.reports.c, tables.sightings.c, tables.mails.c
    where = [reports.account_id == owner.id, reports.kind == "failure", reports.received < before]
    where.append(or_(reports.archive_taken.is_(None), reports.rows_taken.is_(None)))
    size = 0
    if not dry_run:
        async for page in catalogue_pages.pages(context.stores.database, tables.reports, "key", *where, size=PAGE):
            await _mark(context, tables.reports, "key", [row.key for row in page], rows_taken=time.time())
            places = [(row.account_id, row.domain_id, row.key) for row in page]
            async with context.gate.held():
                await remove(context.analytics, "failure_reports", places)
    brought = select(sightings.mail_id).where(sightings.report_key.in_(select(reports.key).where(*where)))
    raw = [mails.id.in_(brought), mails.raw_taken.is_(None), ~_troubled(mails.id)]
    size += (await _delete_raw(context, raw, dry_run)).bytes
    deleted = await _delete_archived(context, where, dry_run)
    return _Deleted(deleted.things, deleted.bytes + size)


async def _problems(context: UpkeepContext, owner: Account, before: float, dry_run: bool) -> _Deleted:
    """The problem, and the raw mail if no report was read from it and nothing else is wrong with it."""
    deleted = _Deleted()
    table, mails = tables.problems, tables.mails
    where = [table.c.account_id == owner.id, table.c.created < before]
    async for page in catalogue_pages.pages(context.stores.database, table, "id", *where, size=PAGE):
        deleted.things += len(page)
        statement = select(mails.c.id).where(mails.c.id.in_([row.mail_id for row in page]), mails.c.reports > 0)
        younger = select(table.c.mail_id).where(
            table.c.mail_id.in_([row.mail_id for row in page]), table.c.created >= before
        )
        async with context.stores.database.read() as connection:
            kept = set((await connection.execute(statement)).scalars())
            kept |= set((await connection.execute(younger)).scalars())
        useless = {row.mail_id: row for row in page if row.mail_id not in kept}
        for row in useless.values():
            deleted.bytes += await _object(context, row.object_key, dry_run)
        if dry_run:
            continue
        await _mark(context, mails, "id", list(useless), raw_taken=time.time())
        dead_letters = [row.letter for row in page if row.letter is not None]
        for dead_letter in dead_letters:
            await context.stores.dead_letters.discard(SYSTEM_QUEUE, dead_letter)
        async with context.stores.database.write() as connection:
            await connection.execute(delete(table).where(table.c.id.in_([row.id for row in page])))
    return deleted


async def _activity(context: UpkeepContext, owner: Account, before: float, dry_run: bool) -> _Deleted:
    table = mail_tables.activity
    mine = (table.c.account_id == owner.id) & (table.c.time < before)
    if dry_run:
        return _Deleted(await catalogue_pages.count(context.stores.database, table, mine))
    async with context.stores.database.write() as connection:
        return _Deleted((await connection.execute(delete(table).where(mine))).rowcount)


async def _object(context: UpkeepContext, key: str, dry_run: bool) -> int:
    """Delete the object, unless this is a dry run; returns its bytes."""
    info = await context.stores.objects.head(key)
    if info is not None and not dry_run:
        await context.stores.objects.delete(key)
    return 0 if info is None else info.size


async def _mark(context: UpkeepContext, table: Any, by: str, keys: Sequence[str], **values: float) -> None:
    if keys:
        async with context.stores.database.write() as connection:
            await connection.execute(update(table).where(table.c[by].in_(list(keys))).values(**values))


_DELETE_BY_KIND: dict[str, Callable[[UpkeepContext, Account, float, bool], Any]] = {
    "raw_mails": _raw_mails,
    "archived_reports": _archived,
    "failure_reports": _failures,
    "problems": _problems,
    "activity_log": _activity,
}
