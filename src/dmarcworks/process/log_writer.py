"""A text file that many lines go to: at once while they are few, several by one write while they are many.

A write to the kernel costs more than making the line. Who reads along sees a line a twentieth of a second late at most;
a warning and worse, and everything before it, is written at once. Safe among threads.
"""

from __future__ import annotations

import atexit
import threading
import time
from contextlib import suppress
from typing import TextIO

__all__ = ["BufferedLogger", "BufferedLoggerFactory"]

_TOGETHER_SECONDS = 0.05


class _Lines:
    """Lines on their way to a file."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        self._written = 0.0
        self._late = threading.Event()
        self._thread: threading.Thread | None = None
        atexit.register(self.flush)

    def add(self, line: str, now: bool) -> None:
        """Write a line, with all before it when `now` or when none was written for a while."""
        with self._lock:
            self._waiting.append(line)
            if now or time.monotonic() - self._written >= _TOGETHER_SECONDS:
                self._write()
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._later, name="log", daemon=True)
                self._thread.start()
        self._late.set()

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        lines, self._waiting = self._waiting, []
        if not lines:
            return
        # Nobody may be there to read any more: that is no reason to stop.
        with suppress(OSError, ValueError):
            self._file.write("\n".join(lines) + "\n")
            self._file.flush()
        self._written = time.monotonic()

    def _later(self) -> None:
        while True:
            self._late.wait()
            self._late.clear()
            time.sleep(_TOGETHER_SECONDS)
            self.flush()


class BufferedLogger:
    """What structlog writes to."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines

    def info(self, message: str) -> None:
        """A line that may wait for others."""
        self._lines.add(message, now=False)

    def warning(self, message: str) -> None:
        """A line that somebody may wait for."""
        self._lines.add(message, now=True)

    msg = debug = info
    warn = err = error = critical = fatal = exception = failure = warning


class BufferedLoggerFactory:
    """Loggers that share one file."""

    def __init__(self, file: TextIO) -> None:
        self._lines = _Lines(file)

    def __call__(self, *_: object) -> BufferedLogger:
        return BufferedLogger(self._lines)
