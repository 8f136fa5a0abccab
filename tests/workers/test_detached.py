"""Large mails are worked on apart from their batch: neighbours go on, leases hold, and what fails is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from dmarcworks.bindings.contracts import SYSTEM_QUEUE, LeasedMessage, Leases
from dmarcworks.errors import StoreError
from dmarcworks.ingest.batching import BatchScheduler
from dmarcworks.ingest.read_source import Read, Source
from dmarcworks.ingest.reading import ORDINARY_BYTES, InProcess
from dmarcworks.process.isolated import UnavailableError
from dmarcworks.reports.bounds import Bounds
from tests.support.harness import Harness
from tests.support.ingesting import system_consumer
from tests.support.mails import report_mail
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="package")
ACCEPTED = "250 2.0.0 Accepted"


def large(name: str) -> bytes:
    return report_mail(name) + b"\r\n" * ORDINARY_BYTES


@dataclass
class Slow:
    """Reads large mails when it is let, or fails as it is told."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    failures: list[Exception] = field(default_factory=list)
    inner: InProcess = field(default_factory=lambda: InProcess(Bounds(), "headers"))
    isolated: bool = True

    async def together(self, sources: Sequence[Source], reports: int, rows: int) -> list[Read | None]:
        return await self.inner.together(sources, reports, rows)

    async def alone(self, fetch: Callable[[], Awaitable[Source]]) -> Read:
        self.begun.set()
        await self.go.wait()
        if self.failures:
            raise self.failures.pop(0)
        return await self.inner.alone(fetch)


async def empty(harness: Harness) -> bool:
    stats = await harness.stats()
    return not stats.ready + stats.delayed + stats.leased


async def test_a_large_mail_holds_up_nobody(harness: Harness) -> None:
    """The batch ends without it; it is leased until it is read, then counted and acknowledged."""
    slow = Slow()
    harness.replace(isolated=slow)
    for raw in (report_mail("one"), large("two"), report_mail("three")):
        assert await harness.mail(raw) == ACCEPTED
    assert await harness.process_batch() == 3
    assert (await harness.total())[0] == 2
    stats = await harness.stats()
    assert (stats.ready, stats.delayed, stats.leased) == (0, 0, 1)
    assert await harness.mail(report_mail("four")) == ACCEPTED
    assert await harness.process_batch() == 1
    assert (await harness.total())[0] == 3
    slow.go.set()
    await wait_until(lambda: empty(harness), "the queue empty")
    assert await harness.total() == (4, 8, 20)
    assert await harness.problem_reasons() == []


async def test_its_lease_is_renewed(harness: Harness) -> None:
    """However long it takes, nobody else gets it meanwhile; without its consumer it comes again."""
    slow = Slow()
    leases = cast("Leases", harness.queue)
    harness.replace(isolated=slow, leases=leases)
    harness.consumer = system_consumer(harness.env, lease=0.03)
    assert await harness.mail(large("one")) == ACCEPTED
    assert await harness.process_batch() == 1
    harness.clock.now += 0.02
    renewed: list[Sequence[LeasedMessage]] = []
    renew = harness.queue._inner.renew

    async def counted(ids: Sequence[LeasedMessage], *, lease: float) -> None:
        await renew(ids, lease=lease)
        renewed.append(ids)

    harness.queue._inner.renew = counted
    await wait_until(lambda: len(renewed) >= 2, "the lease renewed twice")
    harness.clock.now += 0.02
    assert await harness.env.queue.receive(SYSTEM_QUEUE) == []
    slow.go.set()
    await wait_until(lambda: empty(harness), "the queue empty")
    assert await harness.total() == (1, 2, 5)
    await harness.consumer._detached_messages.finish(0)


@pytest.mark.parametrize(
    ("error", "failures"),
    [(StoreError("away"), 0), (UnavailableError("no process"), 0), (RuntimeError("a bug"), 1)],
)
async def test_what_fails_is_tried_again(harness: Harness, error: Exception, failures: int) -> None:
    """A store that is away and a process that does not start use up no try; a bug does."""
    slow = Slow(failures=[error])
    slow.go.set()
    harness.replace(isolated=slow)
    assert await harness.mail(large("one")) == ACCEPTED
    assert await harness.process_batch() == 1

    async def delayed() -> bool:
        return (await harness.stats()).delayed == 1

    await wait_until(delayed, "the mail delayed")
    harness.clock.now += 600
    (message,) = await harness.env.queue.receive(SYSTEM_QUEUE, lease=1)
    assert message.failures == failures
    harness.clock.now += 2
    await harness.process_batch()
    await wait_until(lambda: empty(harness), "the queue empty")
    assert await harness.total() == (1, 2, 5)


async def test_the_end_of_the_process_returns_it(harness: Harness) -> None:
    """At once, and as no failure."""
    slow = Slow()
    harness.replace(isolated=slow)
    assert await harness.mail(large("one")) == ACCEPTED
    running = asyncio.create_task(harness.consumer.run())
    await slow.begun.wait()
    await harness.consumer.stop(grace=0.1)
    assert running.done()
    (message,) = await harness.env.queue.receive(SYSTEM_QUEUE)
    assert (message.failures, message.deliveries) == (0, 2)


async def test_a_suspect_is_read_next_to_others_and_counted_alone(harness: Harness) -> None:
    """What may have ended a process before cannot do so in reading; after that it is with nothing else in hand."""
    slow, order = Slow(), BatchScheduler()
    harness.replace(isolated=slow)
    harness.consumer = system_consumer(harness.env, scheduler=order)
    assert await harness.mail(large("one")) == ACCEPTED
    assert len(await harness.env.queue.receive(SYSTEM_QUEUE, lease=10)) == 1
    harness.clock.now += 11
    assert await harness.process_batch() == 1
    await slow.begun.wait()
    assert await harness.mail(report_mail("two")) == ACCEPTED
    assert await harness.process_batch() == 1
    assert (await harness.total())[0] == 1
    order.begin()
    slow.go.set()
    await wait_until(order.receiving.locked, "the large mail waiting for its batch")
    assert (await harness.total())[0] == 1
    order.end()
    await wait_until(lambda: empty(harness), "the queue empty")
    assert (await harness.total())[0] == 2
    assert not order.receiving.locked()


async def test_only_so_many_are_detached(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than there may be aside wait in the queue, as no failure."""
    slow = Slow()
    harness.replace(isolated=slow)
    monkeypatch.setattr("dmarcworks.workers.detached._MOST", 1)
    for name in ("one", "two"):
        assert await harness.mail(large(name)) == ACCEPTED
    assert await harness.process_batch() == 2
    stats = await harness.stats()
    assert (stats.leased, stats.delayed) == (1, 1)
    slow.go.set()
    await wait_until(lambda: _leased(harness), "no mail leased")
    await harness.process_batch(600)
    await wait_until(lambda: empty(harness), "the queue empty")
    assert await harness.total() == (2, 4, 10)


async def _leased(harness: Harness) -> bool:
    return (await harness.stats()).leased == 0
