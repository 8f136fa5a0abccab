"""Rebuild the catalogue from Objects alone: domains, then every raw mail, then attachments without a raw mail.

    domains/<id>.json               account, name, rua address, whether its mail is accepted
    inbox/…/<mail>.<domain>.<ms>.eml    the mail's domain and time: queued again, unless the catalogue has it
    YYYY/M/<sha256>/<name>          an attachment whose raw mail is gone: it belongs to the domain that it is about

Reports get the keys that they had, so that rows that Analytics still holds are found and not counted twice. Users,
tokens, senders' envelope addresses and what people did about problems are in no object: they are not restored.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select

from dmarcworks.bindings.contracts import ObjectInfo
from dmarcworks.catalogue import tables
from dmarcworks.ingest.accept import accept, new_item
from dmarcworks.ingest.item import Gate
from dmarcworks.ingest.read_source import FILE, Source
from dmarcworks.ingest.reading import each
from dmarcworks.ingest.report_rows import covers, new_report, read_inbox_key
from dmarcworks.reports.model import FailureReport, Item
from dmarcworks.reports.summary import summary
from dmarcworks.upkeep.backup.domain_objects import Noted, noted
from dmarcworks.upkeep.context import Events, UpkeepContext, progress
from dmarcworks.upkeep.system import end_repair
from dmarcworks.upkeep.verify.compare import Difference
from dmarcworks.upkeep.verify.repair import repair_all
from dmarcworks.workers.system import consumer_of

__all__ = ["recatalogue"]

_ARCHIVED = re.compile(r"[0-9]{4}/[0-9]{1,2}/([0-9a-f]{64})/[^/]+")
_LISTED = 500
_PAUSE_SECONDS = 0.2


async def recatalogue(context: UpkeepContext) -> Events:
    """Events: progress, `unplaced` objects, and the `result`."""
    system = context.stores.system
    if await system.id() is None:
        await system.begin_repair("replay --catalogue")
    domains = {one.domain_id: one async for one in noted(context.stores.objects)}
    added = await _domains(context, domains)
    yield progress("domains", len(domains), len(domains))
    mails = reports = unplaced = seen = 0
    waiting = {item.mail_id for item in await context.waiting()}
    async for info in _objects(context, "inbox/"):
        named = read_inbox_key(info.key)
        domain = domains.get(named.domain_id) if named else None
        seen += 1
        if named is None or domain is None:
            unplaced += 1
            yield {"event": "unplaced", "key": info.key}
        else:
            if named.mail_id not in waiting:
                mails += await _mail(context, info, named.mail_id, domain, named.received)
        if seen % _LISTED == 0:
            yield progress("raw mails", seen, seen)
    async for left in _read(context):
        yield progress("reading", mails - left, mails)
    seen = 0
    async for info in _objects(context, ""):
        if _ARCHIVED.fullmatch(info.key) is None:
            continue
        seen += 1
        placed = await _attachment(context, info, domains)
        if placed is None:
            unplaced += 1
            yield {"event": "unplaced", "key": info.key}
        else:
            reports += placed
        if seen % _LISTED == 0:
            yield progress("attachments", seen, seen)
    await end_repair(context.stores, context.analytics)
    yield {"event": "result", "domains": added, "mails": mails, "reports": reports, "unplaced": unplaced}


async def _objects(context: UpkeepContext, prefix: str) -> Any:
    after = ""
    while listed := await context.stores.objects.list(prefix=prefix, limit=_LISTED, start_after=after):
        after = listed[-1].key
        for info in listed:
            yield info


async def _domains(context: UpkeepContext, domains: Mapping[str, Noted]) -> int:
    """Accounts and domains that are missing, with the ids and addresses that they had."""
    added = 0
    async with context.stores.database.write() as connection:
        accounts = set((await connection.execute(select(tables.accounts.c.id))).scalars())
        there = set((await connection.execute(select(tables.domains.c.id))).scalars())
        gone = set((await connection.execute(select(tables.removed_domains.c.id))).scalars())
        for one in domains.values():
            if one.account_id not in accounts:
                values = {"id": one.account_id, "name": one.account, "created": one.created}
                await connection.execute(insert(tables.accounts).values(**values))
                accounts.add(one.account_id)
            if one.domain_id in there or one.domain_id in gone:
                continue
            known = {"id": one.domain_id, "account_id": one.account_id, "name": one.name}
            if one.removed:
                await connection.execute(insert(tables.removed_domains).values(**known, removed=one.created))
                continue
            values = {**known, "rua": one.rua, "created": one.created, "enabled": one.enabled}
            await connection.execute(insert(tables.domains).values(**values))
            for address in one.earlier:
                values = {"address": address, "domain_id": one.domain_id, "replaced": one.created}
                await connection.execute(insert(tables.rua_addresses).values(**values))
            added += 1
    await context.stores.accounts.open_gates()
    for one in domains.values():
        for address in (*one.hosts, *(one.addresses() if one.removed else ())):
            await context.stores.accounts.zones.keep_host(address)
    return added


async def _mail(context: UpkeepContext, info: ObjectInfo, mail_id: str, domain: Noted, received: float) -> int:
    """Queue the mail as if it had just been accepted, unless the catalogue has it: 1 or 0."""
    async with context.stores.database.read() as connection:
        statement = select(tables.mails.c.id).where(tables.mails.c.id == mail_id)
        if (await connection.execute(statement)).first() is not None:
            return 0
    raw = await context.stores.objects.get(info.key)
    if raw is None:
        return 0
    gate = Gate(domain.account_id, domain.domain_id, domain.name)
    item = new_item(
        gate,
        raw,
        datetime.fromtimestamp(received, UTC),
        recipient=domain.rua,
        mail_id=mail_id,
        object_key=info.key,
        again=True,
    )
    await accept(item, None, objects=context.stores.objects, queue=context.stores.queue)
    return 1


async def _read(context: UpkeepContext) -> Any:
    """Process the queue until it is empty; yields how much is left. A server's consumer may work at the same time."""
    consumer = consumer_of(context.env, context.settings)
    while left := len(await context.waiting()):
        yield left
        if not await consumer.once():
            await asyncio.sleep(_PAUSE_SECONDS)


