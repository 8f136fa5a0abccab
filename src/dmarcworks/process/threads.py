"""The threads that long work runs in, and an end that does not wait for them.

What Python starts with `asyncio.to_thread` it also waits for at its end, however long that takes. A server that was
stopped has returned the work to the queue by then; no caller waits for what a thread still reads.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

__all__ = ["leave", "pool"]

_NAME = "dmarcworks-work"


def pool() -> ThreadPoolExecutor:
    """The running loop's default threads, by a name of ours."""
    threads = ThreadPoolExecutor(thread_name_prefix=_NAME)
    asyncio.get_running_loop().set_default_executor(threads)
    return threads


async def leave(threads: ThreadPoolExecutor, seconds: float = 1.0) -> None:
    """Let the threads end; after `seconds` end the process without those that do not. Nothing may be open by then."""
    threads.shutdown(wait=False, cancel_futures=True)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while any(thread.name.startswith(_NAME) for thread in threading.enumerate()):
        if loop.time() > deadline:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
        await asyncio.sleep(0.01)
