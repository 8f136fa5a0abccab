"""Take what is older than its account keeps it, kind by kind; or only say what would go.

Objects go before their mark in the catalogue, rows after it: an end in the middle is made good by the next run, and
`verify` in between names no loss. An attachment that another report still needs stays. Rows of a month that nobody
keeps go as a whole partition.
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
from dmarcworks.upkeep.retention.rows import ROWS, Cut, take_rows
from dmarcworks.upkeep.retention.runs import Runs
from dmarcworks.upkeep.verify.figures import remove

__all__ = ["retain"]

log = structlog.get_logger("dmarcworks.retention")

PAGE = 500
_DAY = 86_400


@dataclass(slots=True)
class _Taken:
    """How much of a kind went, or would go."""

    things: int = 0
    bytes: int = 0


async def retain(house: UpkeepContext, *, dry_run: bool = False, account: str = "") -> Events:
    """Events: a `taken` per account and kind (things, bytes), and the `result`."""
    rules, runs = RetentionPeriods(house.stores.database, house.settings), Runs(house.stores.database)
    accounts = [entry for entry in await house.stores.accounts.accounts() if account in ("", entry.name, entry.id)]
    if account and not accounts:
        raise NotFoundError(f"there is no account {account}")
    now = time.time()
    sums = _Taken()
    cuts: dict[str, list[Cut]] = {kind: [] for kind in ROWS}
    if not account and (days := house.settings.retention_data_points):
        # Points of mail that was no account's are the operator's.
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
            taken = await _TAKERS[rule.kind](house, owner, before, dry_run)
            since = datetime.fromtimestamp(before, UTC).isoformat()
            if taken.things and not dry_run:
                await runs.note(owner.id, rule.kind, since, taken.things, taken.bytes)
            yield _told(owner.name, rule.kind, since, taken, dry_run)
            sums = _Taken(sums.things + taken.things, sums.bytes + taken.bytes)
    for kind, some in cuts.items():
        for cut, rows, size in await take_rows(house, kind, some, dry_run):
            if rows and not dry_run and cut.account_id != NOBODY:
                await runs.note(cut.account_id, kind, cut.day.isoformat(), rows, size)
            yield _told(cut.account, kind, cut.day.isoformat(), _Taken(rows, size), dry_run)
            sums = _Taken(sums.things + rows, sums.bytes + size)
    yield {"event": "result", "dry_run": dry_run, "things": sums.things, "bytes": sums.bytes}


def _told(account: str, kind: str, before: str, taken: _Taken, dry_run: bool) -> dict[str, Any]:
    if taken.things and not dry_run:
        log.info("retention", account=account, kind=kind, before=before, things=taken.things, bytes=taken.bytes)
    summary = {"account": account, "kind": kind, "before": before, "things": taken.things, "bytes": taken.bytes}
    return {"event": "taken", **summary}


async def _raw_mails(house: UpkeepContext, owner: Account, before: float, dry_run: bool) -> _Taken:
    mails = tables.mails.c
    where = [mails.account_id == owner.id, mails.received < before, mails.raw_taken.is_(None), ~_troubled(mails.id)]
    return await _take_raw(house, where, dry_run)


def _troubled(mail_id: Any) -> ColumnElement[bool]:
    """Whether something of the mail is an open problem: its raw form is what a retry reads."""
    problems = tables.problems.c
    return select(problems.id).where(problems.mail_id == mail_id, problems.state == "open").exists()


async def _take_raw(house: UpkeepContext, where: Sequence[ColumnElement[bool]], dry_run: bool) -> _Taken:
    taken = _Taken()
    waiting = {item.object_key for item in await house.waiting()}
    async for page in catalogue_pages.pages(house.stores.database, tables.mails, "id", *where, size=PAGE):
        ready = [row for row in page if row.object_key not in waiting]
        for row in ready:
            taken.bytes += await _object(house, row.object_key, dry_run)
        taken.things += len(ready)
        if not dry_run:
            await _mark(house, tables.mails, "id", [row.id for row in ready], raw_taken=time.time())
    return taken


async def _archived(house: UpkeepContext, owner: Account, before: float, dry_run: bool) -> _Taken:
    reports = tables.reports.c
    where = [reports.account_id == owner.id, reports.kind != "failure", reports.received < before]
    return await _take_archived(house, [*where, reports.archive_taken.is_(None)], dry_run)


async def _take_archived(house: UpkeepContext, where: Sequence[ColumnElement[bool]], dry_run: bool) -> _Taken:
    taken = _Taken()
    async for page in catalogue_pages.pages(house.stores.database, tables.reports, "key", *where, size=PAGE):
        needed = await _needed_by_others(house, page)
        for key in sorted({row.object_key for row in page} - needed):
            taken.bytes += await _object(house, key, dry_run)
        taken.things += len(page)
        if not dry_run:
            await _mark(house, tables.reports, "key", [row.key for row in page], archive_taken=time.time())
    return taken


async def _needed_by_others(house: UpkeepContext, page: Sequence[Row[Any]]) -> set[str]:
    """Attachments of these reports that another report, which is not among them, still has."""
    table = tables.reports.c
    statement = select(table.object_key).where(
        table.object_key.in_([row.object_key for row in page]),
        table.key.not_in([row.key for row in page]),
        table.archive_taken.is_(None),
    )
    async with house.stores.database.read() as connection:
        return set((await connection.execute(statement)).scalars())


async def _failures(house: UpkeepContext, owner: Account, before: float, dry_run: bool) -> _Taken:
    """Row, raw mails and attachment; the attachment's mark is last, so that a run that was cut off begins again."""
    reports, sightings, mails = tables.reports.c, tables.sightings.c, tables.mails.c
    where = [reports.account_id == owner.id, reports.kind == "failure", reports.received < before]
    where.append(or_(reports.archive_taken.is_(None), reports.rows_taken.is_(None)))
    size = 0
    if not dry_run:
        async for page in catalogue_pages.pages(house.stores.database, tables.reports, "key", *where, size=PAGE):
            await _mark(house, tables.reports, "key", [row.key for row in page], rows_taken=time.time())
            places = [(row.account_id, row.domain_id, row.key) for row in page]
            async with house.gate.held():
                await remove(house.analytics, "failure_reports", places)
    brought = select(sightings.mail_id).where(sightings.report_key.in_(select(reports.key).where(*where)))
    raw = [mails.id.in_(brought), mails.raw_taken.is_(None), ~_troubled(mails.id)]
    size += (await _take_raw(house, raw, dry_run)).bytes
    taken = await _take_archived(house, where, dry_run)
    return _Taken(taken.things, taken.bytes + size)


