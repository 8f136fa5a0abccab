"""The moment of the swap: publishing is held, the rest is copied, tables and catalogue change over.

Every step looks at which table is which, so that all of it can be done again after an end in its middle, and nothing
that was published meanwhile is left behind in the version that goes.
"""

from __future__ import annotations

from dmarcworks.analytics.tables import TABLES
from dmarcworks.errors import ConflictError
from dmarcworks.upkeep import catalogue_pages
from dmarcworks.upkeep.context import UpkeepContext
from dmarcworks.upkeep.replay import versions
from dmarcworks.upkeep.replay.runs import Replay, Replays
from dmarcworks.upkeep.replay.versions import version_of
from dmarcworks.upkeep.verify.compare import counted

__all__ = ["back", "catch_up", "finish", "swap"]


async def finish(house: UpkeepContext, replays: Replays) -> list[Replay]:
    """End a swap that was cut off in its middle; which ones there were."""
    cut_off = await replays.all("swapping")
    for now in cut_off:
        await swap(house, replays, now)
    return cut_off


async def swap(house: UpkeepContext, replays: Replays, now: Replay) -> None:
    """From here on the version's rows are asked; the version then holds those from before."""
    async with house.gate.held():
        await catch_up(house, now)
        await replays.note(now.id, state="swapping")
        await _exchange(house, now, "old")
        await replays.apply(now.id, "after", "swapped")
    # Other processes are not held by our gate: what they published in that moment went to the old tables.
    await _bring(house, now, backwards=True, which="new")


async def back(house: UpkeepContext, replays: Replays, now: Replay) -> None:
    """The rows from before are asked again, with what was published since."""
    for table in TABLES:
        shapes = [await versions.shape(house.analytics, name) for name in (table, version_of(table, now.version))]
        if shapes[0] != shapes[1]:
            raise ConflictError("the older version has other columns: it was made before an upgrade; drop it")
    async with house.gate.held():
        await _bring(house, now, backwards=False, which="new")
        await _exchange(house, now, "new")
        await replays.apply(now.id, "before", "back")


async def catch_up(house: UpkeepContext, now: Replay) -> None:
    """Copy what the tables hold and the version lacks: what came in since, and what could not be read again."""
    await _bring(house, now, backwards=False, which="old")


async def _bring(house: UpkeepContext, now: Replay, *, backwards: bool, which: str) -> None:
    """Copy counted reports into the version (`backwards`: out of it), for tables that are still the `which` one."""
    there = await versions.uuids(house.analytics)
    for table in TABLES:
        if there.get(table) != now.tables[table][which]:
            continue
        version = version_of(table, now.version)
        source, target = (version, table) if backwards else (table, version)
        keys = await versions.keys_beyond(house.analytics, source, target)
        rows = await catalogue_pages.reports(house.stores.database, keys)
        good = [key for key in keys if key in rows and counted(rows[key])]
        await versions.copy(house.analytics, table, source, target, good)


async def _exchange(house: UpkeepContext, now: Replay, which: str) -> None:
    there = await versions.uuids(house.analytics)
    for table in TABLES:
        if there.get(table) == now.tables[table][which]:
            await versions.exchange(house.analytics, table, now.version)
