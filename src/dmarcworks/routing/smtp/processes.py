"""Several processes that accept mail on shared ports, started and watched by this one.

Each is a fresh Python (never a fork) that binds the same addresses with SO_REUSEPORT, or accepts from a Unix socket
that it inherits. Its settings come as one JSON line on its standard input. The end of that input is its signal to stop,
so it does not outlive this process however that ends. One that dies is restarted by the caller of `watch`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from dmarcworks.errors import DmarcworksError, SettingsError
from dmarcworks.routing.smtp import Listener
from dmarcworks.routing.smtp.listeners import BoundListener, bind, listen, remove

log = structlog.get_logger("dmarcworks.processes")

READY = b"ready\n"
_START_SECONDS = 60.0


class ReceiverEndedError(DmarcworksError):
    """A process that accepts mail ended by itself."""


class Processes:
    """`count` processes of `module`, each with `settings`, where to listen and the folder for their counters.

    `start`, then `watch` each, then `stop`.
    """

    def __init__(
        self,
        module: str,
        count: int,
        listeners: Sequence[Listener],
        settings: Mapping[str, Any],
        counters: Path | None = None,
    ) -> None:
        self._module = module
        self.counters = counters
        self._settings = settings
        self.count = count
        self._listeners = listeners
        self._bound: list[BoundListener] = []
        self._running: dict[int, Process] = {}
        self._stopping = asyncio.Event()

    @property
    def listening(self) -> list[Listener]:
        """The listeners with their real ports."""
        return [bound.listener for bound in self._bound]

    async def start(self) -> None:
        """Reserve the addresses and start them all; returns when each listens. `SettingsError` when one cannot."""
        try:
            for listener in self._listeners:
                # Ours are bound and, but for Unix sockets, never listen: they hold a free port while processes change.
                self._bound += bind(listener, shared=True)
            for bound in self._bound:
                if bound.listener.path:
                    listen(bound)
            started = await asyncio.gather(*(self._begin(slot) for slot in range(self.count)), return_exceptions=True)
            for problem in started:
                if isinstance(problem, BaseException):
                    raise problem
        except BaseException:
            await self.stop(0)
            raise

    async def _begin(self, slot: int) -> None:
        unix = [(number, bound) for number, bound in enumerate(self._bound) if bound.listener.path]
        sockets = {str(number): bound.socket.fileno() for number, bound in unix}
        values = {
            "settings": self._settings,
            "listen": [str(bound.listener) for bound in self._bound],
            "sockets": sockets,
            "processes": self.count,
            "slot": slot,
            "counters": None if self.counters is None else str(self.counters),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", self._module, stdin=PIPE, stdout=PIPE, pass_fds=list(sockets.values())
        )
        self._running[slot] = process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(values).encode() + b"\n")
        with contextlib.suppress(TimeoutError):
            if await asyncio.wait_for(process.stdout.readline(), _START_SECONDS) == READY:
                log.info("mail process started", slot=slot, pid=process.pid)
                return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        status = await process.wait()
        if not self._stopping.is_set():
            raise SettingsError(f"a process that accepts mail did not start (status {status}); its log shows why")

    async def run(self) -> None:
        """Wait for `stop`: the addresses are held all the time, and each process is watched by itself."""
        await self._stopping.wait()

    async def watch(self, slot: int) -> None:
        """Start the process of a slot again if it has ended, and wait for its end; an error unless that was `stop`."""
        if self._running[slot].returncode is not None:
            await self._begin(slot)
        status = await self._running[slot].wait()
        if not self._stopping.is_set():
            raise ReceiverEndedError(f"process {self._running[slot].pid} ended with status {status}")

    async def stop(self, grace: float = 5.0) -> None:
        """Make them all finish what is in transfer, wait `grace` seconds and a bit, then end the rest."""
        self._stopping.set()
        running = [process for process in self._running.values() if process.returncode is None]
        for process in running:
            if process.stdin is not None:
                process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(
                asyncio.gather(*(process.wait() for process in running)), grace + 1.0 if grace else 0.1
            )
        for process in running:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        for bound in self._bound:
            remove(bound)
