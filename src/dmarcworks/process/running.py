"""A running isolated child process, as its parent sees it: give it jobs, receive answers, watch its limits, kill it."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from dmarcworks.process.forking import Forked, ForkServer
from dmarcworks.process.frames import Kind, Setup, UnsafeAnswerError
from dmarcworks.process.limits import used_seconds

__all__ = ["ChildProcess", "Job", "ProcessLimits"]

_TICK = 0.1
_START_SECONDS = 60.0
# Larger answers are unpickled in a thread, so that the event loop continues.
_LARGE = 64 * 1024


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """Of each job: processor time and time in all, in seconds, and bytes of its answer. Of each child: memory, jobs,
    idle seconds."""

    cpu_seconds: float
    wall_seconds: float
    answer_bytes: int
    memory_bytes: int
    jobs: int
    idle_seconds: float


@dataclass(slots=True, eq=False)
class Job:
    """An argument on its way: `alone` when a child ended while it and others were running, `again` when it lost its
    child once with the fork server."""

    payload: bytes
    future: asyncio.Future[Any]
    alone: bool = False
    again: bool = False
    pieces: list[Any] = field(default_factory=list)
    answered: int = 0
    began: float = 0.0
    used_before: float | None = None


class ChildProcess:
    """One process with `concurrency` slots. `changed` is called when a slot becomes free, `ended` at its end."""

    def __init__(
        self,
        setup: Setup,
        limits: ProcessLimits,
        load: Callable[[bytes], Any],
        changed: Callable[[], None],
        ended: Callable[[ChildProcess], None],
    ) -> None:
        self._setup, self._limits, self._load = setup, limits, load
        self._changed, self._ended = changed, ended
        self._forked: Forked | None = None
        self._threads: list[int] = []
        self._slots: list[Job | None] = [None] * setup.concurrency
        self._numbers: dict[int, Job] = {}
        self._rounds = 0
        self._busy = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.ready = False
        self.retired = False
        # The job whose limit was exceeded and the reason; without one the process ended by itself.
        self.guilty: Job | None = None
        self.reason = ""
        # It ended because the process that it was forked from did.
        self.lost = False

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._forked.pid if self._forked is not None else 0

    @property
    def jobs(self) -> list[Job]:
        """The jobs that run."""
        return [job for job in self._slots if job is not None]

    def accepts(self, job: Job) -> bool:
        """Whether this child can run the job now."""
        jobs = self.jobs
        if not self.ready or self.retired or len(jobs) == len(self._slots):
            return False
        return not jobs or not (job.alone or jobs[0].alone)

    async def start(self, server: ForkServer) -> None:
        """Start the process; returns when it is ready, raises `OSError` when it cannot start."""
        async with asyncio.timeout(_START_SECONDS):
            self._forked = forked = await server.fork(self._setup.target.partition(":")[0])
        try:
            setup = replace(self._setup, parent=forked.parent)
            first = pickle.dumps((list(sys.path), pickle.dumps(setup)))
            await forked.pipes.write(Kind.SETUP, 0, first)
            async with asyncio.timeout(_START_SECONDS):
                kind, _, payload = await forked.pipes.read()
            if kind is not Kind.READY:
                raise OSError(": ".join(self._load(payload)))
            self._threads = self._load(payload)
        except (EOFError, OSError, TimeoutError, UnsafeAnswerError) as error:
            status = await forked.wait()
            raise OSError(f"the process ended while starting (status {status}): {error}") from None
        except asyncio.CancelledError:
            await forked.wait()
            raise
        self.ready = True
        self._watcher = asyncio.create_task(self._watch())
        self._tasks = [asyncio.create_task(self._receive()), self._watcher]

    def give(self, job: Job) -> None:
        """Run a job that it `accepts`."""
        slot = self._slots.index(None)
        self._slots[slot] = job
        self._rounds += 1
        number = self._rounds * len(self._slots) + slot
        self._numbers[number] = job
        job.began, job.used_before = asyncio.get_running_loop().time(), None
        job.pieces, job.answered = [], 0
        if self._rounds >= self._limits.jobs:
            self.retired = True
        self._busy.set()
        task = asyncio.create_task(self._send(number, job.payload))
        self._tasks.append(task)
        task.add_done_callback(self._tasks.remove)

    def drop(self, job: Job) -> None:
        """Nobody waits for this job any more. With no neighbours the process is ended, so that it uses no more time."""
        if self.jobs == [job]:
            self.kill()

    def kill(self) -> None:
        """End the process at once."""
        self.retired = True
        if self._forked is not None:
            self._forked.kill()

    async def wait(self) -> None:
        """Until it has ended and every job has its result."""
        for task in list(self._tasks):
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _send(self, number: int, payload: bytes) -> None:
        assert self._forked is not None
        # A process that has ended is noticed by who reads from it.
        with contextlib.suppress(OSError):
            await self._forked.pipes.write(Kind.JOB, number, payload)

    async def _receive(self) -> None:
        assert self._forked is not None
        try:
            while True:
                await self._answer(*await self._forked.pipes.read())
        # What cannot be understood ends the process: nothing that follows could be trusted.
        except (EOFError, OSError, UnsafeAnswerError, TypeError):
            self.kill()
        status = await self._forked.wait()
        if not self.reason:
            self.reason = "cpu" if status == -signal.SIGXCPU else "died"
            self.lost = status is None
        self.retired, self.ready = True, False
        self._watcher.cancel()
        self._ended(self)

    async def _answer(self, kind: Kind, number: int, payload: bytes) -> None:
        job = self._numbers.get(number)
        if job is None:
            raise EOFError("an answer to no question")
        job.answered += len(payload)
        if job.answered > self._limits.answer_bytes:
            raise EOFError("the answer is too long")
        value = await asyncio.to_thread(self._load, payload) if len(payload) > _LARGE else self._load(payload)
        if kind is Kind.PIECE:
            job.pieces.append(value)
            return
        if kind is Kind.MEMORY:
            # Memory is the whole process's: with neighbours it may have been theirs that was too much.
            self.guilty, self.reason = (job if len(self.jobs) == 1 else None), "memory"
            self.kill()
            raise EOFError("out of memory")
        self._numbers.pop(number)
        self._slots[number % len(self._slots)] = None
        if not job.future.done():
            job.future.set_result((kind, job.pieces or value))
        if self.retired and not self.jobs:
            self.kill()
        self._changed()

    async def _watch(self) -> None:
        """Kill the process when a running job has used up its time, or when there was none for long."""
        clock = asyncio.get_running_loop().time
        tick = min(_TICK, self._limits.cpu_seconds / 5)
        while not (self.retired and not self.jobs):
            if not self.jobs:
                self._busy.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._busy.wait(), self._limits.idle_seconds)
                if not self.jobs:
                    self.kill()
                    return
            await asyncio.sleep(tick)
            for slot, job in enumerate(self._slots):
                if job is None:
                    continue
                if reason := self._exceeded(slot, job, clock()):
                    self.guilty, self.reason = job, reason
                    self.kill()
                    return

    def _exceeded(self, slot: int, job: Job, now: float) -> str:
        """The limit that the job has exceeded, or ""."""
        # With one slot threads that the job itself starts count as well.
        used = used_seconds(self.pid, self._threads[slot] if len(self._slots) > 1 else 0)
        if used is not None:
            if job.used_before is None:
                job.used_before = used
            if used - job.used_before > self._limits.cpu_seconds:
                return "cpu"
        return "time" if now - job.began > self._limits.wall_seconds else ""
