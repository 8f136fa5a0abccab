"""Refresh stored rows: apply the present sender catalogue, files, names of addresses, own names and decisions to them.

The database holds the claim: a KV entry that is renewed while the job runs and expires when its process ends, so that
two processes do not refresh at once; it has the progress with it. Meanwhile no process applies names of addresses. A
second run writes nothing, so an interrupted one is completed by running it again.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from dmarcworks.analytics.enrichment import Enrichment
from dmarcworks.analytics.refresh import Applied, apply
from dmarcworks.catalogue.source_addresses import SourceAddresses
from dmarcworks.ingest.enriching import Enricher
from dmarcworks.ingest.identifying import sender_names
from dmarcworks.upkeep.context import Events, UpkeepContext, progress
from dmarcworks.upkeep.refresh_claim import RefreshClaim, claimed
from dmarcworks.upkeep.refresh_state import Knowledge, RefreshScope, RefreshState, system_fingerprint

__all__ = ["knowledge", "refresh_due", "refresh_senders"]


async def refresh_senders(context: UpkeepContext, *, domain: str = "", dry_run: bool = False) -> Events:
    """Events: progress, and the `result` with the messages of each sender before and after."""
    began = time.monotonic()
    only = await context.domain(domain)
    async with claimed(context.stores.kv) as claim:
        known = await knowledge(context)
        scope = RefreshScope(known.system)
        if only is not None:
            scope = RefreshScope(known.domains.get((only.account_id, only.id), ""), only.account_id, only.id)
        messages: Counter[tuple[str | None, str | None]] = Counter()
        groups = changed = 0
        async for part in _parts(context, claim, scope, write=not dry_run):
            groups, changed = groups + part.groups, changed + part.changed
            messages.update(part.messages)
            yield progress("refreshing", part.done, part.total)
        if not dry_run:
            state = await RefreshState.load(context.stores.kv)
            state = state if scope.account_id else state.with_begun(known)
            await state.with_applied(scope).save(context.stores.kv)
    result = {"event": "result", "dry_run": dry_run, "groups": groups, "changed": changed}
    yield {**result, **_counts(messages), "seconds": round(time.monotonic() - began, 1)}


async def refresh_due(context: UpkeepContext) -> Events:
    """Apply what changed since it was last applied, to the rows that it concerns; the `result` counts the groups.

    A run over all rows resumes after the last month that an interrupted one completed.
    """
    kv = context.stores.kv
    groups = changed = scopes = 0
    async with claimed(kv) as claim:
        known, state = await knowledge(context), await RefreshState.load(kv)
        # What another process applied before this one had the claim is not due.
        for scope in state.due(known):
            whole = not scope.account_id
            if whole and state.begun != scope.fingerprint:
                state = state.with_begun(known)
            async for part in _parts(context, claim, scope, after_month=state.month if whole else 0):
                groups, changed = groups + part.groups, changed + part.changed
                if whole and part.slice == part.slices - 1:
                    state = replace(state, month=part.month)
                    await state.save(kv)
                yield progress("refreshing", part.done, part.total)
            state = state.with_applied(scope)
            await state.save(kv)
            scopes += 1
    yield {"event": "result", "scopes": scopes, "groups": groups, "changed": changed}


async def knowledge(context: UpkeepContext) -> Knowledge:
    """The fingerprints of what is known now."""
    enricher = context.env.enricher
    files = () if enricher is None or enricher.ip_data is None else enricher.ip_data.files
    names = [file.name for file in files]
    system = await asyncio.to_thread(system_fingerprint, context.settings.sender_file, names)
    return Knowledge(system, *await context.stores.senders.marks())


async def _parts(
    context: UpkeepContext, claim: RefreshClaim, scope: RefreshScope, *, after_month: int = 0, write: bool = True
) -> AsyncIterator[Applied]:
    """The slices of the scope's rows, each noted in the claim when it is done."""
    parts = apply(
        context.analytics,
        await _enrichment(context),
        account_id=scope.account_id,
        domain_id=scope.domain_id,
        names=SourceAddresses(context.stores.database).stored,
        decisions=context.stores.senders.decisions_of,
        after_month=after_month,
        write=write,
    )
    async for part in parts:
        await claim.progress(part.done, part.total)
        yield part


async def _enrichment(context: UpkeepContext) -> Enrichment:
    # A round of names that began before ends before the first row is read; no other one begins.
    async with context.naming:
        enricher = context.env.enricher or Enricher()
    # The file of base domains may be another than when the server started.
    identify = await asyncio.to_thread(sender_names, context.settings.sender_file)
    # Publications that began before have written their rows.
    async with context.env.publishing:
        return await replace(enricher, identify=identify, own=context.stores.senders, by_block=True).enrichment({})


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
