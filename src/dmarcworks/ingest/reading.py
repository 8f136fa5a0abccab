"""Where mails and files are read: in a thread of this process, or in child processes that can be killed.

Most mails are small and quickly read: they go together to one child, which reads them in turn within small bounds. What
is larger, what hits one of those bounds and what uses too much processor time there is read by itself in another child,
with the settings' limits, and nothing waits for it. Where a child is killed, its mail has a problem with the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dmarcworks.ingest.read_child import GROUP
from dmarcworks.ingest.read_source import Enough, Read, Source, read
from dmarcworks.ingest.reading_pieces import CLASSES, assembled
from dmarcworks.process.isolated import IsolatedPool, KilledError
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.model import Problem, Reading

__all__ = ["ORDINARY_BYTES", "InProcess", "Isolated", "Reader", "each"]

# Mails up to here are read together, as nearly all report mails are.
ORDINARY_BYTES = 64 * 1024
_TARGET = "dmarcworks.ingest.read_child:reader"
# Of one turn of small mails, in seconds of processor time; a mail needs a thousandth of that.
_TOGETHER_SECONDS = 1.0
# A busy machine may give a process a fifth of the time that passes.
_WALL_CLOCK_FACTOR = 5.0
_TOGETHER_MEMORY = 512 * 1024 * 1024
_SETTING = {"memory": "DMARCWORKS_READ_MEMORY_BYTES", "cpu": "DMARCWORKS_READ_CPU_SECONDS"}


class Reader(Protocol):
    """Reads without holding up the event loop."""

    @property
    def isolated(self) -> bool:
        """Whether a mail may have to be read by itself."""

    async def together(self, sources: Sequence[Source], reports: int, rows: int) -> list[Read | None]:
        """Small sources from the first on, at least one, until so many reports or rows are in memory; None for one that
        must be read by itself."""

    async def alone(self, fetch: Callable[[], Awaitable[Source]]) -> Read:
        """One source by itself, fetched when it is processed."""


@dataclass(frozen=True, slots=True)
class InProcess:
    """Reads in a thread: for a process that nobody else waits for, such as a command."""

    bounds: Bounds
    originals: str

    @property
    def isolated(self) -> bool:
        """Never."""
        return False

    async def together(self, sources: Sequence[Source], reports: int, rows: int) -> list[Read | None]:
        """All that may be in memory together, in one run of a thread."""

        def some() -> list[Read | None]:
            enough = Enough(reports, rows)
            done: list[Read | None] = []
            for source in sources:
                one = read(source, self.bounds, self.originals)
                done.append(one)
                if enough.after(one):
                    break
            return done

        return await asyncio.to_thread(some)

    async def alone(self, fetch: Callable[[], Awaitable[Source]]) -> Read:
        """In a thread, as the others."""
        return await asyncio.to_thread(read, await fetch(), self.bounds, self.originals)


class Isolated:
    """Reads in child processes; `killed` is called with a pool's name and the reason. `close` ends them."""

    def __init__(
        self,
        bounds: Bounds,
        originals: str,
        *,
        processes: int,
        cpu_seconds: float,
        memory_bytes: int,
        killed: Callable[[str, str], None] | None = None,
    ) -> None:
        common: dict[str, Any] = {"arguments": (bounds, originals), "results": CLASSES, "killed": killed}
        self._together = IsolatedPool(
            _TARGET,
            name="read",
            cpu_seconds=_TOGETHER_SECONDS,
            wall_seconds=_TOGETHER_SECONDS * _WALL_CLOCK_FACTOR,
            memory_bytes=min(memory_bytes, _TOGETHER_MEMORY),
            idle_seconds=3600.0,
            **common,
        )
        self._alone = IsolatedPool(
            _TARGET,
            name="read_alone",
            processes=processes,
            cpu_seconds=cpu_seconds,
            wall_seconds=cpu_seconds * _WALL_CLOCK_FACTOR,
            memory_bytes=memory_bytes,
            # What a large mail has taken is given back at once.
            jobs_per_process=100,
            nice=5,
            **common,
        )
        self._slots = asyncio.Semaphore(processes)

    @property
    def isolated(self) -> bool:
        """Always."""
        return True

    async def start(self) -> None:
        """Start the process that reads small mails, so that the first one need not wait for it."""
        await self._together.run(((), (1, 1, 1)))

    async def together(self, sources: Sequence[Source], reports: int, rows: int) -> list[Read | None]:
        """In one child; what ends it, and nothing before that, is to be read by itself."""
        done, survived = await self._groups(sources, (reports, rows, GROUP))
        if survived:
            return done
        # One of the next group ended the child; where there are several, reading one at a time shows which.
        if len(group := sources[len(done) : len(done) + GROUP]) == 1:
            return [*done, None]
        single, survived = await self._groups(group, (reports, rows, 1))
        return done + single if survived else [*done, *single, None]

    async def _groups(self, sources: Sequence[Source], most: tuple[int, int, int]) -> tuple[list[Read | None], bool]:
        """What was read, and whether the child outlived it."""
        try:
            groups, survived = await self._together.run((sources, most)), True
        except KilledError as error:
            groups, survived = error.pieces, False
        return [done for group in groups for done in group], survived

    async def alone(self, fetch: Callable[[], Awaitable[Source]]) -> Read:
        """In a child of its own for the time."""
        async with self._slots:
            try:
                parts = await self._alone.run(((await fetch(),), None))
            except KilledError as error:
                return Read(Reading((), (_stopped(error.reason, str(error)),)))
        return await asyncio.to_thread(assembled, parts)

    async def close(self) -> None:
        """End the processes."""
        await asyncio.gather(self._together.close(), self._alone.close())


def _stopped(reason: str, text: str) -> Problem:
    setting = _SETTING.get(reason)
    detail = f"Reading this mail was stopped: {text}."
    if setting:
        detail += f" The limit is the setting {setting}; raise it and retry, or discard the mail."
    return Problem("reading_stopped", "mail", detail)


async def each(reader: Reader, sources: Sequence[Source]) -> list[Read]:
    """All of them in order, small and large."""
    done: list[Read] = []
    while len(done) < len(sources):
        small: list[Source] = []
        for source in sources[len(done) :]:
            if len(source.content) > ORDINARY_BYTES and reader.isolated:
                break
            small.append(source)
        readings = await reader.together(small, 2_000, 100_000) if small else [None]
        for one in readings:
            done.append(await reader.alone(_fetch(sources[len(done)])) if one is None else one)
    return done


def _fetch(source: Source) -> Callable[[], Awaitable[Source]]:
    async def fetch() -> Source:
        return source

    return fetch
