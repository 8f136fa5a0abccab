"""Run a maintenance job for a command: in the running server when there is one, otherwise here on the stores.

Progress is shown on standard error (a bar on a terminal, otherwise a line now and then); every other event is passed to
the command. Ctrl-C ends the job here and in the server; the help of a job states when it can be resumed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from dmarcworks import errors
from dmarcworks.cli.common import command_settings
from dmarcworks.cli.remote import server
from dmarcworks.errors import DmarcworksError
from dmarcworks.process import logs
from dmarcworks.settings import Settings

__all__ = ["Event", "run"]

Event = dict[str, Any]
_LINE_EVERY_SECONDS = 5.0


def run(job: str, parameters: Mapping[str, Any], seen: Callable[[Event], None], *, quiet: bool = False) -> Event:
    """Run it to its end and return its result; every event other than progress is also passed to `seen`."""
    settings = command_settings()
    result: Event = {}
    with _shown(quiet) as bar:

        def take(event: Event) -> None:
            nonlocal result
            if event["event"] == "progress":
                if bar is not None:
                    bar.update(event["step"], event["done"], event["total"])
                return
            if event["event"] == "error":
                kind = getattr(errors, str(event["kind"]), DmarcworksError)
                raise kind(event["message"])
            if event["event"] == "result":
                result = event
            seen(event)

        running = server(settings)
        if running is None:
            asyncio.run(_here(settings, job, parameters, take))
        else:
            with running.lines("POST", f"/internal/upkeep/{job}", json=dict(parameters)) as lines:
                for line in lines:
                    take(line)
    if not result:
        raise DmarcworksError("the job ended early; see the server's log for the reason")
    return result


async def _here(settings: Settings, job: str, parameters: Mapping[str, Any], take: Callable[[Event], None]) -> None:
    # Imported only when no server does the work: loading the engine takes a second.
    from dmarcworks.upkeep import jobs
    from dmarcworks.upkeep.setup import opened_upkeep

    logs.setup(settings.log_format, "warning")
    async with opened_upkeep(settings, job) as context:
        async for event in jobs.run(context, job, parameters):
            take(event)


def _shown(quiet: bool) -> AbstractContextManager[_Bar | None]:
    return nullcontext(None) if quiet else _Bar()


class _Bar:
    """Progress on standard error."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._printed_at = 0.0
        self._last = ""
        if sys.stderr.isatty():
            columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)

    def __enter__(self) -> _Bar:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, step: str, done: int, total: int) -> None:
        """Show the progress of a step."""
        if self._bar is None:
            now = time.monotonic()
            if step != self._last or now - self._printed_at >= _LINE_EVERY_SECONDS:
                self._last, self._printed_at = step, now
                print(f"{step}: {done} of {total}", file=sys.stderr, flush=True)
            return
        if step not in self._tasks:
            self._tasks[step] = self._bar.add_task(step, total=total)
        self._bar.update(self._tasks[step], completed=done, total=total)
