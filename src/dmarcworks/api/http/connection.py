"""One HTTP connection: uvicorn's protocol, with deadlines for what a client sends and for what it reads.

Bytes are parsed a slice at a time, so that a client who sends in tiny chunks does not hold the event loop. A client
that is too slow reads 408 where a response has not begun. While a request is processed the connection is still read
from, so that a client that disconnects is noticed at once; what it sends ahead waits. There is no tarpitting.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Protocol

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from dmarcworks.api.http.bounds import HttpBounds
from dmarcworks.api.http.closing_response import closing_response

__all__ = ["HttpConnection"]

_HIGH = 65_536
_SLICE, _SLICE_OF_BODY = 8_192, 65_536
# The rest of a body that was answered before its end: so much of it is read, and for so long.
_REST_BYTES, _REST_SECONDS = 65_536, 5.0
_CLOSING_SECONDS = 2.0


class Owner(Protocol):
    """What a connection reports to."""

    bounds: HttpBounds

    def lost(self, connection: HttpConnection) -> None:
        """The connection has ended."""

    def busy(self, connection: HttpConnection) -> None:
        """A request is there."""

    def idle(self, connection: HttpConnection) -> None:
        """It waits for a request."""

    def ended(self, why: str) -> None:
        """A connection was ended for that reason."""


class _Flow(FlowControl):
    """uvicorn's flow control, which notifies its connection instead of the transport."""

    def __init__(self, transport: asyncio.Transport, changed: Callable[[], None]) -> None:
        super().__init__(transport)
        self._changed = changed

    def pause_reading(self) -> None:
        self.read_paused = True
        self._changed()

    def resume_reading(self) -> None:
        if self.read_paused:
            self.read_paused = False
            self._changed()