async def _attachment(context: UpkeepContext, info: ObjectInfo, domains: Mapping[str, Noted]) -> int | None:
    """Note the reports of an attachment that no report has; how many, or None when it is about no known domain."""
    async with context.stores.database.read() as connection:
        statement = select(tables.reports.c.key).where(tables.reports.c.object_key == info.key).limit(1)
        if (await connection.execute(statement)).first() is not None:
            return 0
    content = await context.stores.objects.get(info.key)
    if content is None:
        return 0
    items = await _items(context, content, info.key.rsplit("/", 1)[-1])
    placed = 0
    for item in items:
        owner = _owner(item, domains)
        if owner is None:
            continue
        gate = Gate(owner.account_id, owner.domain_id, owner.name)
        mail_id = hashlib.sha256(info.key.encode()).hexdigest()[:32]
        mail = new_item(gate, content, info.uploaded.astimezone(UTC), recipient=owner.rua, mail_id=mail_id)
        recorded = await context.stores.arrivals.record_report(new_report(item, mail, info.key))
        row = recorded.row
        missing = Difference("not_published", row.key, row.object_key, "", "", row.account_id, row.domain_id)
        await repair_all(context, [missing])
        placed += 1
    return placed or None


async def _items(context: UpkeepContext, content: bytes, name: str) -> tuple[Item, ...]:
    ((reading, _),) = await each(context.env.reader, [Source(content, FILE, name)])
    if any(isinstance(item.report, FailureReport) for item in reading.items):
        ((reading, _),) = await each(context.env.reader, [Source(content)])
    return reading.items


def _owner(item: Item, domains: Mapping[str, Noted]) -> Noted | None:
    """The domain that the report is about, or the nearest one above it."""
    about = next(iter(summary(item.report, received=datetime.now(UTC), digest="").domains), "")
    fitting = [one for one in domains.values() if covers(one.name, about)]
    return max(fitting, key=lambda one: (not one.removed, len(one.name)), default=None)
