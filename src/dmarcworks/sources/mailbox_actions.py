"""What a person or a program does with mailboxes, for the commands, the REST API and the pages alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.mailbox_state import FolderMark, LeftMail, MailboxState, UnknownDomain
from dmarcworks.catalogue.mailboxes import BY_WEB, MailboxRow
from dmarcworks.catalogue.stores import Stores
from dmarcworks.errors import BusyError, DmarcworksError, UsageError
from dmarcworks.ingest.item import NO_DOMAIN
from dmarcworks.ingest.retry import adopt_all
from dmarcworks.settings import MailboxTable, Settings
from dmarcworks.sources.contract import LEAVE, MailboxError, MailboxLook, MailSource
from dmarcworks.sources.opening import checked_url, opened_source

if TYPE_CHECKING:
    from dmarcworks.ingest.accept import Intake
    from dmarcworks.ingest.reading import Reader

__all__ = ["MailboxActions"]


# Tests of mailboxes at the same time, and how long one may take.
_LOOKS, _LOOK_SECONDS = 5, 60.0


async def _never(_: str) -> bool:
    return False


class MailboxActions:
    """`private` returns for an account whether its mailboxes may be on private addresses though added on the web."""

    def __init__(self, stores: Stores, settings: Settings, private: Callable[[str], Awaitable[bool]] = _never) -> None:
        self._stores, self._settings, self._private = stores, settings, private
        self._state = MailboxState(stores.database)
        self._looking = asyncio.Semaphore(_LOOKS)

    async def mailboxes(self, account_id: str | None) -> list[MailboxRow]:
        """The account's mailboxes by name; of all accounts when None."""
        return await self._stores.mailboxes.list(account_id)

    async def get(self, account_id: str | None, name_or_id: str) -> MailboxRow:
        """A mailbox by name or id; `NotFoundError`."""
        return await self._stores.mailboxes.get(account_id, name_or_id)

    async def folders(self, mailbox: MailboxRow) -> dict[str, FolderMark]:
        """How far each folder is."""
        return await self._state.marks(mailbox.id)

    async def add(
        self,
        account_id: str,
        name: str,
        url: str,
        secret: str,
        *,
        settle: str = LEAVE,
        origin: str = BY_WEB,
        password_file: str = "",
        paused: bool = False,
    ) -> MailboxRow:
        """Add a mailbox; `UsageError` for what cannot be right. Files of this machine are for the operator only."""
        for what, text in (("URL", url), ("rule for accepted mail", settle)):
            if not text.isprintable():
                raise UsageError(f"the {what} has a control character")
        table = MailboxTable(name, url, password_file, settle)
        try:
            table.check_name()
            table.check()
            parts = checked_url(url)
            if parts.scheme == "pop3s" and settle not in ("leave", "delete"):
                raise UsageError(f"POP3 has no folders and no flags: settle={settle} is not possible")
        except (ValueError, MailboxError) as error:
            raise UsageError(str(error)) from None
        if origin == BY_WEB and password_file:
            raise UsageError("a password file can only be named by command or in the TOML file")
        if origin == BY_WEB and parts.scheme == "file":
            raise UsageError("a folder of this machine can only be named by command or in the TOML file")
        if parts.scheme != "file" and not password_file and not secret and not table.without_password()[1]:
            raise UsageError("the mailbox has no password")
        return await self._stores.mailboxes.add(account_id, table, secret, origin, paused=paused)

    async def remove(self, mailbox: MailboxRow) -> None:
        """Forget it; its mail stays where it is."""
        await self._stores.mailboxes.remove(mailbox)

    async def pause(self, mailbox: MailboxRow, paused: bool) -> None:
        """Stop fetching from it, or begin again."""
        await self._stores.mailboxes.pause(mailbox, paused)

    async def request_run(self, mailbox: MailboxRow) -> float:
        """Have the server fetch now."""
        return await self._stores.mailboxes.request_run(mailbox)

    async def set_password(self, mailbox: MailboxRow, secret: str) -> None:
        """Replace its password."""
        if not secret:
            raise UsageError("the password is empty")
        await self._stores.mailboxes.set_password(mailbox, secret)

    async def look(self, mailbox: MailboxRow) -> MailboxLook:
        """Connect, log in and count what is there, changing nothing; `MailboxError` in plain words."""
        if self._looking.locked():
            raise BusyError(f"{_LOOKS} mailboxes are being tested; try again in a moment")
        async with self._looking:
            source = await self.source(mailbox)
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    return await source.look(await self._state.marks(mailbox.id))
            except TimeoutError:
                raise MailboxError("timeout", f"The test took longer than {_LOOK_SECONDS:g} s and was ended.") from None
            finally:
                await source.close()

    async def source(self, mailbox: MailboxRow) -> MailSource:
        """What fetches from it."""
        try:
            password = await self._stores.mailboxes.password(mailbox)
        except DmarcworksError as error:
            if error.temporary:
                raise
            raise MailboxError("settings", f"{error}.") from None
        private = await self._private(mailbox.account_id)
        return opened_source(mailbox, password, self._settings, private=private)

    async def left(self, mailbox: MailboxRow, limit: int, before: int | None = None) -> list[tuple[int, LeftMail]]:
        """Mails without a report, which were left alone, newest first."""
        return await self._state.left(mailbox.id, limit, before)

    async def unknown_domains(self, account_id: str) -> Sequence[UnknownDomain]:
        """Domains that reports from mailboxes are about and that the account does not have."""
        return await self._state.unknown_domains(account_id, NO_DOMAIN)

    async def add_domain(self, account_id: str, name: str, by: str) -> tuple[Domain, int]:
        """Add a domain to the account, and count the reports about it that wait; how many."""
        account = await self._stores.accounts.account(account_id)
        if account is None:
            raise UsageError("there is no such account")
        domain = await self._stores.accounts.domain(account_id, name)
        if domain is None:
            domain = await self._stores.accounts.add_domain(name, account.name)
        return domain, (await adopt_all(self._stores, account_id, by)).mails

    async def run(self, mailbox: MailboxRow, intake: Intake, reader: Reader) -> dict[str, int]:
        """Fetch from it in this process, where no server runs; the counts, {} when it failed."""
        from dmarcworks.sources.mailbox_supervisor import MailboxSupervisor

        supervisor = MailboxSupervisor(self._settings, self._stores, self._stores.mailboxes, intake, reader)
        return await supervisor.once(mailbox)
