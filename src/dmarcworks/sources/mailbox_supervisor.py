"""The supervisor of all mailboxes: it claims those that are due, runs them, waits for new mail, and tries again later.

Each mailbox is a task of its own, so that a slow one holds up no other. What a command, the REST API or a page changes
is in the database and is seen within seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from dmarcworks.catalogue.mailbox_state import MailboxState, new_holder
from dmarcworks.catalogue.mailboxes import Mailboxes, MailboxRow
from dmarcworks.catalogue.stores import Stores
from dmarcworks.errors import ConflictError, DmarcworksError
from dmarcworks.ingest.accept import Intake
from dmarcworks.ingest.reading import Reader
from dmarcworks.process.metrics import Metrics
from dmarcworks.settings import Settings
from dmarcworks.sources.contract import MailboxError, MailSource
from dmarcworks.sources.mailbox_run import MailboxRun, RunPace
from dmarcworks.sources.opening import opened_source

__all__ = ["MailboxSupervisor", "backoff", "code_of"]

log = structlog.get_logger("dmarcworks.mailboxes")

_LOOK_SECONDS = 1.0
_LEASE_SECONDS, _RENEW_SECONDS = 60.0, 15.0
# After the first failure; it doubles up to the longest. A wrong password is tried seldom: servers lock accounts.
_FIRST_SECONDS, _FIRST_LOGIN_SECONDS, _LONGEST_SECONDS = 5.0, 300.0, 3600.0


@dataclass(slots=True)
class _Held:
    """A mailbox that this process works on."""

    row: MailboxRow
    task: asyncio.Task[None] | None = None
    source: MailSource | None = None
    # Set when it is to end: paused, removed, changed, or the process stops.
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: bool = False

    def end(self) -> None:
        self.ending.set()
        self.wake()

    def wake(self) -> None:
        if self.waiting and (wake := getattr(self.source, "wake", None)) is not None:
            wake()


class MailboxSupervisor:
    """Runs until it is stopped. `private`: whether an account may have mailboxes on private addresses by the web."""

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        mailboxes: Mailboxes,
        intake: Intake,
        reader: Reader,
        metrics: Metrics | None = None,
        *,
        private: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        self._settings, self._stores, self._mailboxes = settings, stores, mailboxes
        self._intake, self._reader, self._metrics, self._private = intake, reader, metrics, private
        self._state = MailboxState(stores.database)
        self._holder = new_holder()
        self._held: dict[str, _Held] = {}
        self._connections = asyncio.Semaphore(settings.mailbox_connections)
        self._idle_slots = asyncio.Semaphore(max(1, settings.mailbox_connections // 2))
        self._stopping = asyncio.Event()
        self._recent: dict[str, None] = {}

    async def start(self) -> None:
        """Make the key file, and the file's mailboxes those of the catalogue."""
        self._mailboxes.prepare()
        if self._settings.mailboxes:
            accounts = self._stores.accounts
            entries = [
                ((await accounts.account_by_name(table.account, create=True)).id, table)
                for table in self._settings.mailboxes
            ]
            await self._mailboxes.sync_file(entries)
        else:
            await self._mailboxes.sync_file([])

    async def run(self) -> None:
        """Look after the mailboxes until `stop`."""
        while not self._stopping.is_set():
            try:
                await self._look()
            except DmarcworksError as error:
                log.warning("looking for mailboxes waits", error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _LOOK_SECONDS)

    async def once(self, row: MailboxRow) -> dict[str, int]:
        """Run one mailbox here, without waiting for new mail; its counts, {} when it failed (its state has the reason).

        `ConflictError` when another process runs it.
        """
        claimed = await self._state.claim(row.id, self._holder, _LEASE_SECONDS)
        if claimed is None:
            raise ConflictError(f"the mailbox {row.name} is being read by another process")
        held = _Held(claimed)
        renewing = asyncio.create_task(self._renew(held), name=f"lease of mailbox {row.name}")
        began = time.time()
        try:
            held.source = opened_source(claimed, await self._mailboxes.password(claimed), self._settings, idle=False)
            counts = await self._once(held)
            await self._state.succeeded(row.id, began=began, next_try=began + self._settings.mailbox_poll_seconds)
            return counts
        except DmarcworksError as error:
            await self._failed(claimed, error, began)
            return {}
        finally:
            renewing.cancel()
            if held.source is not None:
                await held.source.close()
            await self._state.release(row.id, self._holder)

    async def stop(self) -> None:
        """End all work after the mails that are being accepted."""
        self._stopping.set()
        tasks = [held.task for held in self._held.values() if held.task is not None]
        for held in self._held.values():
            held.end()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=3.0)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _look(self) -> None:
        rows = {row.id: row for row in await self._mailboxes.list()}
        for mailbox_id, held in list(self._held.items()):
            row = rows.get(mailbox_id)
            if row is None or row.paused or row.changed != held.row.changed:
                held.end()
            elif row.requested > held.row.requested:
                held.row = row
                held.wake()
        now = time.time()
        for row in rows.values():
            due = row.next_try is None or row.next_try.timestamp() <= now
            if not row.paused and due and row.id not in self._held and not self._stopping.is_set():
                held = self._held[row.id] = _Held(row)
                held.task = asyncio.create_task(self._work(held), name=f"mailbox {row.name}")

    async def _work(self, held: _Held) -> None:
        row = held.row
        try:
            async with self._connections:
                claimed = await self._state.claim(row.id, self._holder, _LEASE_SECONDS)
                if claimed is None or claimed.paused:
                    return
                renewing = asyncio.create_task(self._renew(held), name=f"lease of mailbox {row.name}")
                try:
                    await self._fetch(held)
                finally:
                    renewing.cancel()
                    await asyncio.shield(self._state.release(row.id, self._holder))
        except DmarcworksError as error:
            log.warning("mailbox waits", mailbox=row.name, error=str(error))
        # One mailbox's trouble is not the others'; it is tried again by the next look.
        except Exception as error:
            log.exception("mailbox failed", mailbox=row.name)
            with contextlib.suppress(DmarcworksError):
                text = f"An unexpected error happened ({type(error).__name__}); the server's log has it."
                next_try = time.time() + _LONGEST_SECONDS
                await self._state.failed(row.id, "internal", text, began=time.time(), next_try=next_try)
        finally:
            self._held.pop(row.id, None)

    async def _fetch(self, held: _Held) -> None:
        """Run, and wait for new mail, again and again, until it fails or has to be polled."""
        row = held.row
        began = time.time()
        try:
            private = self._private is not None and await self._private(row.account_id)
            password = await self._mailboxes.password(row)
            held.source = opened_source(row, password, self._settings, private=private)
            while True:
                began = time.time()
                await self._once(held)
                if held.ending.is_set():
                    return
                if held.row.requested > began:
                    continue
                next_try = time.time() + self._settings.mailbox_poll_seconds
                await self._state.succeeded(row.id, began=began, next_try=next_try)
                try:
                    waited = await self._waited(held)
                except MailboxError:  # servers end idle connections; whether this one is well the next run shows
                    await self._state.succeeded(row.id, began=began, next_try=time.time())
                    return
                if not waited or held.ending.is_set():
                    return
        except DmarcworksError as error:
            if held.ending.is_set():
                return
            await self._failed(row, error, began)
        finally:
            source, held.source = held.source, None
            if source is not None:
                await source.close()

    async def _once(self, held: _Held) -> dict[str, int]:
        assert held.source is not None
        await self._state.running(held.row.id)
        pace = RunPace(self._settings.mailbox_mails_per_second, lambda: not held.ending.is_set())
        stores, mail_bytes = self._stores, self._settings.mail_bytes
        parts = (held.row, held.source, stores, self._intake, self._reader, mail_bytes, pace)
        run = MailboxRun(*parts, recent=self._recent)
        try:
            await run.run()
            return dict(run.counts)
        finally:
            if self._metrics is not None:
                for outcome, number in run.counts.items():
                    self._metrics.mailbox_mails.labels(outcome).inc(number)
            if run.counts.total():
                log.info("mailbox read", mailbox=held.row.name, **run.counts)

    async def _waited(self, held: _Held) -> bool:
        """Whether the source could wait for new mail, and did."""
        if self._idle_slots.locked():
            return False
        async with self._idle_slots:
            assert held.source is not None
            held.waiting = True
            try:
                return not held.ending.is_set() and await held.source.wait(self._settings.mailbox_poll_seconds)
            finally:
                held.waiting = False

    async def _renew(self, held: _Held) -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            with contextlib.suppress(DmarcworksError):
                if not await self._state.renew(held.row.id, self._holder, _LEASE_SECONDS):
                    log.warning("mailbox is held by another process", mailbox=held.row.name)
                    held.end()

    async def _failed(self, row: MailboxRow, error: DmarcworksError, began: float) -> None:
        code = code_of(error)
        current: Any = await self._mailboxes.get(None, row.id)
        # What went well since the last failure begins the count again.
        failures = current.failures if current.error_code else 0
        seconds = backoff(code, failures)
        log.warning("mailbox fails", mailbox=row.name, code=code, error=str(error), again_seconds=round(seconds))
        await self._state.failed(row.id, code, str(error), began=began, next_try=time.time() + seconds)


def code_of(error: DmarcworksError) -> str:
    """A word for the kind of the error."""
    return error.code if isinstance(error, MailboxError) else "store" if error.temporary else "settings"


def backoff(code: str, failures: int) -> float:
    """Seconds until the next try after so many failures before, a little different each time."""
    first = _FIRST_LOGIN_SECONDS if code == "login" else _FIRST_SECONDS
    return min(first * 2.0 ** min(failures, 20), _LONGEST_SECONDS) * random.uniform(0.8, 1.0)  # noqa: S311 - no secret
