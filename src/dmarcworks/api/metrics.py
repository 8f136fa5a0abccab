"""`GET /metrics`: Prometheus' text. Counters are kept in memory; queue, problems and stores are queried at each scrape.

A store that does not answer shows as `dmarcworks_store_up 0`, and what it alone knows is absent from that scrape or
NaN, never the figure of an earlier one.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from dmarcworks.api.monitored import Check, Monitored
from dmarcworks.bindings.contracts import SYSTEM_QUEUE, QueueStats
from dmarcworks.errors import DmarcworksError

_Figure = TypeVar("_Figure")
_MAILBOXES = ("ok", "new", "running", "failing", "paused")
_STATES = ("ready", "delayed", "leased", "dead")


routes = APIRouter(include_in_schema=False)


@routes.get("/metrics")
async def scrape(monitored: Monitored) -> Response:
    """The counters, and the figures of now."""
    metrics, checks, seconds = monitored.metrics, monitored.checks, monitored.seconds
    answers = await asyncio.gather(*(_up(check, seconds) for check in checks.values()))
    for name, up in zip(checks, answers, strict=True):
        metrics.store_up.labels(name).set(up)
    queues = await _figure(monitored.queue.stats, seconds)
    own = None if queues is None else queues.get(SYSTEM_QUEUE, QueueStats(0, 0, 0, 0))
    metrics.waiting(metrics.queue, None if own is None else _states([own]))
    metrics.queue_age.set(_known(None if own is None else own.oldest_age))
    metrics.problems.set(_known(await _figure(monitored.problems.count, seconds)))
    others = [stats for name, stats in (queues or {}).items() if name != SYSTEM_QUEUE]
    metrics.waiting(metrics.worker_queue, None if queues is None else _states(others))
    if monitored.mailboxes is not None:
        known = await _figure(monitored.mailboxes, seconds)
        metrics.waiting(metrics.mailboxes, None if known is None else dict.fromkeys(_MAILBOXES, 0) | dict(known[0]))
        metrics.mailbox_waiting.set(_known(None if known is None else known[1]))
    if monitored.outbound is not None:
        metrics.outbound.set(_known(await _figure(monitored.outbound, seconds)))
    if monitored.dns_checks is not None:
        due = await _figure(monitored.dns_checks, seconds)
        metrics.dns_due.set(_known(None if due is None else due[0]))
        metrics.dns_oldest.set(_known(None if due is None else due[1]))
    return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})


async def _figure(query: Callable[[], Awaitable[_Figure]], seconds: float) -> _Figure | None:
    """The result; None when the store is unavailable."""
    try:
        return await asyncio.wait_for(query(), seconds)
    except (DmarcworksError, TimeoutError):
        return None


async def _up(check: Check, seconds: float) -> bool:
    async def well() -> bool:
        await check()
        return True

    return await _figure(well, seconds) or False


def _states(queues: Iterable[QueueStats]) -> dict[str, int]:
    stats = list(queues)
    return {state: sum(getattr(one, state) for one in stats) for state in _STATES}


def _known(figure: float | None) -> float:
    """A figure without labels cannot be left out of a scrape: it is NaN when it is unknown."""
    return math.nan if figure is None else figure