async def _problems(house: UpkeepContext, owner: Account, before: float, dry_run: bool) -> _Taken:
    """The problem, and the raw mail if no report was read from it and nothing else is wrong with it."""
    taken = _Taken()
    table, mails = tables.problems, tables.mails
    where = [table.c.account_id == owner.id, table.c.created < before]
    async for page in catalogue_pages.pages(house.stores.database, table, "id", *where, size=PAGE):
        taken.things += len(page)
        statement = select(mails.c.id).where(mails.c.id.in_([row.mail_id for row in page]), mails.c.reports > 0)
        younger = select(table.c.mail_id).where(
            table.c.mail_id.in_([row.mail_id for row in page]), table.c.created >= before
        )
        async with house.stores.database.read() as connection:
            kept = set((await connection.execute(statement)).scalars())
            kept |= set((await connection.execute(younger)).scalars())
        useless = {row.mail_id: row for row in page if row.mail_id not in kept}
        for row in useless.values():
            taken.bytes += await _object(house, row.object_key, dry_run)
        if dry_run:
            continue
        await _mark(house, mails, "id", list(useless), raw_taken=time.time())
        letters = [row.letter for row in page if row.letter is not None]
        for letter in letters:
            await house.stores.letters.discard(SYSTEM_QUEUE, letter)
        async with house.stores.database.write() as connection:
            await connection.execute(delete(table).where(table.c.id.in_([row.id for row in page])))
    return taken


async def _activity(house: UpkeepContext, owner: Account, before: float, dry_run: bool) -> _Taken:
    table = mail_tables.activity
    mine = (table.c.account_id == owner.id) & (table.c.time < before)
    if dry_run:
        return _Taken(await catalogue_pages.count(house.stores.database, table, mine))
    async with house.stores.database.write() as connection:
        return _Taken((await connection.execute(delete(table).where(mine))).rowcount)


async def _object(house: UpkeepContext, key: str, dry_run: bool) -> int:
    """The object's bytes; it is gone afterwards unless this is a dry run."""
    info = await house.stores.objects.head(key)
    if info is not None and not dry_run:
        await house.stores.objects.delete(key)
    return 0 if info is None else info.size


async def _mark(house: UpkeepContext, table: Any, by: str, keys: Sequence[str], **values: float) -> None:
    if keys:
        async with house.stores.database.write() as connection:
            await connection.execute(update(table).where(table.c[by].in_(list(keys))).values(**values))


_TAKERS: dict[str, Callable[[UpkeepContext, Account, float, bool], Any]] = {
    "raw_mails": _raw_mails,
    "archived_reports": _archived,
    "failure_reports": _failures,
    "problems": _problems,
    "activity_log": _activity,
}
