"""Functions that meet strangers' bytes, run in child processes that can be killed: whatever a mail does to a regular
expression or a library, the server continues.

A pool runs one function, named "package.module:function", on one argument at a time. Its children start with the first
job and are kept for the next ones. They are forks of a fork server, a fresh interpreter that holds nothing but the
functions' modules, and never of the server itself. A job that uses too much processor
time, too much time in all or too much memory, or that ends its process, raises `KilledError`; whatever else the
function raises is `FailedError`. A child has no secrets in its environment, no descriptors but its pipes, cannot write
files, is ended by the kernel when the server or the fork server ends, and its answers can hold plain values and
`results` classes only.

With `concurrency` a child runs several jobs in threads. When one of them exceeds a limit, the others start again in
another child; when it is unknown which one ended the child, each starts again with no other at the same time.
"""

from __future__ import annotations

import asyncio
import pickle
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from dmarcworks.errors import DmarcworksError
from dmarcworks.process.forking import ForkServer
from dmarcworks.process.frames import Kind, Setup, restricted
from dmarcworks.process.running import ChildProcess, Job, ProcessLimits

__all__ = ["FailedError", "IsolatedPool", "KilledError", "UnavailableError"]

log = structlog.get_logger("dmarcworks.process")

_MIB = 1024 * 1024
_WORDS = {
    "cpu": "it used more than {cpu:g} s of processor time",
    "time": "it took longer than {wall:g} s",
    "memory": "it needed more than {memory} MiB of memory",
    "died": "it ended its process",
}


class KilledError(DmarcworksError):
    """A job exceeded a limit or ended its process; `reason` is "cpu", "time", "memory" or "died".

    `pieces` is what the function had yielded before.
    """

    def __init__(self, reason: str, text: str, pieces: Sequence[Any] = ()) -> None:
        super().__init__(text)
        self.reason = reason
        self.pieces = pieces


