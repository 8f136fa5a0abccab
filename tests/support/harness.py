"""One test system: the stores, the queue's consumer and the web application over a data directory, without sockets.

`opened_harness` opens it. Its options: a clock that the test moves, an analytics store that several tests share, and
taps on the stores that make single calls fail.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
from fastapi import FastAPI

from dmarcworks.analytics import schema
from dmarcworks.analytics.setup import opened_analytics
from dmarcworks.bindings.chdb import ChdbAnalytics
from dmarcworks.bindings.contracts import SYSTEM_QUEUE, Analytics, OutgoingMessage, QueueStats
from dmarcworks.bindings.sqlite_stores import SqliteQueue
from dmarcworks.catalogue.accounts import Accounts, Domain
from dmarcworks.catalogue.arrivals import Arrivals, NewReport
from dmarcworks.catalogue.problems import Problems
from dmarcworks.catalogue.routing import RoutingCatalogue
from dmarcworks.catalogue.stores import Stores, opened
from dmarcworks.ingest.environment import Env
from dmarcworks.ingest.setup import environment
from dmarcworks.reports.model import AggregateReport
from dmarcworks.settings import Settings
from dmarcworks.upkeep import jobs
from dmarcworks.upkeep.context import UpkeepContext
from dmarcworks.upkeep.replay.publishing_gate import PublishingGate
from dmarcworks.upkeep.setup import opened_upkeep
from dmarcworks.workers.message import Message
from dmarcworks.workers.outcome import ACCEPTED
from tests.support.ingesting import deliver, system_consumer

HOST = "reports.example.net"


@dataclass
class Clock:
    """Unix seconds that change only when a test moves them, so that it need not wait for a lease or a retry."""

    now: float = 1_790_100_000.0

    def __call__(self) -> float:
        return self.now


class Tap:
    """A binding whose methods can be made to fail before or after they did their work; otherwise it is the binding."""

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


class Harness:
    """The test system; a test runs its consumer by calling `process_batch` or `settle`."""

    def __init__(
        self, path: Path, context: UpkeepContext, *, env: Env | None = None, analytics: Any = None, clock: Any = None
    ) -> None:
        self.path = path
        self.context = context
        self.settings: Settings = context.settings
        self.stores: Stores = context.stores
        self.env = env or context.env
        # The store itself, or the tap on it.
        self.analytics: Any = analytics or context.analytics
        self.clock: Clock = clock
        self.consumer = system_consumer(self.env)
        self.app: FastAPI = FastAPI()
        self.password = "correct horse battery"
        # By name: domains that were added, and tokens' secrets.
        self.domains: dict[str, Domain] = {}
        self.secrets: dict[str, str] = {}

    # The stores ------------------------------------------------------------------------------------------------------

    @property
    def domain(self) -> Domain:
        """The first domain that was added."""
        return next(iter(self.domains.values()))

    @property
    def accounts(self) -> Accounts:
        return self.stores.accounts

    @property
    def arrivals(self) -> Arrivals:
        return self.stores.arrivals

    @property
    def problems(self) -> Problems:
        return self.stores.problems

    @property
    def routing(self) -> RoutingCatalogue:
        return self.stores.routing

    @property
    def objects(self) -> Any:
        """The object store, or the tap on it."""
        return self.env.objects

    @property
    def queue(self) -> Any:
        """The queue, or the tap on it."""
        return self.env.queue

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a statement on the catalogue's file."""
        with closing(sqlite3.connect(self.path / "dmarcworks.db", timeout=10)) as connection:
            rows = connection.execute(statement).fetchall()
            connection.commit()
            return rows

    def object(self, key: str) -> Path:
        return self.path / "objects" / key

    # Mail in, figures out --------------------------------------------------------------------------------------------

    def replace(self, **parts: Any) -> None:
        """Another environment, and a consumer for it."""
        self.env = dataclasses.replace(self.env, **parts)
        self.consumer = system_consumer(self.env)

    async def add_domain(self, name: str = "example.com", account: str = "default") -> Domain:
        """A domain, by default of the account "default"."""
        self.domains[name] = await self.accounts.add_domain(name, account)
        return self.domains[name]

    async def mail(self, raw: bytes, *, to: str | None = None) -> str:
        """Deliver a mail; the SMTP reply."""
        return await deliver(Message("dmarc@mail.example", to or self.domain.rua, raw), self.env)

    async def receive(self, domain: Domain, *mails: bytes) -> None:
        """Deliver mails that must be accepted, and process everything that waits."""
        for raw in mails:
            assert await self.mail(raw, to=domain.rua) == ACCEPTED
        await self.settle()

    async def process_batch(self, seconds: float = 0.0) -> int:
        """Let time pass and process one batch."""
        if self.clock is not None:
            self.clock.now += seconds
        return await self.consumer.once()

    async def settle(self) -> None:
        """Process until nothing waits; with a clock of the test also what is leased or delayed."""
        if self.clock is None:
            while await self.consumer.once():
                pass
            return
        for _ in range(40):
            stats = await self.stats()
            if not stats.ready + stats.delayed + stats.leased:
                return
            await self.process_batch(600)
        raise AssertionError("the queue does not empty")

    async def send(self, body: Any) -> int:
        """Put a JSON message into the system's queue; its id."""
        message = OutgoingMessage("json", json.dumps(body).encode())
        (number,) = await self.env.queue.send(SYSTEM_QUEUE, [message])
        return int(number)

    async def stats(self) -> QueueStats:
        """How much waits in the system's queue."""
        stats = await self.env.queue.stats()
        return stats.get(SYSTEM_QUEUE, QueueStats(0, 0, 0, 0))

    async def problem_reasons(self) -> list[str]:
        return sorted(row.reason for row in await self.env.problems.list(self.domain.account_id))

    async def query(self, statement: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        answer = await self.analytics.query(statement, parameters or {})
        return [json.loads(line) for line in answer.splitlines()]

    async def total(self) -> tuple[int, int, int]:
        """What Analytics holds of the first domain: reports, rows, messages."""
        (row,) = await self.query(
            "SELECT uniqExact(report_key) AS reports, count() AS rows, toInt64(sum(count)) AS messages"
            " FROM dmarc_reports WHERE domain_id = {domain_id:String}",
            {"domain_id": self.domain.id},
        )
        return int(row["reports"]), int(row["rows"]), int(row["messages"])

    async def sums(self, table: str = "dmarc_reports") -> list[tuple[str, str, int, int]]:
        """Domain, day, rows, messages."""
        rows = await self.query(
            "SELECT domain, toString(day) AS day, count() AS rows, toInt64(sum(count)) AS messages"
            f" FROM {table} GROUP BY domain, day ORDER BY domain, day"
        )
        return [(row["domain"], row["day"], int(row["rows"]), int(row["messages"])) for row in rows]

    # Reports without a mail ------------------------------------------------------------------------------------------

    async def report(
        self,
        domain: Domain,
        report: AggregateReport,
        *,
        state: str = "counted",
        publish: bool = True,
        received: datetime | None = None,
        file_name: str = "report.xml.gz",
        warnings: Sequence[dict[str, str]] = (),
    ) -> str:
        """Archive, note and publish a report; its key."""
        received = received or datetime.fromtimestamp(report.end + 3600, UTC)
        digest = hashlib.sha256(repr((domain.id, report)).encode()).hexdigest()
        key = f"2026/11/{digest}/report.xml.gz"
        await self.objects.put(key, b"raw " + digest.encode())
        noted = await self.arrivals.record_report(
            NewReport(
                account_id=domain.account_id,
                domain_id=domain.id,
                kind=report.kind,
                org_name=report.org_name or "",
                org_email=report.email or "",
                policy_domain=report.policy.domain,
                report_id=report.report_id,
                begin=report.begin,
                end=report.end,
                received=received,
                records=len(report.records),
                messages=report.messages,
                content=digest,
                object_key=key,
                file_name=file_name,
                mail_id=digest[:32],
                where="part 2",
                state=state,
                warnings=warnings,
            )
        )
        if publish:
            await self.publish([(domain, report, noted.row.key)])
        return noted.row.key

    async def publish(self, noted: Sequence[tuple[Domain, AggregateReport, str]]) -> None:
        """The second half: rows into Analytics, then the mark."""
        rows = [
            schema.rows(
                report,
                account_id=domain.account_id,
                domain_id=domain.id,
                domain=domain.name,
                received=self.env.now(),
                report_key=key,
                object_key="",
            )
            for domain, report, key in noted
        ]
        await self.analytics.insert("dmarc_reports", pa.concat_tables(rows))
        await self.arrivals.mark_published([key for _, _, key in noted])

    # Upkeep ----------------------------------------------------------------------------------------------------------

    async def do(self, job: str, **parameters: Any) -> list[dict[str, Any]]:
        """Run a job to its end; its events without the progress."""
        return [event async for event in jobs.run(self.context, job, parameters) if event["event"] != "progress"]

    async def kinds(self, **parameters: Any) -> list[str]:
        """The kinds of the differences that `verify` reports."""
        return [event["kind"] for event in await self.do("verify", **parameters) if event["event"] == "difference"]

    # HTTP ------------------------------------------------------------------------------------------------------------

    def client(self, address: str = "192.0.2.1") -> httpx.AsyncClient:
        """A browser that is not logged in."""
        transport = httpx.ASGITransport(self.app, client=(address, 1234))
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    async def logged_in(self, email: str) -> httpx.AsyncClient:
        """A browser with a session of that user."""
        user = await self.accounts.user(email)
        assert user is not None
        client = self.client()
        client.cookies.set("dmarcworks_session", await self.accounts.start_session(user.id))
        return client

    async def request(self, who: str, method: str, path: str, **options: Any) -> httpx.Response:
        """A REST request with that party's token."""
        headers = {"Authorization": f"Bearer {self.secrets[who]}", **options.pop("headers", {})}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://x/api/v1") as client:
            return await client.request(method, path, headers=headers, **options)

    async def get(self, who: str, path: str, **options: Any) -> Any:
        """The JSON of a GET that succeeds."""
        answer = await self.request(who, "GET", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def upload(self, who: str, domain: str, data: bytes, name: str = "") -> dict[str, Any]:
        """Upload and process; the upload's status."""
        answer = await self.request(who, "POST", "/reports", params={"domain": domain, "name": name}, content=data)
        assert answer.status_code == 202, answer.text
        await self.settle()
        status: dict[str, Any] = await self.get(who, f"/uploads/{answer.json()['mail_id']}")
        return status


def bounded(harness: Harness, **bounds: int) -> None:
    """Tighten the bounds of reading."""
    harness.replace(bounds=dataclasses.replace(harness.env.bounds, **bounds))


@asynccontextmanager
async def migrated_analytics(folder: Path) -> AsyncIterator[Analytics]:
    """An engine of its own in the folder, with the tables of this version."""
    store = ChdbAnalytics(folder)
    await schema.migrate(store)
    yield store
    await store.close()


@asynccontextmanager
async def opened_harness(
    path: Path,
    *,
    clock: Clock | None = None,
    analytics: Analytics | None = None,
    tapped: bool = False,
    **settings: Any,
) -> AsyncIterator[Harness]:
    """A test system in the folder; `settings` change its settings."""
    configured = Settings(home=path, hostname=HOST, **settings)
    async with AsyncExitStack() as stack:
        if clock is None and analytics is None:
            yield Harness(path, await stack.enter_async_context(opened_upkeep(configured)))
            return
        stores = await stack.enter_async_context(opened(configured))
        store = analytics or await stack.enter_async_context(opened_analytics(configured))
        if clock is not None:
            stores = _on_clock(stores, clock)
        env = environment(configured, stores, store)
        if clock is not None:
            env = dataclasses.replace(env, now=lambda: datetime.fromtimestamp(clock.now, UTC))
        context = UpkeepContext(configured, stores, env, PublishingGate(store))
        if tapped:
            taps = {"analytics": Tap(store), "objects": Tap(env.objects), "queue": Tap(env.queue)}
            env = dataclasses.replace(env, leases=None, **taps)
            yield Harness(path, context, env=env, analytics=taps["analytics"], clock=clock)
        else:
            yield Harness(path, context, clock=clock)


def _on_clock(stores: Stores, clock: Clock) -> Stores:
    """The same stores with the test's clock."""
    queue = SqliteQueue(stores.database, clock)
    accounts = Accounts(stores.database, stores.kv, HOST, clock=clock)
    return dataclasses.replace(stores, queue=queue, leases=queue, dead_letters=queue, accounts=accounts, clock=clock)
