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
from tests.support.ingesting import system_consumer
from tests.support.mails import report_mail
from tests.support.waiting import wait_until
from tests.support.worker_house import House

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


async def empty(house: House) -> bool:
    stats = await house.stats()
    return not stats.ready + stats.delayed + stats.leased


async def test_a_large_mail_holds_up_nobody(house: House) -> None:
    """The batch ends without it; it is leased until it is read, then counted and acknowledged."""
    slow = Slow()
    house.replace(isolated=slow)
    for raw in (report_mail("one"), large("two"), report_mail("three")):
        assert await house.mail(raw) == ACCEPTED
    assert await house.turn() == 3
    assert (await house.total())[0] == 2
    stats = await house.stats()
    assert (stats.ready, stats.delayed, stats.leased) == (0, 0, 1)
    assert await house.mail(report_mail("four")) == ACCEPTED
    assert await house.turn() == 1
    assert (await house.total())[0] == 3
    slow.go.set()
    await wait_until(lambda: empty(house), "the queue empty")
    assert await house.total() == (4, 8, 20)
    assert await house.problems() == []


async def test_its_lease_is_renewed(house: House) -> None:
    """However long it takes, nobody else gets it meanwhile; without its consumer it comes again."""
    slow = Slow()
    leases = cast("Leases", house.queue)
    house.replace(isolated=slow, leases=leases)
    house.consumer = system_consumer(house.env, lease=0.03)
    assert await house.mail(large("one")) == ACCEPTED
    assert await house.turn() == 1
    house.clock.now += 0.02
    renewed: list[Sequence[LeasedMessage]] = []
    renew = house.queue._inner.renew

    async def counted(ids: Sequence[LeasedMessage], *, lease: float) -> None:
        await renew(ids, lease=lease)
        renewed.append(ids)

    house.queue._inner.renew = counted
    await wait_until(lambda: len(renewed) >= 2, "the lease renewed twice")
    house.clock.now += 0.02
    assert await house.env.queue.receive(SYSTEM_QUEUE) == []
    slow.go.set()
    await wait_until(lambda: empty(house), "the queue empty")
    assert await house.total() == (1, 2, 5)
    await house.consumer._detached_messages.finish(0)


@pytest.mark.parametrize(
    ("error", "failures"),
    [(StoreError("away"), 0), (UnavailableError("no process"), 0), (RuntimeError("a bug"), 1)],
)
async def test_what_fails_is_tried_again(house: House, error: Exception, failures: int) -> None:
    """A store that is away and a process that does not start use up no try; a bug does."""
    slow = Slow(failures=[error])
    slow.go.set()
    house.replace(isolated=slow)
    assert await house.mail(large("one")) == ACCEPTED
    assert await house.turn() == 1

    async def delayed() -> bool:
        return (await house.stats()).delayed == 1

    await wait_until(delayed, "the mail delayed")
    house.clock.now += 600
    (message,) = await house.env.queue.receive(SYSTEM_QUEUE, lease=1)
    assert message.failures == failures
    house.clock.now += 2
    await house.turn()
    await wait_until(lambda: empty(house), "the queue empty")
    assert await house.total() == (1, 2, 5)


async def test_the_end_of_the_process_hands_it_back(house: House) -> None:
    """At once, and as no failure."""
    slow = Slow()
    house.replace(isolated=slow)
    assert await house.mail(large("one")) == ACCEPTED
    running = asyncio.create_task(house.consumer.run())
    await slow.begun.wait()
    await house.consumer.stop(grace=0.1)
    assert running.done()
    (message,) = await house.env.queue.receive(SYSTEM_QUEUE)
    assert (message.failures, message.deliveries) == (0, 2)


async def test_a_suspect_is_read_beside_others_and_counted_alone(house: House) -> None:
    """What may have ended a process before cannot do so in reading; after that it is with nothing else in hand."""
    slow, turns = Slow(), BatchScheduler()
    house.replace(isolated=slow)
    house.consumer = system_consumer(house.env, scheduler=turns)
    assert await house.mail(large("one")) == ACCEPTED
    assert len(await house.env.queue.receive(SYSTEM_QUEUE, lease=10)) == 1
    house.clock.now += 11
    assert await house.turn() == 1
    await slow.begun.wait()
    assert await house.mail(report_mail("two")) == ACCEPTED
    assert await house.turn() == 1
    assert (await house.total())[0] == 1
    turns.begin()
    slow.go.set()
    await wait_until(turns.receiving.locked, "the large mail waiting for its batch")
    assert (await house.total())[0] == 1
    turns.end()
    await wait_until(lambda: empty(house), "the queue empty")
    assert (await house.total())[0] == 2
    assert not turns.receiving.locked()


async def test_only_so_many_are_aside(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than there may be aside wait in the queue, as no failure."""
    slow = Slow()
    house.replace(isolated=slow)
    monkeypatch.setattr("dmarcworks.workers.detached._MOST", 1)
    for name in ("one", "two"):
        assert await house.mail(large(name)) == ACCEPTED
    assert await house.turn() == 2
    stats = await house.stats()
    assert (stats.leased, stats.delayed) == (1, 1)
    slow.go.set()
    await wait_until(lambda: _leased(house), "no mail leased")
    await house.turn(600)
    await wait_until(lambda: empty(house), "the queue empty")
    assert await house.total() == (2, 4, 10)


async def _leased(house: House) -> bool:
    return (await house.stats()).leased == 0
