"""Calls from a worker's own loop into the server's, where connections and locks live."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from dmarcworks.workers.message import EmailMessage, Message, Post

Result = TypeVar("Result")


async def across(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in `loop` and wait for it here; called from another loop."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))


class AcrossPost:
    """The way out, from a worker's loop."""

    def __init__(self, post: Post, loop: asyncio.AbstractEventLoop) -> None:
        self._post = post
        self._loop = loop

    async def forward(self, message: Message, to: str, headers: Mapping[str, str]) -> str:
        """Send the mail on."""
        return await across(self._loop, self._post.forward(message, to, headers))

    async def reply(self, message: Message, reply: EmailMessage) -> str:
        """Send an answer to the mail's sender."""
        return await across(self._loop, self._post.reply(message, reply))
