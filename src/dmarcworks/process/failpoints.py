"""Named steps at which a test lets the process die, fail or wait: what happens there must lose and double nothing.

In: `DMARCWORKS_TEST_FAILPOINT`, read once at import: `name[:nth][:action]`, several with commas between. `nth` is the
hit that counts (default: 1) or a range of them (`2-5`); the action is `kill` (SIGKILL to this process, the default),
`error` (`StoreError`, as if the store of that step were unavailable) or `sleep=SECONDS`. Unset, `hit` does nothing.
An unknown name or action is a `SettingsError`. Only tests set it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from dmarcworks.errors import SettingsError, StoreError

__all__ = ["MAILBOX_NAMES", "NAMES", "VARIABLE", "armed", "hit"]

VARIABLE = "DMARCWORKS_TEST_FAILPOINT"
NAMES = (
    "objects.written",  # the bytes are on disk under a temporary name
    "objects.named",  # the object has its name, the folder is not on disk yet
    "accept.put",  # the raw mail is in Objects, nothing in the Queue
    "queue.insert",  # the group's items are written, not committed
    "queue.committed",  # committed, and no caller knows it yet
    "accept.sent",  # all is durable, the reply 250 is not sent
    "lease.taken",
    "read.done",
    "archive.put",
    "report.recorded",
    "insert.before",
    "insert.after",
    "published.marked",
    "ack.before",
    "ack.after",
)
# The steps of fetching from a mailbox.
MAILBOX_NAMES = (
    "mailbox.accepted",  # mails are accepted durably, and nothing is noted of it
    "mailbox.settled",  # the mailbox has moved or marked them, and nothing is noted of it
)


@dataclass(slots=True)
class _Armed:
    first: int
    last: int
    action: str
    seconds: float
    hits: int = 0


def _off(name: str) -> None:
    """Nothing is armed."""


def armed(text: str) -> Callable[[str], None]:
    """The function that every named step calls, as `text` (the variable's value) defines it."""
    if not text:
        return _off
    points = dict(_point(part.strip()) for part in text.split(","))
    lock = threading.Lock()

    def on(name: str) -> None:
        point = points.get(name)
        if point is None:
            return
        with lock:
            point.hits += 1
            if not point.first <= point.hits <= point.last:
                return
        if point.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif point.action == "sleep":
            time.sleep(point.seconds)
        else:
            raise StoreError(f"failpoint {name}")

    return on


def _point(part: str) -> tuple[str, _Armed]:
    name, *rest = part.split(":")
    if name not in (*NAMES, *MAILBOX_NAMES):
        raise SettingsError(f"{VARIABLE}: there is no step {name!r}")
    first, last, action, seconds = 1, 1, "kill", 0.0
    for word in rest:
        start, dash, end = word.partition("-")
        if start.isdigit() and (end.isdigit() or not dash):
            first, last = int(start), int(end or start)
        elif word in ("kill", "error"):
            action = word
        elif word.startswith("sleep=") and word[6:].replace(".", "", 1).isdigit():
            action, seconds = "sleep", float(word[6:])
        else:
            raise SettingsError(f"{VARIABLE}: {word!r} is neither a hit nor an action")
    return name, _Armed(first, last, action, seconds)


hit = armed(os.environ.get(VARIABLE, ""))
