"""The bytes of one connection in both directions: replies gathered and written, reading paused and resumed.

Replies to pipelined commands leave together. A client that does not read its replies is not read from.
"""

from __future__ import annotations

import asyncio

HIGH_WATER = 65_536
_LAST_WORDS_SECONDS = 2.0


class GoneError(Exception):
    """The other side went, or was sent away."""


class FlowControl(asyncio.Protocol):
    """What a protocol with one conversing task needs of its transport."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._out = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._reading = self._writable = True
        self._gone = self._secure = self._polite = False

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._wake()

    def _send_reply(self, reply: str) -> None:
        self._out += reply.encode("utf-8", "replace") + b"\r\n"

    async def _flush(self) -> None:
        self._write()
        while not self._writable:
            await self._wait()

    def _write(self) -> None:
        if self._out and self._transport is not None and not self._gone:
            self._transport.write(bytes(self._out))
        self._out.clear()

    async def _wait(self) -> None:
        if not self._gone:
            self._waiter = self._loop.create_future()
            await self._waiter
        if self._gone:
            raise GoneError

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _read(self, wanted: bool) -> None:
        if wanted is self._reading or self._transport is None or self._gone:
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _close(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        # If we closed while the client's bytes are on their way, the system would reset the connection and our last
        # reply would be lost: we read on for a moment. A client that does not read us is cut off.
        if not self._writable:
            transport.abort()
            return
        if self._polite or self._secure or not transport.can_write_eof():
            transport.close()
        else:
            self._read(True)
            transport.write_eof()
        self._loop.call_later(_LAST_WORDS_SECONDS, transport.abort)
