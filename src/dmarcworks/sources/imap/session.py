"""The IMAP commands that a source needs, on folders by name and mails by UID. Every call blocks."""

from __future__ import annotations

import re
import select
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from imap_tools.errors import ImapToolsError
from imap_tools.utils import encode_folder

from dmarcworks.sources.contract import (
    DELETE,
    HEAD_BYTES,
    MOVE,
    SEEN,
    FetchedMail,
    MailboxError,
    SettleRule,
    WaitingMail,
)
from dmarcworks.sources.explain import refusal
from dmarcworks.sources.imap.client import BoundedMailBox, words_of
from dmarcworks.sources.mailbox_url import MailboxUrl
from dmarcworks.sources.uid_set import sequence_set

__all__ = ["ImapSession", "SelectedFolder"]

# Bytes of mails that are in memory together; one mail may be larger.
GROUP_BYTES = 4 << 20
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")
_UID = re.compile(rb"UID (\d+)")
_SLICE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class SelectedFolder:
    """A folder that was opened: the validity of its UIDs, and the next one if the server states it."""

    name: str
    validity: int
    next: int | None


class ImapSession:
    """A connection that is logged in. `woken` ends a wait from another thread."""

    def __init__(self, box: BoundedMailBox, url: MailboxUrl, rule: SettleRule) -> None:
        self.box, self._url, self._rule = box, url, rule
        self._selected: SelectedFolder | None = None
        self.woken = threading.Event()

    def select(self, folder: str, *, again: bool = False) -> SelectedFolder:
        """Open a folder, read-only where nothing is to be changed in it."""
        if self._selected is not None and self._selected.name == folder and not again:
            return self._selected
        self._selected = None
        readonly = self._rule.action not in (SEEN, MOVE, DELETE)
        client = self.box.client
        try:
            self.box.folder.set(folder, readonly)
        except client.readonly:
            text = f"The folder {folder} is read-only for {self._url.user}, so that {self._rule.action} cannot be done."
            raise MailboxError("permission", f"{text} Choose leave, or give the user the right.") from None
        except (ImapToolsError, client.error) as error:
            if isinstance(error, client.abort):
                raise
            raise refusal(words_of(error), f"open the folder {folder}", self._url.server, "folder") from None
        validity, following = (self._number(name) for name in ("UIDVALIDITY", "UIDNEXT"))
        self._selected = SelectedFolder(folder, validity or 0, following)
        return self._selected

    def require(self, folder: str, validity: int) -> None:
        """`MailboxError` when the folder's UIDs are no longer those that were listed."""
        if self.select(folder).validity != validity:
            raise MailboxError("folder", f"The folder {folder} was replaced while it was read; it is listed again.")

    def uids(self, folder: str) -> list[int]:
        """All UIDs of the folder, ascending."""
        self.select(folder)
        data = self._uid(f"list the folder {folder}", "SEARCH", "ALL")
        return sorted(
            {int(word) for part in data if isinstance(part, bytes) for word in part.split() if word.isdigit()}
        )

    def sizes(self, folder: str, uids: Iterable[int]) -> dict[int, int]:
        """The size of each mail that is still there, in bytes."""
        self.select(folder)
        sizes: dict[int, int] = {}
        for part in self._uid("read sizes", "FETCH", sequence_set(uids), "(UID RFC822.SIZE)"):
            text = part[0] if isinstance(part, tuple) else part or b""
            uid, size = _UID.search(text), _SIZE.search(text)
            if uid and size:
                sizes[int(uid[1])] = int(size[1])
        return sizes

    def fetch(self, folder: str, uids: Sequence[int], most: int) -> Iterator[list[FetchedMail]]:
        """Mails in groups that fit into memory; of one that is too large only the head."""
        sizes = self.sizes(folder, uids)
        validity = self.select(folder).validity
        group: list[int] = []
        held = 0
        gone: list[FetchedMail] = []
        for uid in uids:
            size = sizes.get(uid)
            if size is None:
                gone.append(FetchedMail(waiting(folder, validity, uid), None))
            elif size > most:
                head = self._bodies(folder, [uid], f"BODY.PEEK[]<0.{HEAD_BYTES}>", HEAD_BYTES).get(uid)
                yield [FetchedMail(waiting(folder, validity, uid), head, size, cut=True)]
            else:
                if group and held + size > GROUP_BYTES:
                    yield self._group(folder, validity, group, most)
                    group, held = [], 0
                group.append(uid)
                held += size
        if group:
            yield self._group(folder, validity, group, most)
        if gone:
            yield gone

    def _group(self, folder: str, validity: int, uids: Sequence[int], most: int) -> list[FetchedMail]:
        bodies = self._bodies(folder, uids, "BODY.PEEK[]", most)
        return [
            FetchedMail(waiting(folder, validity, uid), raw, 0 if raw is None else len(raw))
            for uid, raw in ((uid, bodies.get(uid)) for uid in uids)
        ]

    def _bodies(self, folder: str, uids: Sequence[int], what: str, most: int) -> dict[int, bytes]:
        self.select(folder)
        self.box.client.largest = most
        bodies: dict[int, bytes] = {}
        raw: bytes | None = None
        for part in self._uid("read mails", "FETCH", sequence_set(uids), f"(UID {what})"):
            # A tuple is the beginning of an answer and its literal; the UID may come before or after that.
            text = part[0] if isinstance(part, tuple) else part or b""
            if isinstance(part, tuple):
                raw = part[1]
            uid = _UID.search(text)
            if uid and raw is not None and int(uid[1]) in uids:
                bodies[int(uid[1])] = raw
                raw = None
        return bodies

    def settle(self, folder: str, uids: Sequence[int]) -> None:
        """Apply the rule to mails of the folder; one that is gone is ignored."""
        numbers = sequence_set(uids)
        self.select(folder)
        abilities = self.box.client.capabilities
        action, target = self._rule.action, self._rule.folder
        if action == SEEN:
            self._uid("mark mails as seen", "STORE", numbers, "+FLAGS.SILENT", r"(\Seen)")
        elif action == MOVE and "MOVE" in abilities:
            self._uid(f"move mails to {target}", "MOVE", numbers, encode_folder(target))
        elif action in (MOVE, DELETE):
            if action == MOVE:
                self._uid(f"copy mails to {target}", "COPY", numbers, encode_folder(target))
            self._uid("delete mails", "STORE", numbers, "+FLAGS.SILENT", r"(\Deleted)")
            # A plain EXPUNGE would also remove what other clients have marked: without UIDPLUS they stay marked.
            if "UIDPLUS" in abilities:
                self._uid("delete mails", "EXPUNGE", numbers)

    @property
    def idles(self) -> bool:
        """Whether the server announces new mail (RFC 2177)."""
        return "IDLE" in self.box.client.capabilities

    def idle(self, folder: str, following: int | None, seconds: float) -> None:
        """Wait until something changes in the folder, `woken` is set, or so many seconds have passed."""
        selected = self.select(folder, again=True)
        # What came since the folder was listed will not be announced.
        if selected.next is None or following is None or selected.next > following:
            return
        self.box.idle.start()  # type: ignore[no-untyped-call]
        poller = select.poll()
        poller.register(self.box.client.sock.fileno(), select.POLLIN)
        left = seconds
        try:
            while left > 0 and not self.woken.is_set() and not poller.poll(min(left, _SLICE_SECONDS) * 1000):
                left -= _SLICE_SECONDS
        finally:
            self.woken.clear()
            self.box.idle.stop()  # type: ignore[no-untyped-call]

    def folders(self) -> set[str]:
        """The names of all folders."""
        return {folder.name for folder in self.box.folder.list()}

    def _uid(self, doing: str, command: str, *arguments: str | bytes) -> list[bytes | tuple[bytes, bytes] | None]:
        client = self.box.client
        try:
            status, data = client.uid(command, *arguments)
        except client.error as error:
            if isinstance(error, client.abort):
                raise
            raise refusal(words_of(error), doing, self._url.server) from None
        if status != "OK":
            last = data[-1] if data else b""
            words = (last or b"").decode("utf-8", "replace") if not isinstance(last, tuple) else ""
            raise refusal(words, doing, self._url.server)
        return list(data)

    def _number(self, name: str) -> int | None:
        _, data = self.box.client.response(name)
        return int(data[-1]) if data and data[-1] and data[-1].isdigit() else None


def waiting(folder: str, validity: int, uid: int) -> WaitingMail:
    """A mail by UID; a UID means nothing without the validity (RFC 9051 section 2.3.1.1)."""
    return WaitingMail(folder, f"{validity}:{uid}")
