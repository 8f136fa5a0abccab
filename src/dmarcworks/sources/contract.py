"""The contract of a source that mail is fetched from: list what is new, fetch it, settle it after it was accepted.

A source opens its connection with the first call. It keeps how far each folder is as text of its own (`FolderMark`),
which the caller stores in the same transaction as what it counted. Whatever goes wrong is a `MailboxError` whose code
and text are shown to a person; it never contains a password.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dmarcworks.catalogue.mailbox_state import FolderMark
from dmarcworks.errors import DmarcworksError

__all__ = [
    "DELETE",
    "HEAD_BYTES",
    "LEAVE",
    "MOVE",
    "SEEN",
    "FetchedMail",
    "FolderCount",
    "MailListing",
    "MailSource",
    "MailboxError",
    "MailboxLook",
    "SettleRule",
    "WaitingMail",
]

LEAVE, SEEN, MOVE, DELETE = "leave", "seen", "move", "delete"
# What is kept of a mail that is too large.
HEAD_BYTES = 64 * 1024


class MailboxError(DmarcworksError):
    """A mailbox cannot be read or changed now. `code`: address, connection, timeout, tls, certificate, login, folder,
    permission, quota, protocol, settings or store; `text` names the cause and what to do."""

    temporary = True

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class SettleRule:
    """What becomes of a mail after it was accepted; `folder` for move."""

    action: str = LEAVE
    folder: str = ""

    @classmethod
    def of(cls, text: str) -> SettleRule:
        """As a setting has it: leave, seen, delete or move:FOLDER."""
        action, _, folder = text.partition(":")
        return cls(action, folder)


@dataclass(frozen=True, slots=True)
class WaitingMail:
    """A mail in a folder: `key` is unique in the source for ever."""

    folder: str
    key: str


@dataclass(frozen=True, slots=True)
class FetchedMail:
    """A mail's bytes; `raw` is None when it was gone, `cut` when only its head was fetched because it is too large.

    `name` is that of a report file, which is no mail.
    """

    mail: WaitingMail
    raw: bytes | None
    size: int = 0
    cut: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class MailListing:
    """What is new, newest first; what was accepted before and is not settled; and folders that cannot be read."""

    new: Sequence[WaitingMail]
    unsettled: Sequence[WaitingMail] = ()
    errors: Mapping[str, MailboxError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FolderCount:
    """A folder's mails, those that were not processed yet, and why it cannot be used, or ""."""

    folder: str
    mails: int = 0
    new: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class MailboxLook:
    """What a look into a mailbox showed; `notes` are sentences about what worked and what will not."""

    folders: Sequence[FolderCount]
    notes: Sequence[str] = ()


class MailSource(Protocol):
    """A mailbox, folder or the like. One task uses it at a time."""

    async def list_new(self, marks: Mapping[str, FolderMark]) -> MailListing:
        """What is not done according to the marks; a folder that cannot be read does not hide the others."""

    def fetch(self, mails: Sequence[WaitingMail], most: int) -> AsyncIterator[Sequence[FetchedMail]]:
        """Their bytes in groups that fit into memory; of a mail larger than `most` bytes only the head."""

    async def settle(self, mails: Sequence[WaitingMail]) -> None:
        """Apply the rule to them; idempotent. They were accepted durably."""

    def note(self, mails: Sequence[WaitingMail], *, settled: bool) -> Mapping[str, FolderMark]:
        """They are done, or accepted and to be settled: the new marks of their folders; without mails those of all."""

    async def wait(self, seconds: float) -> bool:
        """Wait for new mail, at most so long; whether it can: False at once where the source must be polled."""

    async def look(self, marks: Mapping[str, FolderMark]) -> MailboxLook:
        """Count what is there and check what will be needed, without changing anything."""

    async def close(self, *, abort: bool = False) -> None:
        """End the connection; `abort` also ends a call that is under way."""
