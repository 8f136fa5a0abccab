"""Interrupt a thread from outside: an exception raised in whatever Python code it runs (CPython only).

`PyThreadState_SetAsyncExc` is delivered between two bytecodes. A thread that sleeps or waits inside a C call receives
it when that call returns. docs/decisions/2026-11-29-process-package.md explains why this is used.
"""

from __future__ import annotations

import ctypes
import threading

__all__ = ["ThreadInterrupt", "interrupt"]


class ThreadInterrupt(BaseException):
    """Raised inside the interrupted thread. Not an `Exception`, so that a broad handler does not swallow it."""


def interrupt(thread: threading.Thread, exception: type[BaseException] = ThreadInterrupt) -> bool:
    """Raise `exception` inside the thread; False when it has not started or has ended."""
    if thread.ident is None or not thread.is_alive():
        return False
    reached = ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(exception))
    return int(reached) == 1
