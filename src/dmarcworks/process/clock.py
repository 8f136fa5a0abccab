"""The product's clock: the unix second that KV, queues and workers go by.

`DMARCWORKS_TEST_CLOCK` names a file with the seconds that the clock is off, so that a test can move it while a process
runs. Only tests set it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["VARIABLE", "clock", "shifted_by_file"]

VARIABLE = "DMARCWORKS_TEST_CLOCK"


def shifted_by_file(path: str) -> Callable[[], float]:
    """A clock that adds the seconds in the file, read at every call; the system's own clock when `path` is empty."""
    return (lambda: time.time() + float(Path(path).read_text() or 0)) if path else time.time


clock = shifted_by_file(os.environ.get(VARIABLE, ""))
