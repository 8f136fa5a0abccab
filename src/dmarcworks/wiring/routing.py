"""Email routing put together: workers, rules, the activity log and outgoing mail → one router for all incoming mail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from dmarcworks.catalogue.activity import Activity
from dmarcworks.catalogue.dead_letters import operator_id
from dmarcworks.catalogue.stores import Stores
from dmarcworks.enrich.setup import opened_checker
from dmarcworks.ingest.environment import Env
from dmarcworks.process.metrics import Metrics
from dmarcworks.process.supervisor import BackgroundTask
from dmarcworks.routing.delivery.deliverer import Deliverer
from dmarcworks.routing.delivery.setup import deliverer
from dmarcworks.routing.gates import gate
from dmarcworks.routing.router import Router, WorkerHandle
from dmarcworks.routing.rules import DMARC_WORKER
from dmarcworks.settings import Settings
from dmarcworks.workers.consumer import Consumer
from dmarcworks.workers.point_writer import PointWriter
from dmarcworks.workers.points import DataPoints
from dmarcworks.workers.setup import user_workers
from dmarcworks.workers.system import dmarc_worker


@dataclass(frozen=True, slots=True)
class Routing:
    """The router, and the background tasks that it needs."""

    router: Router
    points: PointWriter
    activity: Activity
    activity_days: int
    outbound: Deliverer | None
    consumers: Sequence[Consumer]

    def background_tasks(self) -> list[BackgroundTask]:
        """What every process that accepts mail runs; the consumers of the users' queues are the server's alone."""
        points, activity, outbound = self.points, self.activity, self.outbound
        log_activity = partial(activity.run, days=self.activity_days)
        tasks = [
            BackgroundTask("data points", run=points.run, stop=points.stop, grace=None),
            BackgroundTask("activity log", run=log_activity, stop=activity.stop, grace=None),
        ]
        if outbound is not None:
            tasks.append(BackgroundTask("outbound mail", run=outbound.run, stop=outbound.stop, grace=3.0))
        return tasks


@asynccontextmanager
async def routing(settings: Settings, stores: Stores, env: Env, metrics: Metrics) -> AsyncIterator[Routing]:
    """Routing with nothing running yet; at the end the workers and the checks of forwarded mail are closed."""
    async with AsyncExitStack() as stack:
        points = DataPoints()
        workers, consumers = user_workers(settings, stores, points)
        handles: dict[str, WorkerHandle] = {DMARC_WORKER: dmarc_worker(env, settings.worker_seconds)}
        for worker in workers:
            handles[worker.name] = worker
            stack.callback(worker.close)
        checker = await stack.enter_async_context(opened_checker(settings, "forwarded mail"))
        outbound = await deliverer(settings, stores, metrics, checker)
        activity = stores.routing.activity
        router = Router(
            hostname=settings.hostname,
            subaddressing=settings.routing_subaddressing,
            routes=stores.routing.routes,
            gate=gate(stores.kv),
            workers=handles,
            activity=activity,
            metrics=metrics,
            outgoing_mail=outbound,
            sure=stores.system.sure,
            postmaster=settings.postmaster,
            operator=partial(operator_id, stores.accounts, settings.operator_account),
        )
        writer = PointWriter(points, env.analytics)
        yield Routing(router, writer, activity, settings.activity_days, outbound, consumers)
