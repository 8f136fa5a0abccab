"""The write-ahead log of a SQLite file, given back to the disk once few writes come.

While many writes come, the log is kept at its size: it is written into the file every 32 MB, and to shorten it each
time would cost every writer an extra wait for the disk. Afterwards it would keep that size for as long as the server
runs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

__all__ = ["LogTruncation"]

# A monitoring system that checks readiness every second still counts as idle.
IDLE_SECONDS, IDLE_WRITES, LEAST_BYTES = 20.0, 40, 1 << 20


class LogTruncation:
    """Watches one file's writes; `truncate` empties the log in a thread and returns whether nobody was in the way."""

    def __init__(self, path: Path, truncate: Callable[[], Future[bool]], seconds: float = IDLE_SECONDS) -> None:
        self._log = path.with_name(f"{path.name}-wal")
        self._truncate = truncate
        self._seconds = seconds
        self._writes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def wrote(self) -> None:
        """Note a write that is done; the log is looked at when this long has passed."""
        self._writes += 1
        if self._timer is None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look)

    def close(self) -> None:
        """Look no more: the last connection that closes removes the log anyway."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        writes, self._writes, self._timer = self._writes, 0, None
        if self._closed or not self._long():
            return
        if writes > IDLE_WRITES:
            self._again()
            return
        asyncio.wrap_future(self._truncate()).add_done_callback(self._done)

    def _done(self, truncated: asyncio.Future[bool]) -> None:
        # Somebody read or wrote at that moment, or the disk failed, which the next write reports.
        if truncated.cancelled() or truncated.exception() is not None or not truncated.result():
            self._again()

    def _again(self) -> None:
        if self._timer is None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look)

    def _long(self) -> bool:
        try:
            return os.stat(self._log).st_size >= LEAST_BYTES
        except OSError:
            return False
