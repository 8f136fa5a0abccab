"""`GET /metrics`: Prometheus' text. Counters stand ready; queue, problems and stores are asked at each scrape.

A store that does not answer shows as `dmarcworks_store_up 0`, and what it alone knows is absent from that scrape.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from dmarcworks.api.rest import Check
from dmarcworks.bindings.contracts import Queue, QueueStats
from dmarcworks.catalogue.problems import Problems
from dmarcworks.errors import DmarcworksError
from dmarcworks.metrics import Metrics

_STATES = ("ready", "delayed", "leased", "dead")


def router(
    metrics: Metrics,
    checks: Mapping[str, Check],
    queue: Queue,
    problems: Problems,
    outbound: Callable[[], Awaitable[int]] | None = None,
    workers: Callable[[], Awaitable[Mapping[str, QueueStats]]] | None = None,
    *,
    timeout: float = 3.0,
) -> APIRouter:
    """The route; `checks` by the store's name, `timeout` in seconds for each question.

    `outbound` counts what waits for the relay, `workers` tells the queues of users' workers.
    """
    routes = APIRouter()

    @routes.get("/metrics", include_in_schema=False)
    async def scrape() -> Response:
        answers = await asyncio.gather(*(_up(check) for check in checks.values()))
        for name, up in zip(checks, answers, strict=True):
            metrics.store_up.labels(name).set(up)
        with contextlib.suppress(DmarcworksError, TimeoutError):
            stats = await asyncio.wait_for(queue.stats(), timeout)
            for state in _STATES:
                metrics.queue.labels(state).set(getattr(stats, state))
            metrics.queue_age.set(stats.oldest_age)
        with contextlib.suppress(DmarcworksError, TimeoutError):
            metrics.problems.set(await asyncio.wait_for(problems.count(), timeout))
        if workers is not None:
            with contextlib.suppress(DmarcworksError, TimeoutError):
                queues = (await asyncio.wait_for(workers(), timeout)).values()
                for state in _STATES:
                    metrics.worker_queue.labels(state).set(sum(getattr(found, state) for found in queues))
        if outbound is not None:
            with contextlib.suppress(DmarcworksError, TimeoutError):
                metrics.outbound.set(await asyncio.wait_for(outbound(), timeout))
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})

    async def _up(check: Check) -> int:
        try:
            await asyncio.wait_for(check(), timeout)
        except (DmarcworksError, TimeoutError):
            return 0
        return 1

    return routes
