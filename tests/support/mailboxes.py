"""Mailboxes of a test system: added, run and looked at without a server process."""

from __future__ import annotations

from dmarcworks.catalogue.mailboxes import BY_COMMAND, MailboxRow
from dmarcworks.ingest.accept import Intake
from dmarcworks.sources.mailbox_actions import MailboxActions
from tests.support.dovecot import PASSWORD
from tests.support.harness import Harness

PRIVATE = (
    b"From: a friend <friend@private.example>\r\nTo: ann@example.com\r\nSubject: Holidays\r\n"
    b"Content-Type: text/plain\r\n\r\nSee you in Rome.\r\n"
)


def actions(harness: Harness) -> MailboxActions:
    return MailboxActions(harness.stores, harness.settings)


async def added(harness: Harness, name: str, url: str, settle: str = "leave", secret: str = PASSWORD) -> MailboxRow:
    """A mailbox of the account "default"."""
    account = await harness.accounts.account_by_name("default", create=True)
    return await actions(harness).add(account.id, name, url, secret, settle=settle, origin=BY_COMMAND)


async def fetched(harness: Harness, mailbox: MailboxRow) -> MailboxRow:
    """Run it, process what was accepted, and return its state."""
    intake = Intake(harness.stores, harness.settings.mail_bytes)
    await actions(harness).run(mailbox, intake, harness.env.reader)
    await harness.settle()
    return await actions(harness).get(None, mailbox.id)


def counts(row: MailboxRow) -> dict[str, int]:
    """Its counters that are not 0."""
    names = ("waiting", "accepted", "known", "left_alone", "too_large", "gone")
    return {name: getattr(row, name) for name in names if getattr(row, name)}
