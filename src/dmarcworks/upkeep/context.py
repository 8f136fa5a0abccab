"""What every upkeep job works on, and the events that report its progress.

A job is an async generator of events, JSON objects: `progress` (step, done, total), what it found, and at the end one
`result`. A command prints them, whether the job runs in its own process or in the running server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from dmarcworks.bindings.contracts import SYSTEM_QUEUE, Analytics
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.stores import Stores
from dmarcworks.errors import NotFoundError
from dmarcworks.ingest.environment import Env
from dmarcworks.ingest.item import MailItem
from dmarcworks.settings import Settings
from dmarcworks.upkeep.replay.publishing_gate import PublishingGate

__all__ = ["Event", "Events", "UpkeepContext", "progress"]

Event: TypeAlias = dict[str, Any]
Events: TypeAlias = AsyncIterator[Event]


@dataclass(frozen=True, slots=True)
class UpkeepContext:
    """The stores, the worker's environment, and the gate before publishing. One job at a time holds `busy`."""

    settings: Settings
    stores: Stores
    env: Env
    gate: PublishingGate
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    # Held while rows get the names of their addresses, so that no other job writes the same rows from older values.
    naming: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def analytics(self) -> Analytics:
        """The store itself, not held by the gate."""
        return self.gate.inner

    async def domain(self, name: str) -> Domain | None:
        """The domain that a job is limited to; None for all, `NotFoundError` when there is no such one."""
        if not name:
            return None
        domain = await self.stores.accounts.domain(None, name)
        if domain is None:
            raise NotFoundError(f"there is no domain {name}; `dmarcworks domain list` names them")
        return domain

    async def waiting(self) -> Sequence[MailItem]:
        """The queued mails that are still to be read."""
        items: list[MailItem] = []
        last = 0
        while messages := await self.stores.queue.peek(SYSTEM_QUEUE, after=last):
            items += [MailItem.from_json(message.body) for message in messages]
            last = messages[-1].id
        return items


def progress(step: str, done: int, total: int) -> Event:
    """The progress of a step."""
    return {"event": "progress", "step": step, "done": done, "total": total}
