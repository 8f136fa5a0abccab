"""What the server does for upkeep by itself: end a swap that was cut off, and once a day take what is too old.

Both are tried again later when a store is away or another job runs; neither stops the server.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from dmarcworks.errors import DmarcworksError
from dmarcworks.upkeep import jobs
from dmarcworks.upkeep.house import House
from dmarcworks.upkeep.replays import Replays
from dmarcworks.upkeep.swap import finish

__all__ = ["daily"]

log = structlog.get_logger("dmarcworks.upkeep")

FIRST_SECONDS, EVERY_SECONDS, AGAIN_SECONDS = 60.0, 86_400.0, 600.0


@asynccontextmanager
async def daily(house: House) -> AsyncIterator[None]:
    """While the block runs; a swap that was cut off is ended before it begins."""
    with contextlib.suppress(DmarcworksError):
        await finish(house, Replays(house.stores.database))
    task = asyncio.create_task(_run(house), name="upkeep")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _run(house: House) -> None:
    rest = FIRST_SECONDS
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