class HttpConnection(H11Protocol):
    """A connection of one client."""

    def __init__(self, config: Config, state: ServerState, app_state: dict[str, Any], owner: Owner) -> None:
        super().__init__(config, state, app_state, asyncio.get_running_loop())
        self._owner, self._bounds = owner, owner.bounds
        self._stash = bytearray()
        self._scheduled = self._gone = self._begun = self._dropping = False
        self._since = self._checked = self.loop.time()
        self._received = 0
        self._unsent, self._drained, self._unsent_since = 0, 0, 0.0

    # What it is doing.

    @property
    def waits(self) -> bool:
        """For a request: none is being received, answered or read out."""
        return self.cycle is None or (self.cycle.response_complete and not self._early)

    @property
    def _early(self) -> bool:
        """Answered before the request's end."""
        return self.cycle is not None and self.cycle.response_complete and self.conn.their_state is h11.SEND_BODY

    @property
    def _receives(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete and self.cycle.more_body

    @property
    def _answers(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body

    # What the event loop reports.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.flow = _Flow(transport, self._settle)
        self._since = self._checked = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        self._stash.clear()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._owner.lost(self)

    def data_received(self, data: bytes) -> None:
        if self._gone:
            return
        if self._early:
            self._received += len(data)
            self._dropping = self._dropping or self._received > _REST_BYTES
        if self._dropping:
            self._stash.clear()
            return
        self._stash += data
        if self._answers and len(self._stash) > _HIGH:
            # Not read from any more it could leave unnoticed, and read from it would fill the memory.
            self._owner.ended("ahead")
            self._abandon()
            self.transport.abort()
            return
        self._pump()
        self._settle()

    # Bytes in, a slice at a time.

    def _pump(self) -> None:
        self._scheduled = False
        if self._gone or self.transport.is_closing():
            self._stash.clear()
        # A request sent ahead waits for the answer before; a body waits while nobody reads it.
        if not self._stash or self._answers or (self._receives and self.flow.read_paused):
            return
        plain = self._receives and all(name != b"transfer-encoding" for name, _ in self.headers)
        size = _SLICE_OF_BODY if plain else _SLICE
        piece = bytes(self._stash[:size])
        del self._stash[:size]
        self._feed(piece)
        self._settle()

    def _feed(self, piece: bytes) -> None:
        before, early = self.cycle, self._early
        if self.waits and not self._begun:
            self._begun, self._since = True, self.loop.time()
        super().data_received(piece)
        if self.cycle is not before:
            self._new_request()
        elif self._receives:
            self._received += len(piece)
        elif early and self.waits:
            self._wait()

    def _new_request(self) -> None:
        self._begun, self._since, self._received = False, self.loop.time(), 0
        self._owner.busy(self)

    def on_response_complete(self) -> None:
        before = self.cycle
        super().on_response_complete()
        if self.cycle is not before:
            self._new_request()
        else:
            self._since, self._received = self.loop.time(), 0
            if self.waits:
                self._wait()
        self._settle()

    def _wait(self) -> None:
        """For the next request, whose first bytes may be there."""
        self._since, self._begun = self.loop.time(), bool(self._stash or self.conn.trailing_data[0])
        self._unset_keepalive_if_required()  # `check` has the time
        self._owner.idle(self)

    def _settle(self) -> None:
        """Read from the client, or not; then process what it has sent already."""
        if self._gone or self.transport.is_closing():
            return
        held = len(self._stash) > _HIGH or (self._receives and self.flow.read_paused)
        if held and self.transport.is_reading():
            self.transport.pause_reading()
        elif not held and not self.transport.is_reading():
            self.transport.resume_reading()
        if self._stash and not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self._pump)

    # Time.

    def check(self, now: float) -> None:
        """Called a few times a second: end the connection when its client is too slow."""
        passed, self._checked = now - self._checked, now
        if self._stalled(now):
            self._owner.ended("write")
            self._abandon()
            self.transport.abort()
        elif self._gone or self.transport.is_closing():
            return
        elif self._receives:
            if self.flow.read_paused or self.cycle.waiting_for_100_continue:
                self._since += passed  # the client waits for us
            if now > self._since + self._allowed(self._bounds.body_seconds, self._received):
                self._late("body")
        elif self._early:
            if now > self._since + _REST_SECONDS:
                self._abandon()
                self.transport.close()
        elif self.waits:
            fresh = self._begun or self.cycle is None
            seconds = self._bounds.header_seconds if fresh else self._bounds.idle_seconds
            if now > self._since + seconds:
                self._late("header" if fresh else "idle")

    def _allowed(self, seconds: float, size: int) -> float:
        return min(seconds + size / self._bounds.rate, self._bounds.transfer_seconds)

    def _stalled(self, now: float) -> bool:
        """Whether the client reads what was written for it too slowly."""
        size = self.transport.get_write_buffer_size()
        if not size or not self._unsent:
            self._unsent_since, self._drained = now, 0
        self._drained += max(0, self._unsent - size)
        self._unsent = size
        return bool(size) and now > self._unsent_since + self._bounds.write_seconds + self._drained / self._bounds.rate

    def _late(self, what: str) -> None:
        self._owner.ended(what)
        if self.waits and not self._begun:
            self._abandon()
            self.transport.close()  # no byte of a request came: there is nothing to answer
        else:
            self._dismiss(408)

    def evict(self) -> None:
        """End it to free its place for another connection."""
        self._owner.ended("evicted")
        self._abandon()
        self.transport.close()

    # The end.

    def send_400_response(self, msg: str) -> None:
        """uvicorn's response to bytes that are not HTTP."""
        self._dismiss(431 if len(self.conn.trailing_data[0]) > self._bounds.header_bytes else 400)

    def _dismiss(self, status: int) -> None:
        """Answer with a status where no answer has begun, and end the connection."""
        answering = self.cycle is not None and not self.cycle.response_complete
        begun = answering and self.cycle.response_started
        self._abandon()
        if begun:
            self.transport.abort()
            return
        self.transport.write(closing_response(status))
        # Closed while bytes of the client are on their way, the system would reset the connection and the answer would
        # be lost: they are dropped for a moment.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.transport.resume_reading()
        self.loop.call_later(_CLOSING_SECONDS, self.transport.abort)

    def _abandon(self) -> None:
        """Let the application know that its client has disconnected."""
        self._gone = True
        self._stash.clear()
        self._unset_keepalive_if_required()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self.flow.resume_writing()

    def shutdown(self) -> None:
        """Called at the stop of the server."""
        with contextlib.suppress(h11.LocalProtocolError):
            super().shutdown()
            return
        self.transport.close()
