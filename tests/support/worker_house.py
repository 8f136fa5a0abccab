"""The DMARC worker over real embedded stores; `Tap` stands in the way of one of them when a test wants a crash."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dmarcworks.analytics import schema
from dmarcworks.bindings.chdb import ChdbAnalytics
from dmarcworks.bindings.contracts import SYSTEM_QUEUE, Analytics, OutgoingMessage, QueueStats
from dmarcworks.bindings.folder import FolderObjects
from dmarcworks.bindings.sqlite import SqliteDatabase
from dmarcworks.bindings.sqlite_stores import SqliteKV, SqliteQueue
from dmarcworks.catalogue.accounts import Accounts, Domain
from dmarcworks.catalogue.arrivals import Arrivals
from dmarcworks.catalogue.problems import Problems
from dmarcworks.ingest.environment import Env
from dmarcworks.reports.bounds import Bounds
from dmarcworks.workers.consumer import Consumer
from dmarcworks.workers.message import Message
from tests.support.ingesting import deliver, system_consumer


@dataclass
class Clock:
    """Unix seconds for the queue, so that a test need not wait for a lease or a retry."""

    now: float = 1_790_100_000.0

    def __call__(self) -> float:
        return self.now


class Tap:
    """A binding whose methods can be made to fail before or after they did their work; else it is the binding."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        # None lets a call through.
        self.before: dict[str, list[Exception | None]] = {}
        self.after: dict[str, list[Exception]] = {}

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._inner, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            if self.before.get(name) and (error := self.before[name].pop(0)) is not None:
                raise error
            result = await real(*args, **kwargs)
            if self.after.get(name):
                raise self.after[name].pop(0)
            return result

        return call


@dataclass
class House:
    """A domain, the stores behind it, and a consumer that a test turns by hand."""

    env: Env
    domain: Domain
    consumer: Consumer
    clock: Clock
    folder: Path
    analytics: Tap
    objects: Tap
    queue: Tap
    accounts: Accounts

    def replace(self, **parts: Any) -> None:
        """Another environment, and a consumer for it."""
        self.env = dataclasses.replace(self.env, **parts)
        self.consumer = system_consumer(self.env)

    async def mail(self, raw: bytes, *, to: str | None = None) -> str:
        """Deliver a mail; the SMTP reply."""
        message = Message("dmarc@mail.example", to or self.domain.rua, raw)
        return await deliver(message, self.env)

    async def add_domain(self, name: str, account: str = "default") -> Domain:
        """Another domain, of the same account unless told."""
        return await self.accounts.add_domain(name, account)

    async def turn(self, seconds: float = 0.0) -> int:
        """Let time pass and work one batch."""
        self.clock.now += seconds
        return await self.consumer.once()

    async def settle(self) -> None:
        """Work until nothing waits, leases and delays included."""
        for _ in range(40):
            stats = await self.stats()
            if not stats.ready + stats.delayed + stats.leased:
                return
            await self.turn(600)
        raise AssertionError("the queue does not empty")

    async def send(self, body: Any) -> int:
        """Put a JSON message into the system's queue; its id."""
        message = OutgoingMessage("json", json.dumps(body).encode())
        (number,) = await self.env.queue.send(SYSTEM_QUEUE, [message])
        return int(number)

    async def stats(self) -> QueueStats:
        """How much waits in the system's queue."""
        found = await self.env.queue.stats()
        return found.get(SYSTEM_QUEUE, QueueStats(0, 0, 0, 0))

    async def total(self) -> tuple[int, int, int]:
        """What Analytics holds of this domain: reports, rows, messages."""
        answer = await self.env.analytics.query(
            "SELECT uniqExact(report_key) AS reports, count() AS rows, toInt64(sum(count)) AS messages"
            " FROM dmarc_reports WHERE domain_id = {domain_id:String}",
            {"domain_id": self.domain.id},
        )
        found = json.loads(answer)
        return int(found["reports"]), int(found["rows"]), int(found["messages"])

    async def problems(self) -> list[str]:
        return sorted(row.reason for row in await self.env.problems.list(self.domain.account_id))


def bounded(house: House, **bounds: int) -> None:
    """Tighten the bounds of reading."""
    house.replace(bounds=dataclasses.replace(house.env.bounds, **bounds))


@asynccontextmanager
async def migrated_analytics(folder: Path) -> AsyncIterator[Analytics]:
    """An engine of its own in the folder, with the tables of this version."""
    store = ChdbAnalytics(folder)
    await schema.migrate(store)
    yield store
    await store.close()


@asynccontextmanager
async def opened_house(analytics: Analytics, folder: Path) -> AsyncIterator[House]:
    """A fresh catalogue, queue and archive in the folder beside an engine that several tests share."""
    clock = Clock()
    database = SqliteDatabase(folder / "catalogue.db")
    await database.migrate()
    kv = SqliteKV(database)
    accounts = Accounts(database, kv, "reports.example.net")
    domain = await accounts.add_domain("example.com")
    taps = Tap(analytics), Tap(FolderObjects(folder / "objects")), Tap(SqliteQueue(database, clock))
    env = Env(
        kv=kv,
        objects=taps[1],
        queue=taps[2],
        analytics=taps[0],
        arrivals=Arrivals(database),
        problems=Problems(database),
        bounds=Bounds(),
        now=lambda: datetime.fromtimestamp(clock.now, UTC),
    )
    consumer = system_consumer(env)
    yield House(env, domain, consumer, clock, folder, *taps, accounts)
    await database.close()
