"""One call that brings everything written to a file system to its disk, where the kernel can be trusted with it.

`syncfs` on Linux waits for the disk and, since 5.8, reports when a write failed. For a group of files it is one journal
commit and one trip to the kernel instead of one each. Elsewhere, and for a failure, callers sync file by file.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Callable

__all__ = ["file_system_sync"]

# The first kernel whose syncfs reports failed writes.
_REPORTS_ERRORS = (5, 8)


def file_system_sync() -> Callable[[int], bool] | None:
    """What syncs the file system that a handle is on, and returns whether all went well; None where there is no
    such."""
    if not sys.platform.startswith("linux"):
        return None
    version = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if version is None or (int(version[1]), int(version[2])) < _REPORTS_ERRORS:
        return None
    call = getattr(ctypes.CDLL(None), "syncfs", None)
    if call is None:
        return None
    call.argtypes, call.restype = [ctypes.c_int], ctypes.c_int

    def sync(handle: int) -> bool:
        return int(call(handle)) == 0

    return sync
