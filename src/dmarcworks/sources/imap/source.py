"""The source of IMAP mailboxes: several folders, UIDVALIDITY and done UIDs kept as the folders' marks."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from dmarcworks.catalogue.mailbox_state import FolderMark
from dmarcworks.sources.blocking import BlockingCalls
from dmarcworks.sources.contract import (
    LEAVE,
    MOVE,
    FetchedMail,
    FolderCount,
    MailboxError,
    MailboxLook,
    MailListing,
    SettleRule,
    WaitingMail,
)
from dmarcworks.sources.explain import explained
from dmarcworks.sources.hosts import Network
from dmarcworks.sources.imap.client import BoundedMailBox, logged_in
from dmarcworks.sources.imap.session import ImapSession, waiting
from dmarcworks.sources.mailbox_url import MailboxUrl
from dmarcworks.sources.uid_set import UidSet

__all__ = ["ImapSource"]

_Result = TypeVar("_Result")
# A call sends several commands; each answer has its own limit, and this is that of a call as a whole.
_CALL_FACTOR = 10
# A client renews IDLE at least every 29 minutes (RFC 2177).
_IDLE_SECONDS = 25 * 60.0
_CONNECTION = ("connection", "timeout", "tls", "certificate", "address", "login")


@dataclass(slots=True)
class _FolderProgress:
    validity: int
    done: UidSet = field(default_factory=UidSet)
    # Accepted, and to be settled.
    unsettled: UidSet = field(default_factory=UidSet)
    next: int | None = None
    waiting: int = 0

    def mark(self, error: str = "") -> FolderMark:
        values = {"validity": self.validity, "done": str(self.done), "unsettled": str(self.unsettled)}
        return FolderMark(json.dumps(values), self.waiting, error)


class ImapSource:
    """A mailbox of an IMAP server."""

    def __init__(
        self, url: MailboxUrl, password: str, rule: SettleRule, network: Network, *, idle: bool = True
    ) -> None:
        self._url, self._password, self._rule, self._network, self._idle = url, password, rule, network, idle
        self._session: ImapSession | None = None
        self._box: BoundedMailBox | None = None
        self._progress: dict[str, _FolderProgress] = {}
        self._calls = BlockingCalls(self._cut)

    async def list_new(self, marks: Mapping[str, FolderMark]) -> MailListing:
        """What is not done, newest first: by UID within a folder, and the folders in turn."""
        new: list[list[WaitingMail]] = []
        unsettled: list[WaitingMail] = []
        errors: dict[str, MailboxError] = {}
        for folder in self._url.folders:
            try:
                validity, following, uids = await self._call(partial(self._listed, folder))
            except MailboxError as error:
                if error.code in _CONNECTION or len(self._url.folders) == 1:
                    raise
                errors[folder] = error
                continue
            progress = _read(marks.get(folder), validity)
            there = set(uids)
            for uid in list(progress.unsettled):
                if uid not in there:  # another client has done it
                    progress.unsettled.discard(uid)
            missing = [uid for uid in reversed(uids) if uid not in progress.done]
            progress.done = progress.done.compact(uids)
            progress.next, progress.waiting = following, len(missing)
            self._progress[folder] = progress
            new.append([waiting(folder, validity, uid) for uid in missing])
            unsettled += [waiting(folder, validity, uid) for uid in progress.unsettled]
        return MailListing(_interleaved(new), unsettled, errors)

    async def fetch(self, mails: Sequence[WaitingMail], most: int) -> AsyncIterator[Sequence[FetchedMail]]:
        """Folder by folder."""
        for folder, uids in _by_folder(mails).items():
            session = await self._opened()
            validity = self._progress[folder].validity
            await self._call(partial(session.require, folder, validity))
            groups = self._calls.each(session.fetch(folder, uids, most), self._seconds)
            while True:
                try:
                    group = await anext(groups)
                except StopAsyncIteration:
                    break
                except Exception as error:
                    raise await self._failed(error) from None
                yield group

    async def settle(self, mails: Sequence[WaitingMail]) -> None:
        """By the rule."""
        if self._rule.action == LEAVE:
            return
        for folder, uids in _by_folder(mails).items():
            session = await self._opened()
            validity = self._progress[folder].validity
            await self._call(partial(session.require, folder, validity))
            await self._call(partial(session.settle, folder, uids))

    def note(self, mails: Sequence[WaitingMail], *, settled: bool) -> Mapping[str, FolderMark]:
        """Done, or accepted and to be settled."""
        if not mails:
            return {folder: progress.mark() for folder, progress in self._progress.items()}
        changed: dict[str, FolderMark] = {}
        for folder, uids in _by_folder(mails).items():
            progress = self._progress[folder]
            for uid in uids:
                if uid not in progress.done:
                    progress.done.add(uid)
                    progress.waiting -= 1
                (progress.unsettled.discard if settled else progress.unsettled.add)(uid)
            changed[folder] = progress.mark()
        return changed

    async def wait(self, seconds: float) -> bool:
        """By IDLE in the first folder; the others are listed when the time is over."""
        if not self._idle or not self._url.folders or self._url.folders[0] not in self._progress:
            return False
        session = await self._opened()
        if not session.idles:
            return False
        folder, limit = self._url.folders[0], min(seconds, _IDLE_SECONDS)
        following = self._progress[folder].next
        await self._call(partial(session.idle, folder, following, limit), limit + self._seconds)
        return True

    def wake(self) -> None:
        """End a wait."""
        if self._session is not None:
            self._session.woken.set()

    async def look(self, marks: Mapping[str, FolderMark]) -> MailboxLook:
        """Open every folder as it will be opened, and look for the folder that mails will be moved to."""
        session = await self._opened()
        notes = [f"Logged in to {self._url.server} as {self._url.user}."]
        notes.append(
            "New mail is announced by the server (IDLE)."
            if session.idles
            else "The server does not announce new mail (no IDLE); the mailbox is polled."
        )
        counts: list[FolderCount] = []
        for folder in self._url.folders:
            try:
                validity, _, uids = await self._call(partial(self._listed, folder))
            except MailboxError as error:
                if error.code in _CONNECTION:
                    raise
                counts.append(FolderCount(folder, error=str(error)))
                continue
            progress = _read(marks.get(folder), validity)
            counts.append(FolderCount(folder, len(uids), sum(uid not in progress.done for uid in uids)))
        if self._rule.action == MOVE and self._rule.folder not in await self._call(session.folders):
            text = f"There is no folder {self._rule.folder} to move mails to; create it, or choose another."
            counts.append(FolderCount(self._rule.folder, error=text))
        return MailboxLook(counts, notes)

    async def close(self, *, abort: bool = False) -> None:
        """Log out."""
        if abort:
            self._cut()
        box, self._box, self._session = self._box, None, None
        if box is not None:
            with contextlib.suppress(TimeoutError):  # its socket is closed then
                await self._calls.call(box.end, 5.0)
        self._calls.close()

    @property
    def _seconds(self) -> float:
        return self._network.seconds * _CALL_FACTOR

    def _listed(self, folder: str) -> tuple[int, int | None, list[int]]:
        assert self._session is not None
        selected = self._session.select(folder, again=True)
        return selected.validity, selected.next, self._session.uids(folder)

    async def _opened(self) -> ImapSession:
        if self._session is None:

            def opened() -> ImapSession:
                self._box = logged_in(self._url, self._password, self._network)
                return ImapSession(self._box, self._url, self._rule)

            try:
                self._session = await self._calls.call(opened, self._seconds)
            except Exception as error:
                raise await self._failed(error) from None
        return self._session

    async def _call(self, work: Callable[[], _Result], seconds: float = 0.0) -> _Result:
        await self._opened()
        try:
            return await self._calls.call(work, seconds or self._seconds)
        except Exception as error:
            raise await self._failed(error) from None

    async def _failed(self, error: Exception) -> MailboxError:
        """The error in plain words; a connection that is no longer good is not used again."""
        words = explained(error, self._url.server, self._url.scheme, self._password)
        if not isinstance(error, MailboxError):
            self._cut()
            self._session = self._box = None
        return words

    def _cut(self) -> None:
        if self._box is not None:
            self._box.cut()


def _read(mark: FolderMark | None, validity: int) -> _FolderProgress:
    """What the mark contains; nothing is done when the folder's UIDs are no longer those of then."""
    values = json.loads(mark.marker) if mark is not None and mark.marker else {}
    if values.get("validity") != validity:
        return _FolderProgress(validity)
    return _FolderProgress(validity, UidSet.of(values["done"]), UidSet.of(values["unsettled"]))


def _by_folder(mails: Iterable[WaitingMail]) -> dict[str, list[int]]:
    folders: dict[str, list[int]] = {}
    for mail in mails:
        folders.setdefault(mail.folder, []).append(int(mail.key.partition(":")[2]))
    return folders


def _interleaved(lists: Sequence[Sequence[WaitingMail]]) -> list[WaitingMail]:
    """One of each list, then the next of each."""
    if len(lists) == 1:
        return list(lists[0])
    longest = max(map(len, lists), default=0)
    return [one[place] for place in range(longest) for one in lists if place < len(one)]
