"""The server's end of the process that isolated children are forked from: start a child, kill it, learn how it ended.

Each event loop has at most one fork server. It starts with the first child that a pool needs and ends when the last
pool that used it is closed. When it ends by itself, its children end with it, and the next child starts another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from dataclasses import dataclass

from dmarcworks.process.fork_server import ANSWER, REQUEST, Request
from dmarcworks.process.pipes import Pipes

__all__ = ["ForkServer", "Forked"]

_ENVIRONMENT = (
    "PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "SYSTEMROOT",
)
_servers: dict[asyncio.AbstractEventLoop, ForkServer] = {}


@dataclass(frozen=True, slots=True)
class Forked:
    """A child that was started: its process id, that of its parent, and the pipes to it."""

    server: ForkServer
    number: int
    pid: int
    parent: int
    pipes: Pipes

    def kill(self) -> None:
        """End it at once; nothing happens when it has ended."""
        if self._has_parent:
            self.server.request(Request.KILL, self.number)

    async def wait(self) -> int | None:
        """End it if it has not ended; its exit status (a signal is negative), None when its parent ended."""
        try:
            return await self.server.reply(Request.WAIT, self.number) if self._has_parent else None
        finally:
            # Not before: a child whose jobs end leaves by itself, with another status than the one it is killed with.
            self.pipes.close()

    @property
    def _has_parent(self) -> bool:
        """Whether its fork server is still the one of the event loop, and no other has followed."""
        return self.server.pid == self.parent


class ForkServer:
    """One process that others are forked from."""

    def __init__(self) -> None:
        self._users = 0
        self._numbers = 0
        self._process: Process | None = None
        self._channel: socket.socket | None = None
        self._starting = asyncio.Lock()
        self._received = bytearray()
        self._replies: dict[tuple[int, int], asyncio.Future[int | None]] = {}

    @classmethod
    def shared(cls) -> ForkServer:
        """The one of this event loop; the caller calls `release` when it needs no more children."""
        loop = asyncio.get_running_loop()
        server = _servers.setdefault(loop, cls())
        server._users += 1
        return server

    async def release(self) -> None:
        """End the process when nobody else uses it."""
        self._users -= 1
        if not self._users:
            _servers.pop(asyncio.get_running_loop(), None)
            self._lose()
            if self._process is not None:
                await self._process.wait()

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return self._process.pid if self._process is not None else 0

    async def prepare(self, module: str) -> None:
        """Start the process and have it import a module; returns before that is done."""
        await self._started()
        self.request(Request.IMPORT, 0, module.encode())

    async def fork(self, module: str) -> Forked:
        """Start a child with the module imported; `OSError` when that is not possible."""
        await self._started()
        self._numbers += 1
        number, parent = self._numbers, self.pid
        pipes, theirs = Pipes.to_child()
        try:
            reply = self.reply(Request.FORK, number, module.encode(), theirs)
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        try:
            pid = await reply
        except asyncio.CancelledError:
            # It is forked anyway, and must not stay.
            pipes.close()
            self.reply(Request.WAIT, number)
            raise
        if pid is None or pid < 0:
            pipes.close()
            raise OSError("the fork server ended" if pid is None else f"fork: {os.strerror(-pid)}")
        return Forked(self, number, pid, parent, pipes)

    def request(self, kind: Request, number: int, payload: bytes = b"", descriptors: tuple[int, ...] = ()) -> None:
        """Send a request; when it cannot be sent the process is lost."""
        if self._channel is None:
            return
        message = REQUEST.pack(kind, number, len(payload)) + payload
        try:
            sent = socket.send_fds(self._channel, [message], descriptors)
        # A full socket holds thousands of requests: a process that leaves so many unread is of no use.
        except OSError:
            sent = 0
        if sent < len(message):
            self._lose()

    def reply(
        self, kind: Request, number: int, payload: bytes = b"", descriptors: tuple[int, ...] = ()
    ) -> asyncio.Future[int | None]:
        """The value of the answer to a request, None when the process ends first."""
        if (future := self._replies.get((kind, number))) is None:
            future = asyncio.get_running_loop().create_future()
            if self._channel is None:
                future.set_result(None)
                return future
            self._replies[kind, number] = future
            self.request(kind, number, payload, descriptors)
        return future

    async def _started(self) -> None:
        async with self._starting:
            if self._channel is not None:
                return
            environ = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
            ours, theirs = socket.socketpair()
            with theirs:
                ours.setblocking(False)
                try:
                    self._process = await asyncio.create_subprocess_exec(
                        sys.executable,
                        *("-P", "-B", "-m", "dmarcworks.process.fork_server"),
                        stdin=theirs.fileno(),
                        stdout=DEVNULL,
                        env=environ,
                        start_new_session=True,
                    )
                except BaseException:
                    ours.close()
                    raise
            self._channel = ours
            self._received.clear()
            asyncio.get_running_loop().add_reader(ours.fileno(), self._readable)
            self.request(Request.SETUP, 0, pickle.dumps((list(sys.path), os.getpid())))

    def _readable(self) -> None:
        assert self._channel is not None
        try:
            data = self._channel.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        self._received += data
        whole = len(self._received) // ANSWER.size * ANSWER.size
        for kind, number, value in ANSWER.iter_unpack(bytes(self._received[:whole])):
            self._settle((kind, number), value)
        del self._received[:whole]

    def _settle(self, which: tuple[int, int], value: int | None) -> None:
        future = self._replies.pop(which, None)
        if future is not None and not future.done():
            future.set_result(value)

    def _lose(self) -> None:
        """The process has ended or ends now: nobody is left waiting for it."""
        if self._channel is None:
            return
        asyncio.get_running_loop().remove_reader(self._channel.fileno())
        self._channel.close()
        self._channel = None
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        for which in list(self._replies):
            self._settle(which, None)
