"""Calls of a library that blocks, in a thread of a connection's own and with an end, so that a slow server holds up
nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

__all__ = ["BlockingCalls"]

_Result = TypeVar("_Result")
_END = object()


class BlockingCalls:
    """One thread; `cut` ends the call that is under way, from another thread."""

    def __init__(self, cut: Callable[[], None]) -> None:
        self._cut = cut
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dmarcworks-work-mailbox")

    async def call(self, work: Callable[[], _Result], seconds: float) -> _Result:
        """The result; `TimeoutError` when it takes longer, and the connection is cut then."""
        running = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            done, _ = await asyncio.wait({running}, timeout=seconds)
        except asyncio.CancelledError:
            self._cut()
            await asyncio.wait({running}, timeout=5.0)
            _seen(running)
            raise
        if not done:
            self._cut()
            await asyncio.wait({running}, timeout=5.0)
            _seen(running)
            raise TimeoutError
        return running.result()

    async def each(self, values: Iterator[_Result], seconds: float) -> AsyncIterator[_Result]:
        """The values of an iterator, each made in the thread."""
        while (value := await self.call(partial(next, values, _END), seconds)) is not _END:
            yield value

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _seen(running: asyncio.Future[_Result]) -> None:
    """What a call that was cut ended with is no news."""
    if running.done() and not running.cancelled():
        running.exception()
