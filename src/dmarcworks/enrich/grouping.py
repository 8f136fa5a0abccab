"""Steps of checks that begin at the same time cross to an isolated process together: the way costs more than the step.

Only small ones; a large mail goes by itself. A group that is killed or fails is run again one by one, so that a mail
has its own result whatever its neighbours hold.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from dmarcworks.enrich.examine import Work
from dmarcworks.process.isolated import FailedError, KilledError

__all__ = ["GROUP", "GroupedWork"]

GROUP = 25
_SMALL_BYTES = 64 * 1024
_Step = tuple[tuple[Any, ...], "asyncio.Future[Any]"]


class GroupedWork:
    """Calls `work` with one step or with a group of them; `close` ends what still runs."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._waiting: deque[_Step] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, argument: tuple[Any, ...]) -> Any:
        """The result of one step; `KilledError` or `FailedError` when it alone was the reason."""
        if argument[0] == "facts" and len(argument[1]) > _SMALL_BYTES:
            return await self._work(argument)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if not self._waiting:
            # After all that begin now.
            loop.call_soon(self._send)
        self._waiting.append((argument, future))
        return await future

    def close(self) -> None:
        """End what still runs."""
        for task in self._tasks:
            task.cancel()

    def _send(self) -> None:
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(GROUP, len(self._waiting)))]
            task = asyncio.get_running_loop().create_task(self._run(group))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, group: list[_Step]) -> None:
        left = [step for step in group if not step[1].done()]
        try:
            while len(left) > 1:
                results = await self._work(("group", [argument for argument, _ in left]))
                for (_, future), result in zip(left, results, strict=False):
                    if not future.done():
                        future.set_result(result)
                left = left[len(results) :]
        except (KilledError, FailedError):
            pass  # one by one it shows which it was
        except Exception as error:
            _fail(left, error)
            return
        await asyncio.gather(*(self._single(step) for step in left))

    async def _single(self, step: _Step) -> None:
        argument, future = step
        try:
            result = await self._work(argument)
        except Exception as error:
            _fail([step], error)
            return
        if not future.done():
            future.set_result(result)


def _fail(steps: list[_Step], error: Exception) -> None:
    for _, future in steps:
        if not future.done():
            future.set_exception(error)
