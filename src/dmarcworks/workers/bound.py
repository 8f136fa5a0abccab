"""A worker of this house as the router calls it: its environment and time box are already in hand."""

from __future__ import annotations

from dmarcworks.workers.message import Message
from dmarcworks.workers.runtime import Delivered, Env, Worker, run


class BoundWorker:
    """A worker that is part of dmarcworks; it runs in the server's own loop and is trusted not to block it."""

    def __init__(self, worker: Worker, env: Env, *, seconds: float = 30.0) -> None:
        self._worker = worker
        self._env = env
        self._seconds = seconds

    async def recipient(self, address: str) -> bool:
        """Asked at RCPT."""
        return await self._worker.recipient(address, self._env)

    async def deliver(self, message: Message) -> Delivered:
        """Run `email()`."""
        return await run(self._worker, message, self._env, seconds=self._seconds)
