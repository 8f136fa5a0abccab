"""Pools of isolated children for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dmarcworks.process.isolated import IsolatedPool

WORK = "tests.support.targets:work"


@asynccontextmanager
async def pool(target: str = WORK, **options: Any) -> AsyncIterator[IsolatedPool]:
    """A pool that is closed at the end."""
    made = IsolatedPool(target, **{"name": "test", "cpu_seconds": 30.0, **options})
    try:
        yield made
    finally:
        await made.close()


def gone(pid: int) -> bool:
    """Whether the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
