"""The work of `dmarcworks mailbox run`: the running server fetches, or this process does when none runs."""

from __future__ import annotations

import asyncio
import contextlib

from dmarcworks.analytics.setup import opened_analytics
from dmarcworks.bindings.contracts import SYSTEM_QUEUE
from dmarcworks.catalogue.mailboxes import MailboxRow
from dmarcworks.catalogue.stores import Stores, running_server
from dmarcworks.errors import ConflictError
from dmarcworks.ingest.accept import Intake
from dmarcworks.ingest.setup import environment
from dmarcworks.process import logs
from dmarcworks.settings import Settings
from dmarcworks.sources.mailbox_actions import MailboxActions
from dmarcworks.workers.system import consumer_of

__all__ = ["run_here_or_there"]

_POLL_SECONDS = 0.2


async def run_here_or_there(
    stores: Stores, settings: Settings, name: str, account: str
) -> tuple[MailboxRow, dict[str, str]]:
    """The mailbox after the run, and the accounts' names by id."""
    logs.setup("text", "error")
    actions = MailboxActions(stores, settings)
    owner = (await stores.accounts.account_by_name(account)).id if account else None
    row = await actions.get(owner, name)
    if row.paused:
        raise ConflictError(f"the mailbox {row.name} is paused; `dmarcworks mailbox resume {row.name}` resumes it")
    if running_server(settings) is not None:
        await _there(actions, row)
    else:
        await _here(stores, settings, actions, row)
    names = {one.id: one.name for one in await stores.accounts.accounts()}
    return await actions.get(None, row.id), names


async def _there(actions: MailboxActions, row: MailboxRow) -> None:
    requested = await actions.request_run(row)
    while True:
        now = await actions.get(None, row.id)
        if now.last_run is not None and now.last_run.timestamp() >= requested:
            return
        await asyncio.sleep(_POLL_SECONDS)


async def _here(stores: Stores, settings: Settings, actions: MailboxActions, row: MailboxRow) -> None:
    """Fetch and process at the same time: fetching waits while much is in the queue."""
    async with opened_analytics(settings) as analytics:
        env = environment(settings, stores, analytics)
        consumer = consumer_of(env, settings)
        fetching = asyncio.create_task(actions.run(row, Intake(stores, settings.mail_bytes), env.reader))
        try:
            while not fetching.done() or (await stores.queue.ready(SYSTEM_QUEUE))[0]:
                if not await consumer.once():
                    await asyncio.sleep(_POLL_SECONDS)
        finally:
            if not fetching.done():
                fetching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await fetching
