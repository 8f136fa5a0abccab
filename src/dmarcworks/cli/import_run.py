"""The work of `dmarcworks import`: members → parcels → accepted mails → their outcome.

Everything is accepted as over SMTP (raw bytes in Objects, an item in the Queue), directly into the stores, which a
running server has open too. Then the server processes it; when none runs, this process does. A parcel that an earlier
import processed is recognised by its id and skipped, so that an interrupted import can be resumed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from dmarcworks.analytics.setup import opened_analytics
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.listing import Listing
from dmarcworks.catalogue.problems import ProblemRow
from dmarcworks.catalogue.stores import Stores, opened, running_server
from dmarcworks.errors import BoundError, NotFoundError
from dmarcworks.ingest.accept import Intake
from dmarcworks.ingest.setup import environment, reading_bounds
from dmarcworks.settings import Settings
from dmarcworks.sources.files import SourceFile, members
from dmarcworks.sources.sorting import Left, Parcel, sort
from dmarcworks.workers.system import consumer_of

__all__ = ["Counts", "Progress", "run"]

BATCH = 50
_BATCH_BYTES = 64 << 20
_POLL_SECONDS = 0.2
# Called during the work: the step ("accepting" or "processing"), how much is done, of how much (None: unknown).
Progress = Callable[[str, int, int | None], None]


@dataclass(slots=True)
class Counts:
    """What an import did. `known` mails were processed by an earlier one; problems are of accepted mails."""

    files: int = 0
    mails: int = 0
    known: int = 0
    reports: Counter[str] = field(default_factory=Counter)
    problems: list[ProblemRow] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)


async def run(settings: Settings, paths: Sequence[str], name: str, account: str, progress: Progress) -> Counts:
    """Import the paths for the domain `name`, or "" for each report's own policy domain (of `account`, or of all)."""
    counts = Counts()
    async with opened(settings, create=False) as stores, _reader(settings, stores) as read:
        domains, only = await _domains(stores, name, account)
        intake = Intake(stores, settings.mail_bytes)
        listing = Listing(stores.database)
        bounds = reading_bounds(settings)
        accepted: dict[str, str] = {}
        for batch in _batches(members(paths)):
            parcels: list[Parcel] = []
            for member in batch:
                sorted_ = await asyncio.to_thread(sort, member, domains, bounds, only)
                counts.left.extend(sorted_.left)
                parcels.extend(sorted_.parcels)
            counts.files += len(batch)
            await _accept_all(parcels, intake, listing, counts, accepted)
            progress("accepting", counts.files, None)
        await _settle(listing, accepted, read, progress)
        await _outcome(listing, accepted, counts)
        for account_id in sorted({domain.account_id for domain in domains.values()} if counts.mails else ()):
            detail = {"files": counts.files, "mails": counts.mails, "reports": dict(counts.reports)}
            if account_id in accepted.values():
                await stores.audit.add("report.import", "files", account_id=account_id, detail=detail)
    return counts


async def _domains(stores: Stores, name: str, account: str) -> tuple[dict[str, Domain], Domain | None]:
    owner = await stores.accounts.account_by_name(account) if account else None
    account_id = None if owner is None else owner.id
    domains = {domain.name: domain for domain in await stores.accounts.domains(account_id)}
    if not name:
        return domains, None
    only = await stores.accounts.domain(account_id, name)
    if only is None:
        raise NotFoundError(f"there is no domain {name}; `dmarcworks domain list` lists the domains")
    return domains, only


def _batches(files: Iterable[SourceFile]) -> Iterator[list[SourceFile]]:
    """Batches of members, small enough to fit into memory."""
    batch: list[SourceFile] = []
    size = 0
    for member in files:
        batch.append(member)
        size += len(member.data)
        if len(batch) >= BATCH or size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def _accept_all(
    parcels: Sequence[Parcel], intake: Intake, listing: Listing, counts: Counts, accepted: dict[str, str]
) -> None:
    """Accept new parcels; those that an earlier import has processed are only counted."""
    fresh = {parcel.id: parcel for parcel in parcels if parcel.id not in accepted}
    noted = await listing.noted(list(fresh)) if fresh else set()
    counts.mails += len(fresh)
    for mail_id in noted & set(fresh):
        listed = await listing.of_mail(fresh[mail_id].domain.account_id, mail_id)
        counts.reports["duplicate"] += len(listed)
        counts.known += 1
        del fresh[mail_id]
    # An import that was killed may have published some: those are looked up before they are queued again.
    begun = await listing.begun(list(fresh)) if fresh else set()

    async def one(mail_id: str, parcel: Parcel) -> None:
        try:
            again = mail_id in begun
            await intake.take(parcel.domain, parcel.data, parcel.name, "import", mail_id=mail_id, again=again)
            accepted[mail_id] = parcel.domain.account_id
        except BoundError as error:
            counts.mails -= 1
            counts.left.append(Left(parcel.path, "mail_bytes", str(error)))

    # Together, so that the database commits them in groups.
    await asyncio.gather(*(one(mail_id, parcel) for mail_id, parcel in fresh.items()))


@contextlib.asynccontextmanager
async def _reader(settings: Settings, stores: Stores) -> AsyncIterator[Callable[[], Any]]:
    """What to do while waiting: sleep when a server processes the mail, otherwise process a batch."""

    async def wait() -> None:
        await asyncio.sleep(_POLL_SECONDS)

    if running_server(settings) is not None:
        yield wait
        return
    async with opened_analytics(settings) as analytics:
        consumer = consumer_of(environment(settings, stores, analytics), settings)

        async def work() -> None:
            if not await consumer.once():
                await wait()

        yield work


async def _settle(listing: Listing, accepted: dict[str, str], read: Callable[[], Any], progress: Progress) -> None:
    """Wait until every accepted mail is processed or has failed permanently."""
    waiting = list(accepted)
    while waiting:
        await read()
        done: set[str] = set()
        for some in _chunks(waiting):
            done |= await listing.noted(some)
        waiting = [mail_id for mail_id in waiting if mail_id not in done]
        progress("processing", len(accepted) - len(waiting), len(accepted))


async def _outcome(listing: Listing, accepted: dict[str, str], counts: Counts) -> None:
    for mail_id, account_id in accepted.items():
        for sighting in await listing.of_mail(account_id, mail_id):
            foreign = sighting.report.state == "foreign"
            counts.reports["foreign" if foreign else "new" if sighting.new else "duplicate"] += 1
        counts.problems.extend(await listing.problems(account_id, state="open", mail_id=mail_id, limit=1000))


def _chunks(values: Sequence[str]) -> Iterator[list[str]]:
    iterator = iter(values)
    while some := list(islice(iterator, 500)):
        yield some
