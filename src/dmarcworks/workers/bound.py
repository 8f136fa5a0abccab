"""A worker that is part of dmarcworks: its handlers, bound to their environment and time limits.

It runs in the server's own event loop and is trusted not to block it. Return = 250, `set_reject` = 550 5.7.1, an
exception or a time-out = 451.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from dmarcworks.errors import DmarcworksError
from dmarcworks.ingest.backpressure import FULL
from dmarcworks.ingest.environment import Env
from dmarcworks.workers.batch import Batch, BatchMessage
from dmarcworks.workers.context import Context
from dmarcworks.workers.message import Message
from dmarcworks.workers.outcome import ACCEPTED, TRY_LATER, Delivered

__all__ = ["BoundWorker", "Worker"]

log = structlog.get_logger("dmarcworks.worker")

Dead = Callable[[BatchMessage, str, Env], Awaitable[None]]


class Worker(Protocol):
    """A module with the handlers of a worker."""

    async def recipient(self, address: str, env: Env) -> bool:
        """Called at RCPT: is this address ours?"""

    async def email(self, message: Message, env: Env, ctx: Context) -> str:
        """Accept the mail durably; a word for the log."""

    async def queue(self, batch: Batch, env: Env, ctx: Context) -> None:
        """Do the work; acknowledge or retry each message."""


class BoundWorker:
    """`dead` is called with a message before it is dead-lettered."""

    def __init__(self, name: str, worker: Worker, env: Env, *, seconds: float = 30.0, dead: Dead | None = None) -> None:
        self.name = name
        self._worker = worker
        self._env = env
        self._seconds = seconds
        self._dead = dead

    async def recipient(self, address: str) -> bool:
        """Called at RCPT."""
        return await self._worker.recipient(address, self._env)

    async def deliver(self, message: Message) -> Delivered:
        """Run `email()`: its outcome as an SMTP reply, and one line in the log."""
        started = time.perf_counter()
        outcome, reply = "", TRY_LATER
        if full := await self._env.full():
            return Delivered(FULL, full, 0.0)
        try:
            async with asyncio.timeout(self._seconds):
                outcome = await self._worker.email(message, self._env, Context(self.name))
            reply = ACCEPTED if message.reject_reason is None else f"550 5.7.1 {message.reject_reason}"
        except TimeoutError:
            outcome = f"no outcome within {self._seconds:g} s"
        except DmarcworksError as error:
            outcome = str(error)
        # Whatever it raises is 451 for the sender and a line in our log.
        except Exception as error:
            outcome = repr(error)
            log.exception("worker failed")
        took = time.perf_counter() - started
        log.info(
            "mail",
            id=outcome if reply == ACCEPTED else None,
            recipient=message.to,
            sender=message.from_,
            peer=message.peer,
            size=message.raw_size,
            outcome=reply[:3] if reply == ACCEPTED else f"{reply[:3]} {outcome}",
            ms=round(took * 1000, 1),
        )
        return Delivered(reply, outcome, took)

    async def queue(self, batch: Batch) -> Exception | None:
        """Run `queue()`: what it raised, or None."""
        try:
            await self._worker.queue(batch, self._env, Context(self.name))
        except DmarcworksError as error:
            return error
        except Exception as error:
            log.exception("queue() failed", worker=self.name)
            return error
        return None

    async def dead(self, message: BatchMessage, error: str) -> None:
        """A message is about to be dead-lettered."""
        if self._dead is not None:
            await self._dead(message, error, self._env)
