"""`dmarcworks` with a reader that cannot bear some mails.

One kills the server, one kills the process that reads it, one is read for ever, one fails until the file that POISON
names is gone (the mend).

Run as the command is: `python poisonous.py serve`. The rest of the process is the real thing.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from dmarcworks.ingest import read_child
from dmarcworks.ingest import read_source as read

DEADLY, KILLABLE, ENDLESS, BROKEN = b"X-Test: deadly", b"X-Test: mortal", b"X-Test: endless", b"X-Test: broken"
_sound = read.read_mail


def read_mail(raw: bytes, *rest: Any, **options: Any) -> Any:
    """The real reading, but for some marks."""
    if KILLABLE in raw:
        os.kill(os.getpid(), signal.SIGKILL)
    while ENDLESS in raw:
        pass
    if BROKEN in raw and os.path.exists(poison):
        raise RuntimeError("this reader has a bug")
    return _sound(raw, *rest, **options)


def reader(path: str, *arguments: Any) -> Any:
    """What an isolated process runs."""
    global poison
    poison, read.read_mail = path, read_mail
    return read_child.reader(*arguments)


def poisoned() -> None:
    """Let isolated processes read as above, and a mail with the first mark kill this one."""
    from dmarcworks.ingest import reading
    from dmarcworks.process import isolated

    sound = reading.Isolated.together

    class Pool(isolated.IsolatedPool):
        def __init__(self, target: str, *, arguments: Any, **options: Any) -> None:
            path = os.environ.get("POISON", "")
            super().__init__("poisonous:reader", arguments=(path, *arguments), **options)

    async def together(self: Any, sources: Any, reports: int, rows: int) -> Any:
        if any(DEADLY in source.content for source in sources):
            os.kill(os.getpid(), signal.SIGKILL)
        return await sound(self, sources, reports, rows)

    reading.IsolatedPool = Pool  # type: ignore[misc]
    reading.Isolated.together = together  # type: ignore[method-assign]


poison = ""
if __name__ == "__main__":
    poisoned()
    from dmarcworks.cli import main

    main()
