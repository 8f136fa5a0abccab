"""`ctx`: what a worker schedules for after its reply."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import structlog

log = structlog.get_logger("dmarcworks.worker")

AFTER_SECONDS = 30.0


class Context:
    """One call's context. What `wait_until` was given runs on after the reply, for at most 30 seconds."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._tasks: set[asyncio.Task[None]] = set()

    def wait_until(self, awaitable: Awaitable[object]) -> None:
        """Let this come to its end after the reply; what it raises is logged and hurts nobody."""
        self._tasks.add(task := asyncio.ensure_future(self._one(awaitable)))
        task.add_done_callback(self._tasks.discard)

    async def _one(self, awaitable: Awaitable[object]) -> None:
        try:
            await asyncio.wait_for(awaitable, AFTER_SECONDS)
        except SystemExit as error:
            log.error("what a worker left to do failed", worker=self._worker, error=f"sys.exit({error.code!r})")
        # Other people's code, and nobody waits for it any more.
        except Exception as error:
            log.error("what a worker left to do failed", worker=self._worker, error=repr(error))
