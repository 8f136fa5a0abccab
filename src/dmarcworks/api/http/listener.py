"""The HTTP listener: connections are accepted one at a time, counted, and refused with 503 before any work for them.

When all places are in use, a connection that has been idle for a second is closed for a new one. When the system has no
file descriptor left, accepting pauses for a moment; the listener lives on.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping, Sequence

import structlog

from dmarcworks.api.http.admission import Admission, Refused
from dmarcworks.api.http.bounds import HttpBounds
from dmarcworks.api.http.closing_response import closing_response
from dmarcworks.api.http.connection import HttpConnection

__all__ = ["HttpListener"]

log = structlog.get_logger("dmarcworks.http")

RETRY_SECONDS = 5
_IDLE_SECONDS = 1.0
_REST_SECONDS = 0.1
_LOG_SECONDS = 10.0
# Refused connections that stay open for a moment, so that their clients can read why.
_REFUSED, _REFUSED_SECONDS = 16, 1.0


class HttpListener:
    """Accepts on one or several sockets: `run` until it is cancelled, then `close`."""

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        bounds: HttpBounds,
        admission: Admission,
        ended: Callable[[str], None] = lambda why: None,
    ) -> None:
        self._listeners, self.bounds, self._admission, self.ended = tuple(listeners), bounds, admission, ended
        for listener in listeners:
            listener.setblocking(False)
        self._addresses: dict[HttpConnection, str] = {}
        self._idle: dict[HttpConnection, float] = {}
        self._refused: set[asyncio.Task[None]] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._logged: dict[str, float] = {}
        smallest = min(bounds.header_seconds, bounds.body_seconds, bounds.write_seconds)
        self._check_seconds = min(0.5, smallest / 4)

    @property
    def total(self) -> int:
        """Connections that are open."""
        return self._admission.total

    async def run(self, make: Callable[[], HttpConnection]) -> None:
        """Accept, and end the connections whose clients are too slow; `make` makes the protocol of a connection."""
        async with asyncio.TaskGroup() as group:
            for listener in self._listeners:
                group.create_task(self._accept(listener, make), name="http accept")
            group.create_task(self._check(), name="http deadlines")

    async def close(self) -> None:
        """Close the sockets, and end what has no connection yet; the connections are uvicorn's to end."""
        tasks = [*self._opening, *self._refused]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener in self._listeners:
            listener.close()

    async def _check(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._check_seconds)
            for connection in list(self._addresses):
                if connection.transport is not None:
                    connection.check(loop.time())

    # What connections report.

    def lost(self, connection: HttpConnection) -> None:
        """The connection has ended."""
        self._idle.pop(connection, None)
        address = self._addresses.pop(connection, None)
        if address is not None:
            self._admission.leave(address)

    def busy(self, connection: HttpConnection) -> None:
        """A request is there."""
        self._idle.pop(connection, None)

    def idle(self, connection: HttpConnection) -> None:
        """It waits for a request."""
        if connection in self._addresses:
            self._idle.pop(connection, None)
            self._idle[connection] = asyncio.get_running_loop().time()

    # Accepting.

    async def _accept(self, listener: socket.socket, make: Callable[[], HttpConnection]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, peer = await loop.sock_accept(listener)
            except OSError as error:  # no descriptor left, or a client that left at once
                self._warn("accept failed", {"error": str(error)})
                await asyncio.sleep(_REST_SECONDS)
                continue
            accepted.setblocking(False)
            address = str(peer[0])
            refused = self._admission.enter(address)
            if refused is not None and self._free_place(address, refused):
                refused = self._admission.enter(address)
            if refused is not None:
                self._refuse(accepted, address, refused)
                continue
            connection = make()
            self._addresses[connection] = address
            self.idle(connection)
            task = loop.create_task(self._open(connection, accepted))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, connection: HttpConnection, accepted: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, accepted)
        except BaseException as error:
            self.lost(connection)
            accepted.close()
            if not isinstance(error, OSError):
                raise

    def _free_place(self, address: str, refused: Refused) -> bool:
        """End the connection that has been idle longest, if one has been for long enough."""
        now = asyncio.get_running_loop().time()
        for connection, since in self._idle.items():
            if now - since < _IDLE_SECONDS:
                return False
            ending = self._addresses[connection]
            if connection.transport is not None and self._admission.frees_place(ending, address, refused):
                connection.evict()
                self.lost(connection)
                return True
        return False

    def _refuse(self, accepted: socket.socket, address: str, refused: Refused) -> None:
        self.ended(refused)
        self._warn("connection refused", {"peer": address, "bound": refused, "connections": self.total})
        with contextlib.suppress(OSError):
            accepted.send(closing_response(503, RETRY_SECONDS))
            accepted.shutdown(socket.SHUT_WR)
        if len(self._refused) >= _REFUSED:
            accepted.close()
            return
        task = asyncio.get_running_loop().create_task(_read_out(accepted))
        self._refused.add(task)
        task.add_done_callback(self._refused.discard)

    def _warn(self, event: str, details: Mapping[str, object]) -> None:
        """Log it, but not for each of a thousand connections."""
        now = asyncio.get_running_loop().time()
        if now - self._logged.get(event, float("-inf")) >= _LOG_SECONDS:
            self._logged[event] = now
            log.warning(event, **details)


async def _read_out(refused: socket.socket) -> None:
    """Drop what a refused client still sends: the system would else reset the connection and lose the answer."""
    loop = asyncio.get_running_loop()
    try:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_REFUSED_SECONDS):
                while await loop.sock_recv(refused, 4096):
                    pass
    finally:
        refused.close()
