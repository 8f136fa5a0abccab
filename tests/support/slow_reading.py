"""What reads in an isolated process in a test: the real thing, but for mails with a mark."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

from dmarcworks.ingest import read_child
from dmarcworks.ingest import read_source as read
from dmarcworks.reports.bounds import Bounds

SPINS, FILLS, ENDS = b"X-Test: spins\r\n", b"X-Test: fills\r\n", b"X-Test: ends\r\n"
_sound = read.read_mail


def read_mail(raw: bytes, bounds: Bounds) -> Any:
    """Holds the interpreter's lock in a regular expression, needs all memory, or ends the process."""
    if raw.startswith(SPINS):
        re.match(r"(a+)+$", "a" * 60 + "b")
    if raw.startswith(FILLS):
        return [bytes(1 << 20) for _ in range(1 << 16)]
    if raw.startswith(ENDS):
        os._exit(1)
    return _sound(raw, bounds)


def reader(bounds: Bounds, originals: str) -> Callable[[read_child.Job], Iterator[Any]]:
    """What an isolated process runs."""
    read.read_mail = read_mail
    return read_child.reader(bounds, originals)
