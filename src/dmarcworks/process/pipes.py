"""A pair of pipes to a child process as the event loop uses them: frames out, frames in, nothing copied twice.

Each wait is for one of the two descriptors to be ready; a long frame crosses in pieces, and the event loop serves
others between them.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable

from dmarcworks.process.frames import FRAME_BYTES, HEADER, Kind, pack

__all__ = ["Pipes"]

# Linux gives a pipe 64 KiB; with more a batch of mails crosses in one piece.
_CAPACITY = 256 * 1024


class Pipes:
    """`outgoing` and `incoming` are descriptors that belong to this object from now on."""

    def __init__(self, outgoing: int, incoming: int) -> None:
        self._outgoing, self._incoming = outgoing, incoming
        self._buffer = bytearray()
        self._waiting: set[asyncio.Future[None]] = set()
        self._writing = asyncio.Lock()
        self._closed = False
        for descriptor in (outgoing, incoming):
            os.set_blocking(descriptor, False)

    @classmethod
    def to_child(cls) -> tuple[Pipes, tuple[int, int]]:
        """New pipes, and the two descriptors of the child's ends: to read from, to write to."""
        theirs_in, outgoing = os.pipe()
        try:
            incoming, theirs_out = os.pipe()
        except OSError:
            os.close(theirs_in)
            os.close(outgoing)
            raise
        for descriptor in (outgoing, incoming):
            # Only Linux has it, and an administrator may allow less.
            with contextlib.suppress(OSError, AttributeError):
                fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _CAPACITY)
        return cls(outgoing, incoming), (theirs_in, theirs_out)

    async def write(self, kind: Kind, number: int, payload: bytes) -> None:
        """Send a frame; `OSError` when the child has ended."""
        async with self._writing:
            for part in (pack(kind, number, payload), payload):
                view = memoryview(part)
                while view:
                    if self._closed:
                        raise BrokenPipeError
                    try:
                        view = view[os.write(self._outgoing, view[:_CAPACITY]) :]
                    except BlockingIOError:
                        loop = asyncio.get_running_loop()
                        await self._ready(loop.add_writer, loop.remove_writer, self._outgoing)

    async def read(self) -> tuple[Kind, int, bytes]:
        """The next frame; `EOFError` at the end, or when it is no frame of ours."""
        kind, number, length = HEADER.unpack(await self._exactly(HEADER.size))
        if length > FRAME_BYTES:
            raise EOFError("an answer is too long")
        payload = await self._exactly(length)
        try:
            return Kind(kind), number, payload
        except ValueError as error:
            raise EOFError(str(error)) from None

    def close(self) -> None:
        """Close both; who waits for one of them gets `OSError`."""
        if self._closed:
            return
        self._closed = True
        for future in self._waiting:
            if not future.done():
                future.set_exception(BrokenPipeError())
        loop = asyncio.get_running_loop()
        loop.remove_writer(self._outgoing)
        loop.remove_reader(self._incoming)
        os.close(self._outgoing)
        os.close(self._incoming)

    async def _exactly(self, length: int) -> bytes:
        buffer, loop = self._buffer, asyncio.get_running_loop()
        while len(buffer) < length:
            if self._closed:
                raise EOFError("closed")
            try:
                data = os.read(self._incoming, _CAPACITY)
            except BlockingIOError:
                await self._ready(loop.add_reader, loop.remove_reader, self._incoming)
                continue
            if not data:
                raise EOFError("the process ended")
            buffer += data
            if len(buffer) < length:
                await self._ready(loop.add_reader, loop.remove_reader, self._incoming)
        data = bytes(memoryview(buffer)[:length])
        del buffer[:length]
        return data

    async def _ready(self, add: Callable[..., object], remove: Callable[[int], object], descriptor: int) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        add(descriptor, _done, future)
        try:
            await future
        finally:
            self._waiting.discard(future)
            if not self._closed:
                remove(descriptor)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
