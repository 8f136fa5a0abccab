"""One run over a mailbox: list → fetch → read → accept durably → settle, some mails at a time.

A mail is settled only after raw mail and queue item are on disk. A crash between the two accepts it again under the
same id, so that it is counted once. Progress is stored in the database after every group of mails, in the
transaction that counts them.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from dmarcworks.bindings.contracts import SYSTEM_QUEUE
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.listing import Listing
from dmarcworks.catalogue.mailbox_state import FolderMark, LeftMail, MailboxState
from dmarcworks.catalogue.mailboxes import MailboxRow
from dmarcworks.catalogue.stores import Stores
from dmarcworks.ingest.accept import Intake, wrapped
from dmarcworks.ingest.item import NO_DOMAIN, Gate
from dmarcworks.ingest.read_source import FILE, MAIL, Source
from dmarcworks.ingest.reading import Reader, each
from dmarcworks.ingest.report_rows import covers, inbox_key
from dmarcworks.process import failpoints
from dmarcworks.reports.model import Reading
from dmarcworks.reports.summary import summary
from dmarcworks.sources.contract import LEAVE, FetchedMail, MailboxError, MailSource, SettleRule, WaitingMail
from dmarcworks.sources.verdict import verdict

__all__ = ["MailboxRun", "RunPace", "fair"]

log = structlog.get_logger("dmarcworks.mailboxes")

# Mails that are requested at once, and after how many the mailbox is listed again, so that what is new comes first.
TOGETHER, BATCH = 25, 500
# Of so many mails the last one is the oldest that waits.
_OLDEST_EVERY = 5
# While so many mails wait to be read, none is fetched: mail by SMTP does not queue behind a mailbox.
_QUEUED = 100
_QUEUE_SECONDS = 0.2
_RECENT = 20_000
# Errors of settling that fetching does not have.
_NOT_SETTLED = ("quota", "folder", "permission", "protocol")


@dataclass(frozen=True, slots=True)
class RunPace:
    """How fast: mails per second; `going` is False when the run is to stop after the mails that it has."""

    mails_per_second: float = 200.0
    going: Callable[[], bool] = lambda: True


class MailboxRun:
    """A run for a mailbox that this process holds."""

    def __init__(
        self,
        mailbox: MailboxRow,
        source: MailSource,
        stores: Stores,
        intake: Intake,
        reader: Reader,
        mail_bytes: int,
        pace: RunPace,
        *,
        recent: dict[str, None] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._mailbox, self._source, self._stores, self._intake = mailbox, source, stores, intake
        self._reader, self._mail_bytes, self._pace = reader, mail_bytes, pace
        # The ids of mails that this process accepted last, which may not be processed yet.
        self._recent = {} if recent is None else recent
        self._clock, self._sleep = clock, sleep
        self._state = MailboxState(stores.database)
        self._listing = Listing(stores.database)
        self._rule = SettleRule.of(mailbox.settle)
        # Mails that were being accepted when an earlier run ended: they keep their time of receipt, and with it their
        # object's key.
        self._taking: dict[tuple[str, str], float] = {}
        self._domains: dict[str, Domain] = {}
        # Why some mails could not be fetched or settled, while the others were: raised at the end.
        self._error: MailboxError | None = None
        self._settles = True
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Until nothing waits; `MailboxError` or `StoreError` where it had to stop."""
        self._taking = await self._state.taking(self._mailbox.id)
        before = -1
        # A batch without any progress is the last: what is left cannot be fetched now.
        while self.counts.total() != before and self._pace.going():
            before = self.counts.total()
            if not await self._batch():
                break
        if self._error is not None:
            raise self._error

    async def _batch(self) -> bool:
        """Process some mails of a fresh list; whether there may be more."""
        marks = await self._state.marks(self._mailbox.id)
        listing = await self._source.list_new(marks)
        failing = {
            folder: FolderMark(marks[folder].marker if folder in marks else "", 0, str(error))
            for folder, error in listing.errors.items()
        }
        await self._state.progress(self._mailbox.id, {**self._source.note((), settled=True), **failing}, {})
        if listing.unsettled:
            await self._settle(listing.unsettled)
        some = fair(listing.new, BATCH)
        self._domains = {one.name: one for one in await self._stores.accounts.domains(self._mailbox.account_id)}
        for start in range(0, len(some), TOGETHER):
            if not self._pace.going():
                return False
            await self._wait_for_queue()
            began = time.monotonic()
            mails = 0
            async for group in self._fetched(some[start : start + TOGETHER]):
                await self._process(group)
                mails += len(group)
            await self._sleep(max(0.0, mails / self._pace.mails_per_second - (time.monotonic() - began)))
        if listing.errors and len(listing.new) <= len(some):
            raise next(iter(listing.errors.values()))
        return len(listing.new) > len(some)

    async def _fetched(self, mails: Sequence[WaitingMail]) -> AsyncIterator[Sequence[FetchedMail]]:
        """The mails in groups; one that the server refuses to return does not hide the others."""
        fetched: set[WaitingMail] = set()
        try:
            async for group in self._source.fetch(mails, self._mail_bytes):
                fetched |= {mail.mail for mail in group}
                yield group
        except MailboxError as error:
            if error.code != "protocol":
                raise
            if len(mails) == 1:
                self._error = error
                return
            for mail in mails:
                if mail not in fetched:
                    async for group in self._fetched([mail]):
                        yield group

    async def _wait_for_queue(self) -> None:
        while (await self._stores.queue.ready(SYSTEM_QUEUE))[0] >= _QUEUED and self._pace.going():
            await self._sleep(_QUEUE_SECONDS)

    async def _process(self, group: Sequence[FetchedMail]) -> None:
        whole = [mail for mail in group if mail.raw is not None and not mail.cut]
        sources = [Source(mail.raw or b"", FILE if mail.name else MAIL, mail.name) for mail in whole]
        readings = await each(self._reader, sources)
        counts: Counter[str] = Counter(gone=sum(mail.raw is None and not mail.cut for mail in group))
        wanted: dict[str, tuple[FetchedMail, Reading]] = {}
        accepted: list[WaitingMail] = []
        left: list[LeftMail] = []
        for mail, read in zip(whole, readings, strict=True):
            raw = mail.raw or b""
            judged = verdict(raw, read.reading, mail.name)
            if judged.accept:
                mail_id = self._id(raw)
                counts["known"] += mail_id in wanted
                wanted.setdefault(mail_id, (mail, read.reading))
                accepted.append(mail.mail)
            else:
                words = (judged.reason, judged.detail, judged.sender, judged.subject)
                left.append(LeftMail(mail.mail.folder, mail.mail.key, *words, mail.size))
        for mail in group:
            if mail.cut:
                await self._too_large(mail)
                counts["too_large"] += 1
        counts["left_alone"] = len(left)
        counts += await self._accept(wanted)
        failpoints.hit("mailbox.accepted")
        others = [mail.mail for mail in group if mail.mail not in set(accepted)]
        marks: dict[str, FolderMark] = {}
        for mails, settled in ((others, True), (accepted, self._rule.action == LEAVE)):
            if mails:
                marks |= self._source.note(mails, settled=settled)
        for mail in group:
            self._taking.pop((mail.mail.folder, mail.mail.key), None)
        taking = self._taking
        await self._state.progress(self._mailbox.id, marks, counts, left, mail=bool(accepted), taking=taking)
        self.counts += counts
        if accepted and self._rule.action != LEAVE:
            await self._settle(accepted)

    async def _accept(self, wanted: dict[str, tuple[FetchedMail, Reading]]) -> Counter[str]:
        """Accept what was not processed before; what is accepted already but not read yet is looked up when it is."""
        ids = list(wanted)
        known = {mail_id for mail_id in ids if mail_id in self._recent}
        known |= await self._listing.noted([mail_id for mail_id in ids if mail_id not in known])
        fresh = [mail_id for mail_id in ids if mail_id not in known]
        begun = await self._listing.begun(fresh) if fresh else set()
        now = self._clock()
        if fresh:
            for mail_id in fresh:
                waiting = wanted[mail_id][0].mail
                self._taking.setdefault((waiting.folder, waiting.key), now)
            await self._state.take(self._mailbox.id, self._taking)

        async def one(mail_id: str) -> None:
            mail, reading = wanted[mail_id]
            gate, again = self._gate(reading), mail_id in begun
            raw, received = mail.raw or b"", self._taking[mail.mail.folder, mail.mail.key]
            if mail.name:
                raw = wrapped(raw, mail.name, "reports", datetime.fromtimestamp(received, UTC))
            to = f"mailbox {self._mailbox.name}"
            await self._intake.mail(gate, raw, to, "mailbox", mail_id=mail_id, received=received, again=again)

        # Together, so that the database commits them in groups. All are waited for, whatever one raises.
        for result in await asyncio.gather(*(one(mail_id) for mail_id in fresh), return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
        self._recent |= dict.fromkeys(fresh)
        while len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]
        return Counter(accepted=len(fresh), known=len(known))

    async def _settle(self, mails: Sequence[WaitingMail]) -> None:
        """Apply the rule. Where that is not possible, mails are still accepted, and settled by a later run."""
        if not self._settles:
            return
        try:
            await self._source.settle(mails)
        except MailboxError as error:
            if error.code not in _NOT_SETTLED:
                raise
            self._error, self._settles = error, False
            return
        failpoints.hit("mailbox.settled")
        await self._state.progress(self._mailbox.id, self._source.note(mails, settled=True), {})

    async def _too_large(self, mail: FetchedMail) -> None:
        """A problem with the head of the mail, which is all that was fetched; the mail stays in the mailbox."""
        folder, key = mail.mail.folder, mail.mail.key
        mail_id = hashlib.sha256(f"{self._mailbox.id}\n{folder}\n{key}".encode()).hexdigest()[:32]
        object_key = inbox_key(mail_id, NO_DOMAIN, self._mailbox.created)
        await self._stores.objects.put(object_key, mail.raw or b"", create_only=True)
        detail = (
            f"The mail has {mail.size:,} bytes, more than the bound mail_bytes = {self._mail_bytes:,}. It stays in the"
            f" mailbox {self._mailbox.name}, folder {folder}; only its beginning was fetched."
        )
        await self._stores.problems.add(
            account_id=self._mailbox.account_id,
            domain_id=NO_DOMAIN,
            mail_id=mail_id,
            reason="mail_bytes",
            where="mail",
            detail=detail,
            object_key=object_key,
        )

    def _id(self, raw: bytes) -> str:
        """The same for the same bytes in the same account, however often they are fetched, and from which mailbox."""
        return hashlib.sha256(f"mailbox {self._mailbox.account_id}\n".encode() + raw).hexdigest()[:32]

    def _gate(self, reading: Reading) -> Gate:
        """The account's domain that a report in the mail is about; no domain where none is."""
        for item in reading.items:
            about = summary(item.report, received=self._mailbox.created, digest=item.digest).domains
            fitting = [name for name in self._domains if about and covers(name, about[0])]
            if fitting:
                domain = self._domains[max(fitting, key=len)]
                return Gate(domain.account_id, domain.id, domain.name)
        return Gate(self._mailbox.account_id, NO_DOMAIN, "")


def fair(new: Sequence[WaitingMail], most: int) -> list[WaitingMail]:
    """Some of them: mostly the newest, and every fifth the oldest that waits, so that it does not wait for ever."""
    chosen: list[WaitingMail] = []
    first, last = 0, len(new) - 1
    while first <= last and len(chosen) < most:
        if len(chosen) % _OLDEST_EVERY == _OLDEST_EVERY - 1:
            chosen.append(new[last])
            last -= 1
        else:
            chosen.append(new[first])
            first += 1
    return chosen
