"""Refresh stored rows: apply the present sender catalogue, files, names of addresses and own names to all of them.

The database holds the claim: a KV entry that is renewed while the job runs and expires when its process ends, so that
two processes do not refresh at once. Meanwhile no process applies names of addresses. A second run writes nothing, so
an interrupted one is completed by running it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from dmarcworks.analytics.refresh import apply
from dmarcworks.bindings.contracts import KV
from dmarcworks.catalogue.source_addresses import SourceAddresses
from dmarcworks.errors import ConflictError
from dmarcworks.ingest.enriching import Enricher
from dmarcworks.ingest.identifying import sender_names
from dmarcworks.upkeep.context import Events, UpkeepContext, progress

__all__ = ["CLAIM", "being_refreshed", "refresh_senders"]

CLAIM = "upkeep:senders-refresh"
# How long a claim holds after its process ended, and how often it is renewed.
_CLAIM_SECONDS, _RENEW_SECONDS = 120, 30.0


async def refresh_senders(context: UpkeepContext, *, domain: str = "", dry_run: bool = False) -> Events:
    """Events: progress, and the `result` with the messages of each sender before and after."""
    began = time.monotonic()
    only = await context.domain(domain)
    async with _claimed(context.stores.kv):
        # A round of names that began before ends before the first row is read; no other one begins.
        async with context.naming:
            enricher = context.env.enricher or Enricher()
        # The file of base domains may be another than when the server started.
        identify = await asyncio.to_thread(sender_names, context.settings.sender_file)
        # Publications that began before have written their rows.
        async with context.env.publishing:
            enrichment = await replace(enricher, identify=identify, own=context.stores.senders).enrichment({})
        messages: Counter[tuple[str | None, str | None]] = Counter()
        groups = changed = 0
        parts = apply(
            context.analytics,
            enrichment,
            domain_id="" if only is None else only.id,
            names=SourceAddresses(context.stores.database).stored,
            decisions=context.stores.senders.decisions_of,
            write=not dry_run,
        )
        async for part in parts:
            groups, changed = groups + part.groups, changed + part.changed
            messages.update(part.messages)
            yield progress("refreshing", part.done, part.total)
    result = {"event": "result", "dry_run": dry_run, "groups": groups, "changed": changed}
    yield {**result, **_counts(messages), "seconds": round(time.monotonic() - began, 1)}


async def being_refreshed(kv: KV) -> bool:
    """Whether a process refreshes the rows now."""
    return await kv.get(CLAIM) is not None


@asynccontextmanager
async def _claimed(kv: KV) -> AsyncIterator[None]:
    """The claim, renewed until the end of the block; `ConflictError` when another process has it."""
    holder = uuid.uuid4().hex
    if not await kv.put(CLAIM, holder, ttl=_CLAIM_SECONDS, create_only=True):
        raise ConflictError(
            "senders are being refreshed by another process; try again when it has ended (after a crash: in 2 minutes)"
        )
    renewing = asyncio.create_task(_renew(kv, holder), name="claim of the refresh of senders")
    try:
        yield
    finally:
        renewing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await renewing
        await asyncio.shield(kv.delete(CLAIM))


async def _renew(kv: KV, holder: str) -> None:
    while True:
        await asyncio.sleep(_RENEW_SECONDS)
        await kv.put(CLAIM, holder, ttl=_CLAIM_SECONDS)


def _counts(messages: Mapping[tuple[str | None, str | None], int]) -> dict[str, Any]:
    """Each sender's messages before and after, and the messages that change from one to another; most first."""
    before: Counter[str | None] = Counter()
    after: Counter[str | None] = Counter()
    for (old, new), count in messages.items():
        before[old] += count
        after[new] += count
    senders = sorted(before.keys() | after.keys(), key=lambda name: (-after[name], -before[name], name or ""))
    moves = sorted(messages.items(), key=lambda move: (-move[1], move[0][0] or "", move[0][1] or ""))
    return {
        "messages": sum(messages.values()),
        "senders": [{"sender": name, "before": before[name], "after": after[name]} for name in senders],
        "changes": [{"before": old, "after": new, "messages": count} for (old, new), count in moves if old != new],
    }
