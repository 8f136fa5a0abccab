"""Names of addresses after publishing: due addresses are looked up, and the rows that are stored get their names.

A process claims the addresses in the database, so that two do not do the same. The order keeps a crash harmless: names
are stored first, so that new rows have them; then publications that began before are waited for; then the stored rows
are written; only then the addresses are done.
"""

from __future__ import annotations

import asyncio
import time

import structlog

from dmarcworks.analytics.month_changes import drop_left_over
from dmarcworks.analytics.refresh import apply
from dmarcworks.catalogue.source_addresses import SourceAddresses
from dmarcworks.enrich.network.addresses import AddressName, AddressNames
from dmarcworks.errors import DmarcworksError
from dmarcworks.upkeep.context import UpkeepContext
from dmarcworks.upkeep.refresh_claim import being_refreshed

__all__ = ["look_up_names", "name_forever", "pause_after"]

log = structlog.get_logger("dmarcworks.upkeep")

# Addresses of a round; how long a claim holds; seconds between two looks, and after an error.
AT_ONCE, CLAIM_SECONDS, LOOK_SECONDS, AGAIN_SECONDS = 250, 600.0, 5.0, 60.0
# However many names come in: rewriting parts of the store may take this share of the time, and so many addresses are
# looked up in a second, each of which costs about two milliseconds of processor time.
_SHARE, _PER_SECOND, _LONGEST_REST = 0.1, 50.0, 600.0
# Addresses that are looked up first: when none of them is answered, nor a query about the root, the others wait.
_PROBES, _DEAD_SECONDS = 8, 60.0
_DAY = 86_400.0


async def name_forever(context: UpkeepContext, addresses: SourceAddresses, names: AddressNames) -> None:
    """Look up what is due, every few seconds."""
    swept = 0.0
    cleaned = False
    while True:
        rest = LOOK_SECONDS
        try:
            if not cleaned:
                await drop_left_over(context.analytics)
                cleaned = True
            if time.monotonic() - swept > _DAY or not swept:
                await addresses.forget()
                swept = time.monotonic()
            # A rebuild fills and swaps tables meanwhile: what it writes has the names that are known.
            if not context.busy.locked():
                pause = await look_up_names(context, addresses, names)
                if pause is not None:
                    rest = pause
        except DmarcworksError as error:
            log.warning("looking up names is postponed", error=str(error))
            rest = AGAIN_SECONDS
        # The server lives on whatever happens here; the next round tries again.
        except Exception:
            log.exception("looking up names failed")
            rest = AGAIN_SECONDS
        await asyncio.sleep(rest)


async def look_up_names(context: UpkeepContext, addresses: SourceAddresses, names: AddressNames) -> float | None:
    """One round: the seconds to wait until the next one; None when no address was due, or while all rows are
    refreshed."""
    async with context.naming:
        if await being_refreshed(context.stores.kv):
            return None
        return await _round(context, addresses, names)


async def _round(context: UpkeepContext, addresses: SourceAddresses, names: AddressNames) -> float | None:
    claimed = {one.address: one.before for one in await addresses.claim(AT_ONCE, CLAIM_SECONDS)}
    if not claimed:
        return None
    first = list(claimed)[:_PROBES]
    answers = await names.find_all(first)
    if not any(answer.answered for answer in answers.values()) and not await names.alive():
        await addresses.release(claimed)
        log.warning("name servers do not answer; looking up names is postponed", seconds=_DEAD_SECONDS)
        return _DEAD_SECONDS
    answers |= await names.find_all(list(claimed)[_PROBES:])
    # A failure takes no name away that is known.
    kept = {address: _kept(name, claimed[address]) for address, name in answers.items()}
    await addresses.store(kept)
    # A publication that began before the names were stored ends before the rows are looked for.
    async with context.env.publishing:
        began = time.monotonic()
    changed = 0
    # Without an answer nothing is known that rows do not have: a dead resolver costs the store nothing.
    answered = [address for address, name in kept.items() if name.answered or name.ptr]
    if context.env.enricher is not None and answered:
        enrichment = await context.env.enricher.enrichment(kept)
        # Under another name the sender of a row may be another one, with another decision.
        decisions = context.stores.senders.decisions_of
        async for part in apply(context.analytics, enrichment, answered, decisions=decisions):
            changed += part.changed
    await addresses.done(kept)
    named = sum(name.ptr is not None for name in kept.values())
    log.info("names looked up", addresses=len(kept), named=named, groups=changed)
    return pause_after(len(kept), time.monotonic() - began)


def pause_after(addresses: int, writing: float) -> float:
    """Seconds to wait after a round with so many addresses, in which stored rows were written for `writing` seconds."""
    return min(max(1.0, addresses / _PER_SECOND, writing * (1 / _SHARE - 1)), _LONGEST_REST)


def _kept(name: AddressName, before: AddressName | None) -> AddressName:
    if name.answered or before is None or before.ptr is None:
        return name
    return AddressName(before.ptr, before.confirmed, False, name.seconds)
