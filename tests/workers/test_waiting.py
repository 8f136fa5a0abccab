"""Promise: a message that is told to come again does so, also when it is worked on apart from its batch."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from dmarcworks.bindings.contracts import LeasedMessage
from dmarcworks.errors import StoreError
from dmarcworks.ingest.batching import BatchScheduler
from dmarcworks.workers.batch import BatchMessage, Decision
from dmarcworks.workers.detached import DetachedMessages

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("raised", "waits", "settled"),
    [
        (None, False, Decision(True)),
        (None, True, Decision(False, 8.0, "DNS gives no answer", True)),
        (StoreError("unavailable"), False, Decision(False, None, "unavailable", True)),
        # What the work said first holds.
        (StoreError("unavailable"), True, Decision(False, 8.0, "DNS gives no answer", True)),
    ],
)
async def test_what_is_worked_on_apart_may_wait(raised: Exception | None, waits: bool, settled: Decision) -> None:
    told: list[Decision | None] = []
    done = asyncio.Event()

    async def settle(message: BatchMessage) -> None:
        told.append(message.decision)
        done.set()

    detached = DetachedMessages(None, 300.0, BatchScheduler(), lambda message: None, settle)
    message = BatchMessage(LeasedMessage(1, "dmarc", "json", b"{}", NOW, 1), detached)

    async def prepare(own: BatchMessage) -> BatchMessage:
        return own

    async def work(own: BatchMessage) -> None:
        if waits:
            own.retry(error="DNS gives no answer", temporary=True, delay_seconds=8.0)
        if raised is not None:
            raise raised

    assert message.detach(prepare, work)
    assert message.decision is None
    await asyncio.wait_for(done.wait(), 5)
    assert told == [settled]


def test_the_first_word_holds() -> None:
    message = BatchMessage(LeasedMessage(1, "dmarc", "json", b"{}", NOW, 1))
    message.ack()
    message.retry(error="late", temporary=True, delay_seconds=1.0)
    assert message.decision == Decision(True)
