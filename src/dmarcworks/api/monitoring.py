"""The routes for monitoring: health, readiness, metrics."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI

from dmarcworks.api import metrics as metrics_api
from dmarcworks.api.monitored import Check, MonitoredSystem
from dmarcworks.api.rest import health
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.catalogue.dns_schedule import overdue
from dmarcworks.catalogue.stores import Stores
from dmarcworks.ingest.backpressure import Backpressure
from dmarcworks.process.metrics import Metrics
from dmarcworks.routing.smtp import Certificate
from dmarcworks.upkeep.system import analytics_there

__all__ = ["install_monitoring", "monitored_system", "monitoring_app"]


def monitoring_app(
    stores: Stores, analytics: Analytics | None, waiting: Backpressure, metrics: Metrics, shown: Certificate | None
) -> FastAPI:
    """An application of these routes alone, for a port of its own."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    install_monitoring(app, monitored_system(stores, analytics, waiting, metrics, shown))
    return app


def install_monitoring(app: FastAPI, monitored: MonitoredSystem) -> None:
    """Put the routes on an application."""
    app.state.monitored = monitored
    app.include_router(health.routes)
    app.include_router(metrics_api.routes)


def monitored_system(
    stores: Stores, analytics: Analytics | None, waiting: Backpressure, metrics: Metrics, shown: Certificate | None
) -> MonitoredSystem:
    """What the routes read. A store that is not of this process (None) is not queried."""
    system = stores.system
    checks = {
        "database": _both(stores.database.ping, system.sure),
        "objects": _both(stores.objects.ping, system.objects_there),
    }
    if analytics is not None:
        checks["analytics"] = _both(analytics.ping, partial(analytics_there, stores, analytics))
    return MonitoredSystem(
        metrics=metrics,
        checks=checks,
        queue=stores.queue,
        problems=stores.problems,
        outbound=stores.routing.outbound.count,
        inbox=waiting.status,
        certificate=shown.status if shown else None,
        dns_checks=partial(overdue, stores.database),
        mailboxes=stores.mailboxes.conditions,
    )


def _both(first: Check, second: Check) -> Check:
    async def check() -> None:
        await first()
        await second()

    return check
