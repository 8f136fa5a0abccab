"""The routes for monitoring: health, readiness, metrics."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, FastAPI

from dmarcworks.api import metrics as metrics_api
from dmarcworks.api import rest
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.catalogue.stores import Stores
from dmarcworks.ingest.backpressure import Backpressure
from dmarcworks.process.metrics import Metrics
from dmarcworks.routing.smtp import Certificate
from dmarcworks.upkeep.system import analytics_there

__all__ = ["monitoring_app", "monitoring_routes"]


def monitoring_app(
    stores: Stores, analytics: Analytics | None, waiting: Backpressure, metrics: Metrics, shown: Certificate | None
) -> FastAPI:
    """An application of these routes alone, for a port of its own."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    for routes in monitoring_routes(stores, analytics, waiting, metrics, shown):
        app.include_router(routes)
    return app


def monitoring_routes(
    stores: Stores, analytics: Analytics | None, waiting: Backpressure, metrics: Metrics, shown: Certificate | None
) -> list[APIRouter]:
    """The routes. A store that is not of this process (None) is not queried."""
    system = stores.system
    checks = {
        "database": _both(stores.database.ping, system.sure),
        "objects": _both(stores.objects.ping, system.objects_there),
    }
    if analytics is not None:
        checks["analytics"] = _both(analytics.ping, partial(analytics_there, stores, analytics))
    return [
        rest.router(checks, waiting.told, shown.told if shown else None),
        metrics_api.router(metrics, checks, stores.queue, stores.problems, stores.mailroom.outbound.count),
    ]


def _both(first: rest.Check, second: rest.Check) -> rest.Check:
    async def check() -> None:
        await first()
        await second()

    return check
