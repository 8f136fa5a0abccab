"""Work that is cancelled when its client disconnects, so that an abandoned statement keeps no slot."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

__all__ = ["ClientDisconnect", "while_connected"]

_T = TypeVar("_T")


async def while_connected(request: Request, work: Coroutine[Any, Any, _T]) -> _T:
    """The result of `work`; when the client leaves before it is there, `work` is cancelled and awaited.

    Raises `ClientDisconnect` then. The request's body must have been read: what is left of it is dropped.
    """
    task, left = asyncio.create_task(work), asyncio.create_task(_left(request))
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        counter = getattr(request.app.state, "left", None)
        if counter is not None:
            counter.inc()
        raise ClientDisconnect
    finally:
        task.cancel()
        left.cancel()
        await asyncio.gather(task, left, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
