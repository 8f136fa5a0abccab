"""`GET /metrics`: Prometheus' text. Counters stand ready; queue, problems and stores are asked at each scrape.

A store that does not answer shows as `dmarcworks_store_up 0`, and what it alone knows is absent from that scrape or
NaN, never the figure of an earlier one.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from dmarcworks.api.rest import Check
from dmarcworks.bindings.contracts import SYSTEM_QUEUE, Queue, QueueStats
from dmarcworks.catalogue.problems import Problems
from dmarcworks.errors import DmarcworksError
from dmarcworks.process.metrics import Metrics

_Found = TypeVar("_Found")
_STATES = ("ready", "delayed", "leased", "dead")


def router(
    metrics: Metrics,
    checks: Mapping[str, Check],
    queue: Queue,
    problems: Problems,
    outbound: Callable[[], Awaitable[int]] | None = None,
    *,
    timeout: float = 3.0,
) -> APIRouter:
    """The route; `checks` by the store's name, `timeout` in seconds for each question.

    `outbound` counts what waits for the relay.
    """
    routes = APIRouter()

    @routes.get("/metrics", include_in_schema=False)
    async def scrape() -> Response:
        answers = await asyncio.gather(*(_up(check) for check in checks.values()))
        for name, up in zip(checks, answers, strict=True):
            metrics.store_up.labels(name).set(up)
        queues = await _asked(queue.stats)
        own = None if queues is None else queues.get(SYSTEM_QUEUE, QueueStats(0, 0, 0, 0))
        metrics.waiting(metrics.queue, None if own is None else _states([own]))
        metrics.queue_age.set(_known(None if own is None else own.oldest_age))
        metrics.problems.set(_known(await _asked(problems.count)))
        others = [stats for name, stats in (queues or {}).items() if name != SYSTEM_QUEUE]
        metrics.waiting(metrics.worker_queue, None if queues is None else _states(others))
        if outbound is not None:
            metrics.outbound.set(_known(await _asked(outbound)))
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})

    async def _asked(question: Callable[[], Awaitable[_Found]]) -> _Found | None:
        """The answer; None when the store is away."""
        try:
            return await asyncio.wait_for(question(), timeout)
        except (DmarcworksError, TimeoutError):
            return None

    async def _up(check: Check) -> bool:
        async def well() -> bool:
            await check()
            return True

        return await _asked(well) or False

    return routes


def _states(found: Iterable[QueueStats]) -> dict[str, int]:
    stats = list(found)
    return {state: sum(getattr(one, state) for one in stats) for state in _STATES}


def _known(figure: float | None) -> float:
    """A figure that stands alone cannot be left out of a scrape: it is then no number."""
    return math.nan if figure is None else figure
