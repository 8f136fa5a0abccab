"""What the server does for upkeep by itself: end an interrupted swap, note the domains, run retention, refresh senders.

Domains are noted once a minute, retention runs once a day; what changed about senders is looked for once a minute. All
of it is tried again later when a store is unavailable or another job runs; none of it stops the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog

from dmarcworks.errors import DmarcworksError
from dmarcworks.upkeep import jobs
from dmarcworks.upkeep.backup.domain_objects import Noted, note_domains
from dmarcworks.upkeep.context import UpkeepContext
from dmarcworks.upkeep.refresh import knowledge
from dmarcworks.upkeep.refresh_claim import being_refreshed
from dmarcworks.upkeep.refresh_state import RefreshState
from dmarcworks.upkeep.replay.runs import Replays
from dmarcworks.upkeep.replay.swap import finish

__all__ = ["end_swap", "note_forever", "refresh_changed", "refresh_forever", "retain_forever"]

log = structlog.get_logger("dmarcworks.upkeep")

MINUTE_SECONDS, EVERY_SECONDS, AGAIN_SECONDS = 60.0, 86_400.0, 600.0
# Refreshing senders may take this share of the time, however often owners decide something.
_REFRESH_SHARE = 0.1


async def end_swap(context: UpkeepContext) -> None:
    """Finish a swap of rows that a process began and did not end."""
    with contextlib.suppress(DmarcworksError):
        await finish(context, Replays(context.stores.database))


async def note_forever(context: UpkeepContext) -> None:
    """Note the domains in Objects, once a minute."""
    known: dict[str, Noted] = {}
    while True:
        try:
            await note_domains(context, known)
        except DmarcworksError as error:
            log.warning("noting domains waits", error=str(error))
        # As below.
        except Exception:
            log.exception("noting domains failed")
        await asyncio.sleep(MINUTE_SECONDS)


async def retain_forever(context: UpkeepContext) -> None:
    """Delete what is past its retention period, once a day."""
    rest = MINUTE_SECONDS
    while True:
        await asyncio.sleep(rest)
        rest = EVERY_SECONDS
        try:
            async for _ in jobs.run(context, "retention", {}):
                pass
        except DmarcworksError as error:
            log.warning("retention waits", error=str(error))
            rest = AGAIN_SECONDS
        # The server lives on whatever happens here; the next day tries again.
        except Exception:
            log.exception("retention failed")


async def refresh_forever(context: UpkeepContext) -> None:
    """Apply what changed about senders to the stored rows, once a minute when something did."""
    rest = MINUTE_SECONDS
    while True:
        await asyncio.sleep(rest)
        try:
            rest = await refresh_changed(context)
        except DmarcworksError as error:
            log.warning("refreshing senders waits", error=str(error))
            rest = AGAIN_SECONDS
        # The server lives on whatever happens here; the next round tries again.
        except Exception:
            log.exception("refreshing senders failed")
            rest = AGAIN_SECONDS


async def refresh_changed(context: UpkeepContext) -> float:
    """Apply what changed, if anything did and no process does already; the seconds to wait until the next look."""
    kv = context.stores.kv
    if context.busy.locked() or await being_refreshed(kv):
        return MINUTE_SECONDS
    if not (await RefreshState.load(kv)).due(await knowledge(context)):
        return MINUTE_SECONDS
    began = time.monotonic()
    async for _ in jobs.run(context, "senders-refresh-due", {}):
        pass
    return max(MINUTE_SECONDS, (time.monotonic() - began) * (1 / _REFRESH_SHARE - 1))
