"""Limits that an isolated child process sets for itself, and how much processor time it has used.

Linux has all of them; elsewhere each that is missing is left out, and the processor time is limited by RLIMIT_CPU in
whole seconds only.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import resource
import signal
import time
from pathlib import Path

__all__ = ["allow_processor_time", "restrict", "restrict_files", "used_seconds"]

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_DESCRIPTORS = 256
_KILL_FIRST = b"800"


def restrict(memory_bytes: int, nice: int, parent: int, *, expendable: bool = True) -> None:
    """Limit this process: end with the parent, no signals of a terminal, no core files, limited memory.

    An `expendable` process is the first that the kernel ends when the machine is out of memory.
    """
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)  # the parent ended before the kernel watched it
    with contextlib.suppress(OSError):
        os.nice(nice)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _DESCRIPTORS)
    if memory_bytes:
        # The kernel counts private memory that can be written; address space alone, as threads reserve it, costs none.
        _limit(resource.RLIMIT_DATA, memory_bytes)
    if expendable:
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "wb", buffering=0) as file:
            file.write(_KILL_FIRST)


def restrict_files() -> None:
    """From now on this process cannot write files (pipes and sockets it can)."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _limit(resource.RLIMIT_FSIZE, 0)


def allow_processor_time(seconds: float) -> None:
    """So many seconds of processor time from now on, rounded up; the kernel ends the process that uses more.

    The parent measures more finely; this limit also holds when the parent is busy or gone.
    """
    until = math.ceil(time.process_time() + seconds) + 1
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = until if hard == resource.RLIM_INFINITY else min(until, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _limit(which: int, value: int) -> None:
    with contextlib.suppress(OSError, ValueError):
        hard = resource.getrlimit(which)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))


def used_seconds(process: int, thread: int = 0) -> float | None:
    """Processor time of a process, or of one thread of it; None where that cannot be read."""
    path = f"/proc/{process}/task/{thread}/stat" if thread else f"/proc/{process}/stat"
    try:
        fields = Path(path).read_bytes().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
