"""The claim of the process that refreshes stored rows: an entry in KV, with how far it is."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from dmarcworks.bindings.contracts import KV
from dmarcworks.errors import ConflictError
from dmarcworks.process.clock import clock

__all__ = ["CLAIM", "RefreshClaim", "RefreshProgress", "being_refreshed", "claimed", "running_refresh"]

CLAIM = "upkeep:senders-refresh"
# How long a claim holds after its process ended, and how often it is renewed.
_CLAIM_SECONDS, _RENEW_SECONDS = 120, 30.0


@dataclass(frozen=True, slots=True)
class RefreshProgress:
    """How far the refresh is that runs now: slices done, of how many, and when it began in unix seconds."""

    done: int
    total: int
    began: float


@dataclass(slots=True)
class RefreshClaim:
    """The claim that this process holds."""

    kv: KV
    holder: str
    metadata: dict[str, Any]

    async def renew(self) -> None:
        """Hold it on."""
        await self.kv.put(CLAIM, self.holder, ttl=_CLAIM_SECONDS, metadata=self.metadata)

    async def progress(self, done: int, total: int) -> None:
        """Note how far the job is."""
        self.metadata |= {"done": done, "total": total}
        await self.renew()


async def being_refreshed(kv: KV) -> bool:
    """Whether a process refreshes the rows now."""
    return await kv.get(CLAIM) is not None


async def running_refresh(kv: KV) -> RefreshProgress | None:
    """How far the refresh is that a process runs now; None when none does."""
    holder, metadata = await kv.get_with_metadata(CLAIM)
    values = metadata or {}
    return None if holder is None else RefreshProgress(*(values.get(name, 0) for name in ("done", "total", "began")))


@asynccontextmanager
async def claimed(kv: KV) -> AsyncIterator[RefreshClaim]:
    """The claim, renewed until the end of the block; `ConflictError` when another process has it."""
    claim = RefreshClaim(kv, uuid.uuid4().hex, {"done": 0, "total": 0, "began": clock()})
    if not await kv.put(CLAIM, claim.holder, ttl=_CLAIM_SECONDS, metadata=claim.metadata, create_only=True):
        running = await running_refresh(kv)
        far = f" ({running.done} of {running.total} parts done)" if running is not None and running.total else ""
        raise ConflictError(
            f"senders are being refreshed by another process{far}; try again when it has ended (after a crash: in 2"
            " minutes)"
        )
    renewing = asyncio.create_task(_renew(claim), name="claim of the refresh of senders")
    try:
        yield claim
    finally:
        renewing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await renewing
        await asyncio.shield(kv.delete(CLAIM))


async def _renew(claim: RefreshClaim) -> None:
    while True:
        await asyncio.sleep(_RENEW_SECONDS)
        await claim.renew()
