"""Waiting for an event instead of for a time; the only places where a test sleeps to look again."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

import pytest

PATIENCE = 30.0
_PAUSE = 0.01


def wait_for(question: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Ask until the answer is true; the answer."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds:g} s still not {what}")
        time.sleep(_PAUSE)
    return answer


async def wait_until(question: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """The same on the event loop; the question may be a coroutine function."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds:g} s still not {what}")
        await asyncio.sleep(_PAUSE)
