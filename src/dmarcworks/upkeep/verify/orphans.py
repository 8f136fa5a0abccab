"""Raw mails that lie in Objects and that neither queue nor catalogue know: their sender was never told 250.

A process that ends between the two leaves one. What is younger than an hour may be on its way in and is no stray. Out:
a `raw_unknown` each; `hand_in` gives them to the queue, and whatever they are the reader finds out: a report that came
again with the sender's next try is a duplicate, what cannot be read is a problem.
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

__all__ = ["AGE", "hand_in", "unknown"]

AGE = timedelta(hours=1)
_PAGE = 500


async def unknown(house: UpkeepContext, only: Domain | None) -> AsyncIterator[tuple[str, int, list[Difference]]]:
    """A page each: "mails", how many raw mails nobody knows, and them by name."""
    domains = {domain.id: domain for domain in await house.stores.accounts.domains()}
    # What comes into the queue from here on is younger than an hour, or noted already and read once more; what leaves
    # it is noted.
    waiting = {item.object_key for item in await house.waiting()}
    after = ""
    while page := await house.stores.objects.list(prefix="inbox/", limit=_PAGE, start_after=after):
        after = page[-1].key
        listed = waiting | await _noted(house, [info.key for info in page])
        differences = []
        for info in page:
            named = read_inbox_key(info.key)
            domain = domains.get(named.domain_id) if named else None
            young = info.uploaded > datetime.now(UTC) - AGE
            if info.key in listed or young or (only is not None and domain != only):
                continue
            owner = ("", "") if domain is None else (domain.account_id, domain.id)
            subject = "a raw mail" if domain is not None else "a raw mail of a domain that is not there"
            differences.append(Difference("raw_unknown", "", info.key, "a mail that was taken", subject, *owner))
        yield "mails", len(differences), differences


async def _noted(house: UpkeepContext, keys: Sequence[str]) -> set[str]:
    """Which of the keys the catalogue or a problem names."""
    listed: set[str] = set()
    async with house.stores.database.read() as connection:
        for table in (tables.mails, tables.problems):
            statement = select(table.c.object_key).where(table.c.object_key.in_(keys))
            listed.update((await connection.execute(statement)).scalars())
    return listed


async def hand_in(house: UpkeepContext, differences: Sequence[Difference]) -> list[Difference]:
    """Into the queue, as if they came now; of a domain that is not there they stay named."""
    domains = {domain.id: domain for domain in await house.stores.accounts.domains()}
    done = []
    for difference in differences:
        named, domain = read_inbox_key(difference.key), domains.get(difference.domain_id)
        raw = await house.stores.objects.get(difference.key) if named and domain else None
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
        await accept(item, None, objects=house.stores.objects, queue=house.stores.queue)
        done.append(replace(difference, repaired=True))
    return done
