"""What the server does for upkeep by itself: end a swap that was cut off, note the domains, take what is too old.

Domains are looked at once a minute, what is too old once a day. All of it is tried again later when a store is away or
another job runs; none of it stops the server.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from dmarcworks.errors import DmarcworksError
from dmarcworks.upkeep import jobs
from dmarcworks.upkeep.backup.domain_objects import Noted, note_domains
from dmarcworks.upkeep.context import UpkeepContext
from dmarcworks.upkeep.replay.runs import Replays
from dmarcworks.upkeep.replay.swap import finish

__all__ = ["daily"]

log = structlog.get_logger("dmarcworks.upkeep")

MINUTE_SECONDS, EVERY_SECONDS, AGAIN_SECONDS = 60.0, 86_400.0, 600.0


@asynccontextmanager
async def daily(house: UpkeepContext) -> AsyncIterator[None]:
    """While the block runs; a swap that was cut off is ended before it begins."""
    with contextlib.suppress(DmarcworksError):
        await finish(house, Replays(house.stores.database))
    tasks = [asyncio.create_task(work(house), name="upkeep") for work in (_note, _retain)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _note(house: UpkeepContext) -> None:
    known: dict[str, Noted] = {}
    while True:
        try:
            await note_domains(house, known)
        except DmarcworksError as error:
            log.warning("noting domains waits", error=str(error))
        # As below.
        except Exception:
            log.exception("noting domains failed")
        await asyncio.sleep(MINUTE_SECONDS)


async def _retain(house: UpkeepContext) -> None:
    rest = MINUTE_SECONDS
    while True:
        await asyncio.sleep(rest)
        rest = EVERY_SECONDS
        try:
            async for _ in jobs.run(house, "retention", {}):
                pass
        except DmarcworksError as error:
            log.warning("retention waits", error=str(error))
            rest = AGAIN_SECONDS
        # The server lives on whatever happens here; the next day tries again.
        except Exception:
            log.exception("retention failed")
