"""Orphaned mail: raw mails in Objects that neither queue nor catalogue know, since their sender was never answered 250.

A process that ends between the two writes leaves one. A mail younger than an hour may still be arriving and is not
orphaned. Out: a `raw_unknown` each. `requeue` queues them, and the reader does the rest: a report that was sent again
since is a duplicate, a mail that cannot be read is a problem.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from dmarcworks.catalogue import tables
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.ingest.accept import accept, new_item
from dmarcworks.ingest.item import Gate
from dmarcworks.ingest.report_rows import read_inbox_key
from dmarcworks.upkeep.context import UpkeepContext
from dmarcworks.upkeep.verify.compare import Difference

__all__ = ["AGE", "orphaned_mails", "requeue"]

AGE = timedelta(hours=1)
_PAGE = 500


async def orphaned_mails(
    context: UpkeepContext, only: Domain | None
) -> AsyncIterator[tuple[str, int, list[Difference]]]:
    """Page by page: "mails", how many are orphaned, and their differences."""
    domains = {domain.id: domain for domain in await context.stores.accounts.domains()}
    # What enters the queue from here on is younger than an hour, or noted already and reprocessed; what leaves it is
    # noted.
    waiting = {item.object_key for item in await context.waiting()}
    after = ""
    while page := await context.stores.objects.list(prefix="inbox/", limit=_PAGE, start_after=after):
        after = page[-1].key
        listed = waiting | await _noted(context, [info.key for info in page])
        differences = []
        for info in page:
            named = read_inbox_key(info.key)
            domain = domains.get(named.domain_id) if named else None
            young = info.uploaded > datetime.now(UTC) - AGE
            if info.key in listed or young or (only is not None and domain != only):
                continue
            owner = ("", "") if domain is None else (domain.account_id, domain.id)
            subject = "a raw mail" if domain is not None else "a raw mail of a domain that does not exist"
            differences.append(Difference("raw_unknown", "", info.key, "an accepted mail", subject, *owner))
        yield "mails", len(differences), differences


async def _noted(context: UpkeepContext, keys: Sequence[str]) -> set[str]:
    """Which of the keys the catalogue or a problem names."""
    listed: set[str] = set()
    async with context.stores.database.read() as connection:
        for table in (tables.mails, tables.problems):
            statement = select(table.c.object_key).where(table.c.object_key.in_(keys))
            listed.update((await connection.execute(statement)).scalars())
    return listed


async def requeue(context: UpkeepContext, differences: Sequence[Difference]) -> list[Difference]:
    """Queue the mails as if they were accepted now; those of a domain that does not exist stay as differences."""
    domains = {domain.id: domain for domain in await context.stores.accounts.domains()}
    done = []
    for difference in differences:
        named, domain = read_inbox_key(difference.key), domains.get(difference.domain_id)
        raw = await context.stores.objects.get(difference.key) if named and domain else None
        if named is None or domain is None or raw is None:
            done.append(difference)
            continue
        gate = Gate(domain.account_id, domain.id, domain.name)
        received = datetime.fromtimestamp(named.received, UTC)
        item = new_item(
            gate,
            raw,
            received,
            recipient=domain.rua,
            mail_id=named.mail_id,
            object_key=difference.key,
            again=True,
        )
        await accept(item, None, objects=context.stores.objects, queue=context.stores.queue)
        done.append(replace(difference, repaired=True))
    return done
