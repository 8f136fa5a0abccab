"""The background tasks of a process under one supervisor: started in order, watched, stopped in reverse.

A task that fails is run again after a growing pause, or ends the process, according to its policy. A stop has two
parts: first all that takes work in is drained at the same time, then each task is stopped, the last one first.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Any, TypeAlias

import structlog

from dmarcworks.errors import DmarcworksError

__all__ = ["BackgroundTask", "BackgroundTaskError", "Hook", "OnFailure", "Supervisor"]

log = structlog.get_logger("dmarcworks.supervisor")

Hook: TypeAlias = Callable[[], Awaitable[object]]


class BackgroundTaskError(DmarcworksError):
    """A background task that the process cannot do without has ended, or one did not stop cleanly."""


class OnFailure(Enum):
    """What happens when a task fails: RESTART runs it again, END ends the process, also when the task just returns."""

    RESTART = "restart"
    END = "end"


@dataclass(frozen=True, slots=True)
class BackgroundTask:
    """One entry of the list of background tasks.

    `start` is awaited before the next entry starts; when it fails, the whole start fails, and it has to undo what it
    did. `run` is the task itself; with the policy RESTART it may return when it has nothing more to do. At the end
    `drain` finishes the work in progress, `stop` makes `run` return, and `run` is cancelled after `grace` seconds
    (None: never). Without a `stop`, or when that fails, it is cancelled at once.
    """

    name: str
    run: Hook | None = None
    on_failure: OnFailure = OnFailure.RESTART
    start: Hook | None = None
    drain: Hook | None = None
    stop: Hook | None = None
    grace: float | None = 0.0


class Supervisor:
    """Holds the tasks that were started. Leaving its block stops them.

    The pause before a restart doubles from `first_delay` to `longest_delay` seconds; after a run of `healthy_seconds`
    it is `first_delay` again.
    """

    def __init__(
        self,
        *,
        first_delay: float = 0.5,
        longest_delay: float = 30.0,
        healthy_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._first_delay, self._longest_delay, self._healthy_seconds = first_delay, longest_delay, healthy_seconds
        self._clock = clock
        self._started: list[tuple[BackgroundTask, asyncio.Task[None] | None]] = []
        self._stopping = asyncio.Event()
        self._ended: asyncio.Future[BackgroundTaskError] = asyncio.get_running_loop().create_future()
        self._errors: list[BackgroundTaskError] = []

    @property
    def running(self) -> list[str]:
        """The names of the tasks that were started and have not ended, in the order of their start."""
        return [task.name for task, running in self._started if running is None or not running.done()]

    async def start(self, tasks: Sequence[BackgroundTask]) -> None:
        """Start the tasks in order; an error stops what was started before and is raised."""
        try:
            for task in tasks:
                if task.start is not None:
                    await task.start()
                running = None if task.run is None else asyncio.create_task(self._watch(task, task.run), name=task.name)
                self._started.append((task, running))
        except BaseException:
            with contextlib.suppress(BackgroundTaskError):  # it is in the log; the error of the start is the cause
                await self.stop()
            raise

    async def until(self, event: asyncio.Event) -> None:
        """Wait for the event; `BackgroundTaskError` when a task ends before that the process cannot do without."""
        waiting = asyncio.create_task(event.wait(), name="until")
        ends: set[asyncio.Future[Any]] = {waiting, self._ended}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._ended.done() and not event.is_set():
            raise self._ended.result()

    async def stop(self) -> None:
        """Drain, then stop in reverse. All are stopped whatever one raises; the first error is raised at the end."""
        self._stopping.set()
        started, self._started = self._started, []
        try:
            await asyncio.gather(*(self._call(task, task.drain) for task, _ in started))
            for task, running in reversed(started):
                asked = await self._call(task, task.stop)
                if running is not None:
                    await _finish(running, task.grace if asked else 0.0)
        finally:
            # Where the stop itself is cancelled, nothing is left running.
            left = [running for _, running in started if running is not None and not running.done()]
            for running in left:
                running.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        errors, self._errors = self._errors, []
        if errors:
            raise errors[0]

    async def __aenter__(self) -> Supervisor:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.stop()
        except BackgroundTaskError:
            # What ended the block is the cause that the caller must see; this one is in the log.
            if error is None:
                raise

    async def _watch(self, task: BackgroundTask, run: Hook) -> None:
        delay = self._first_delay
        while not self._stopping.is_set():
            since = self._clock()
            error = await _outcome(run)
            if self._stopping.is_set():
                if error is not None:
                    self._note(task, error)
            elif task.on_failure is OnFailure.END:
                self._end(task, error)
            elif error is not None:
                if self._clock() - since >= self._healthy_seconds:
                    delay = self._first_delay
                _report("background task failed, running it again", task, error, seconds=delay)
                await self._pause(delay)
                delay = min(delay * 2, self._longest_delay)
                continue
            return

    async def _pause(self, seconds: float) -> None:
        waiting = asyncio.create_task(self._stopping.wait(), name="pause")
        try:
            await asyncio.wait({waiting}, timeout=seconds)
        finally:
            waiting.cancel()

    def _end(self, task: BackgroundTask, error: Exception | None) -> None:
        reason = "it returned" if error is None else _reason(error)
        _report("background task ended, stopping the process", task, error, reason=reason)
        if not self._ended.done():
            self._ended.set_result(BackgroundTaskError(f"the background task {task.name!r} ended: {reason}"))

    async def _call(self, task: BackgroundTask, hook: Hook | None) -> bool:
        """Whether there is such a hook and it did its work."""
        try:
            if hook is not None:
                await hook()
        # Every other task is still stopped.
        except Exception as error:
            self._note(task, error)
            return False
        return hook is not None

    def _note(self, task: BackgroundTask, error: Exception) -> None:
        _report("background task did not stop cleanly", task, error)
        self._errors.append(
            BackgroundTaskError(f"the background task {task.name!r} did not stop cleanly: {_reason(error)}")
        )


async def _outcome(run: Hook) -> Exception | None:
    try:
        await run()
    except Exception as error:
        return error
    return None


async def _finish(running: asyncio.Task[None], grace: float | None) -> None:
    """Wait for the end of the task, and cancel it after `grace` seconds."""
    if grace is None or grace > 0:
        await asyncio.wait({running}, timeout=grace)
    if not running.done():
        running.cancel()
        await asyncio.wait({running})


def _reason(error: BaseException) -> str:
    """The error's words; of a group that holds one error only, that one's."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return str(error) or repr(error)


def _report(event: str, task: BackgroundTask, error: Exception | None, **details: object) -> None:
    """An error of ours has words that suffice; of any other the log keeps the traceback."""
    details = {"task": task.name, **details}
    if error is not None:
        details["error"] = _reason(error)
    log.error(event, exc_info=None if error is None or isinstance(error, DmarcworksError) else error, **details)
