"""The swap: publishing is held, the rest is copied, the tables are exchanged and the catalogue is updated.

Every step checks which table is which, so that an interrupted swap can be repeated, and nothing that was published
meanwhile is left behind in the inactive version.
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


async def finish(context: UpkeepContext, replays: Replays) -> list[Replay]:
    """Finish interrupted swaps; returns them."""
    cut_off = await replays.all("swapping")
    for run in cut_off:
        await swap(context, replays, run)
    return cut_off


async def swap(context: UpkeepContext, replays: Replays, run: Replay) -> None:
    """Make the version's rows the active ones; the version then holds those from before."""
    async with context.gate.held():
        await catch_up(context, run)
        await replays.note(run.id, state="swapping")
        await _exchange(context, run, "old")
        await replays.apply(run.id, "after", "swapped")
    # Other processes are not held by our gate: what they published in that moment went to the old tables.
    await _bring(context, run, backwards=True, which="new")


async def back(context: UpkeepContext, replays: Replays, run: Replay) -> None:
    """Make the rows from before the active ones again, with what was published since."""
    for table in TABLES:
        shapes = [await versions.shape(context.analytics, name) for name in (table, version_of(table, run.version))]
        if shapes[0] != shapes[1]:
            raise ConflictError("the older version has other columns: it was made before an upgrade; drop it")
    async with context.gate.held():
        await _bring(context, run, backwards=False, which="new")
        await _exchange(context, run, "new")
        await replays.apply(run.id, "before", "back")


async def catch_up(context: UpkeepContext, run: Replay) -> None:
    """Copy what the tables hold and the version lacks: what came in since, and what could not be reprocessed."""
    await _bring(context, run, backwards=False, which="old")


async def _bring(context: UpkeepContext, run: Replay, *, backwards: bool, which: str) -> None:
    """Copy counted reports into the version (`backwards`: out of it), for tables that are still the `which` one."""
    there = await versions.uuids(context.analytics)
    for table in TABLES:
        if there.get(table) != run.tables[table][which]:
            continue
        version = version_of(table, run.version)
        source, target = (version, table) if backwards else (table, version)
        keys = await versions.keys_beyond(context.analytics, source, target)
        rows = await catalogue_pages.reports(context.stores.database, keys)
        good = [key for key in keys if key in rows and counted(rows[key])]
        await versions.copy(context.analytics, table, source, target, good)


async def _exchange(context: UpkeepContext, run: Replay, which: str) -> None:
    there = await versions.uuids(context.analytics)
    for table in TABLES:
        if there.get(table) == run.tables[table][which]:
            await versions.exchange(context.analytics, table, run.version)
