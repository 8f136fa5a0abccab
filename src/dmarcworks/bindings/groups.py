"""Calls that come while one runs share the next: what they cost, an fsync or a trip to a thread, is split among them.

The group's work begins after each of its calls, so a call sees all that was done before it. A caller that is cancelled
affects no other caller; when the work fails, every caller of the group gets an error object of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from dmarcworks.errors import DmarcworksError, StoreError

__all__ = ["GroupedCalls"]

_Ask = TypeVar("_Ask")
_Answer = TypeVar("_Answer")
_MOST = 500


class GroupedCalls(Generic[_Ask, _Answer]):
    """`work` answers a group of at most 500 in their order; `name` is for the task and the text of odd failures."""

    def __init__(self, work: Callable[[list[_Ask]], Awaitable[Sequence[_Answer]]], name: str) -> None:
        self._work = work
        self._name = name
        self._waiting: list[tuple[_Ask, asyncio.Future[_Answer]]] = []
        self._running: asyncio.Task[None] | None = None

    async def call(self, request: _Ask) -> _Answer:
        """Wait for the group's turn; the own answer."""
        future: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._running is None or self._running.done():
            # A task of its own: a caller that is cancelled must not take the others of its group with it.
            self._running = asyncio.create_task(self._run(), name=self._name)
        return await future

    async def _run(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            try:
                answers = await self._work([request for request, _ in group])
            except asyncio.CancelledError:
                for _, future in group + self._waiting:
                    future.cancel()
                self._waiting.clear()
                raise
            except Exception as error:  # whatever the error is, the waiting callers must get it
                for _, future in group:
                    if not future.done():
                        future.set_exception(self._copy(error))
                continue
            for answer, (_, future) in zip(answers, group, strict=True):
                if not future.done():
                    future.set_result(answer)

    def _copy(self, error: Exception) -> Exception:
        """One exception object must not be raised in many tasks: their tracebacks would grow into each other."""
        if isinstance(error, DmarcworksError):
            return type(error)(str(error))
        return StoreError(f"the {self._name} failed: {error}")