class FailedError(DmarcworksError):
    """The function raised: `name` is the exception's class, `detail` its text."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.name, self.detail = name, detail


class UnavailableError(DmarcworksError):
    """No child process could be started, or the pool is closed."""

    temporary = True


class IsolatedPool:
    """At most `processes` children with `concurrency` jobs each.

    `cpu_seconds`, `wall_seconds` and `answer_bytes` are limits of a job, `memory_bytes` (0: none) is one of a child.
    With `arguments` the target is called with them once per child and returns the function. A target that yields
    returns a list. `results` are the classes that may be in an answer. `killed` is called with the pool's name and the
    reason.
    """

    def __init__(
        self,
        target: str,
        *,
        name: str,
        processes: int = 1,
        concurrency: int = 1,
        cpu_seconds: float = 30.0,
        wall_seconds: float = 300.0,
        memory_bytes: int = 1024 * _MIB,
        answer_bytes: int = 1024 * _MIB,
        arguments: tuple[Any, ...] | None = None,
        results: Sequence[type] = (),
        jobs_per_process: int = 10_000,
        idle_seconds: float = 60.0,
        nice: int = 0,
        killed: Callable[[str, str], None] | None = None,
    ) -> None:
        self.name = name
        self._setup = Setup(
            target=target,
            arguments=arguments,
            concurrency=concurrency,
            cpu_seconds=cpu_seconds,
            memory_bytes=memory_bytes,
            nice=nice,
            parent=0,  # known once there is a fork server
        )
        self._limits = ProcessLimits(
            cpu_seconds, wall_seconds, answer_bytes, memory_bytes, jobs_per_process, idle_seconds
        )
        self._processes = processes
        self._load = restricted(results)
        self._killed = killed
        self._children: list[ChildProcess] = []
        self._starting: set[asyncio.Task[None]] = set()
        self._waiting: deque[Job] = deque()
        self._closed = False
        self._server: ForkServer | None = None

    @property
    def pids(self) -> list[int]:
        """The process ids of the children that are ready."""
        return [child.pid for child in self._children if child.ready]

    async def prepare(self) -> None:
        """Have the fork server import the function, so that the first child starts quickly; does not wait for it."""
        await self._fork_server().prepare(self._setup.target.partition(":")[0])

    async def run(self, argument: Any) -> Any:
        """The function's result for one argument; cancelling the caller ends a child that ran nothing else."""
        if self._closed:
            raise UnavailableError(f"the processes for {self.name} are closed")
        payload = pickle.dumps(argument, pickle.HIGHEST_PROTOCOL)
        job = Job(payload, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        self._assign()
        try:
            kind, value = await job.future
        except asyncio.CancelledError:
            for child in self._children:
                child.drop(job)
            raise
        if kind is Kind.FAILED:
            raise FailedError(*value)
        return value

    async def close(self) -> None:
        """End all children; waiting callers get `UnavailableError`."""
        self._closed = True
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        for child in list(self._children):
            child.kill()
            await child.wait()
        self._refuse(f"the processes for {self.name} are closed")
        if self._server is not None:
            server, self._server = self._server, None
            await server.release()

    def _fork_server(self) -> ForkServer:
        if self._server is None:
            self._server = ForkServer.shared()
        return self._server

    def _assign(self) -> None:
        """Give the jobs that wait to children, oldest first, and start children while there is work for more."""
        while self._waiting:
            job = self._waiting[0]
            if not job.future.done():
                free = [child for child in self._children if child.accepts(job)]
                if not free:
                    break
                min(free, key=lambda child: len(child.jobs)).give(job)
            self._waiting.popleft()
        places = self._processes - len(self._children) - len(self._starting)
        wanted = -(-len(self._waiting) // self._setup.concurrency) - len(self._starting)
        for _ in range(0 if self._closed else min(places, wanted)):
            task = asyncio.create_task(self._start())
            self._starting.add(task)
            task.add_done_callback(self._started)

    async def _start(self) -> None:
        child = ChildProcess(self._setup, self._limits, self._load, self._assign, self._ended)
        await child.start(self._fork_server())
        self._children.append(child)

    def _started(self, task: asyncio.Task[None]) -> None:
        self._starting.discard(task)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error("an isolated process did not start", pool=self.name, error=str(error))
            if not self._children and not self._starting:
                self._refuse(f"no process for {self.name} can be started: {error}")
            return
        self._assign()

    def _refuse(self, text: str) -> None:
        waiting, self._waiting = self._waiting, deque()
        for job in waiting:
            if not job.future.done():
                job.future.set_exception(UnavailableError(text))

    def _ended(self, child: ChildProcess) -> None:
        """A child has ended: the guilty job gets the error, its neighbours start again."""
        self._children.remove(child)
        jobs = [job for job in child.jobs if not job.future.done()]
        guilty = child.guilty or (jobs[0] if len(child.jobs) == 1 and jobs else None)
        for job in reversed(jobs):
            if self._closed:
                job.future.set_exception(UnavailableError(f"the processes for {self.name} are closed"))
            elif child.lost and not job.again:
                # No job can be blamed for that; one that loses a second child may have ended both.
                job.again = True
                self._waiting.appendleft(job)
            elif job is guilty:
                job.future.set_exception(KilledError(child.reason, self._explanation(child.reason), job.pieces))
            else:
                job.alone = job.alone or child.guilty is None
                self._waiting.appendleft(job)
        if child.jobs and not self._closed and (child.guilty or jobs):
            log.warning("an isolated process was killed", pool=self.name, reason=child.reason, jobs=len(child.jobs))
            if self._killed is not None:
                self._killed(self.name, child.reason)
        self._assign()

    def _explanation(self, reason: str) -> str:
        limits = self._limits
        return _WORDS[reason].format(
            cpu=limits.cpu_seconds, wall=limits.wall_seconds, memory=limits.memory_bytes // _MIB
        )
