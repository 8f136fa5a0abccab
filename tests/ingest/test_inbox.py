"""The inbox's bounds: hit, they are told in words and numbers; looked up once a second, however many ask."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from dmarcworks.bindings.contracts import SYSTEM_QUEUE, QueueStats
from dmarcworks.errors import StoreError
from dmarcworks.ingest.backpressure import Backpressure


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Counted:
    """A queue that only tells how much waits."""

    answers: Sequence[QueueStats | Exception]
    asked: int = field(default=0)

    async def stats(self) -> Mapping[str, QueueStats]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return {SYSTEM_QUEUE: answer, "other": QueueStats(9, 9, 9, 9)}


def inbox(queue: Counted, clock: Clock, folders: dict[str, Path] | None = None, **bounds: Any) -> Backpressure:
    return Backpressure(cast("Any", queue), folders or {}, **{"items": 3, "free_share": 0.0, **bounds}, clock=clock)


async def test_so_many_may_wait_and_no_more() -> None:
    """Ready, delayed and leased all wait, dead ones do not; a second later it is asked again."""
    queue = Counted([QueueStats(1, 1, 0, 9), QueueStats(1, 1, 1, 0), QueueStats(2, 0, 0, 0)])
    clock = Clock()
    asked = inbox(queue, clock)
    assert [await asked.full() for _ in range(100)] == [""] * 100
    assert queue.asked == 1
    clock.now += 1
    assert await asked.full() == "3 mails wait to be read (inbox_items = 3)"
    clock.now += 1
    assert await asked.full() == ""


async def test_a_disk_keeps_its_free_share(tmp_path: Path) -> None:
    """The share that anybody but root may still write; a folder that is not there bounds nothing."""
    disk = os.statvfs(tmp_path)
    share = disk.f_bavail / disk.f_blocks
    folders = {"objects": tmp_path, "database": tmp_path / "not-made"}
    queue = Counted([QueueStats(0, 0, 0, 0)])
    assert await inbox(queue, Clock(), folders, free_share=share / 2).full() == ""
    full = await inbox(queue, Clock(), folders, free_share=(1 + share) / 2).full()
    assert full.endswith(f"of the disk of objects is free (inbox_free_share = {(1 + share) / 2:g})")


async def test_a_queue_that_is_away_is_not_full() -> None:
    """Its own refusal is what the sender hears; the figures are told as unknown."""
    asked = inbox(Counted([StoreError("away")]), Clock())
    assert await asked.full() == ""
    told = await asked.status()
    assert told == {
        "state": "unknown: the queue does not answer",
        "bounds": {"items": 3, "free_share": 0.0},
    }


@pytest.mark.parametrize(("waiting", "state"), [(2, "ok"), (3, "full: 3 mails wait to be read (inbox_items = 3)")])
async def test_what_is_told(waiting: int, state: str) -> None:
    """State, waiting, the oldest one's age, bounds."""
    told = await inbox(Counted([QueueStats(waiting, 0, 0, 1, 7.25)]), Clock()).status()
    assert told == {
        "state": state,
        "waiting": waiting,
        "oldest_seconds": 7.2,
        "free": {},
        "bounds": {"items": 3, "free_share": 0.0},
    }
