"""Composition root: settings → bindings → workers → servers, and shutdown in reverse.

`opened` gives the stores to a command that needs no server; `serve` runs the whole system until SIGTERM or SIGINT, then
stops accepting, finishes or hands back what is in flight, and closes what it opened in reverse.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
from fastapi import APIRouter, Depends, FastAPI, Request, Response

from dmarcworks.analytics import schema
from dmarcworks.api import auth
from dmarcworks.api import metrics as metrics_api
from dmarcworks.api.client import ClientMiddleware
from dmarcworks.api.first_login import FirstLogin
from dmarcworks.api.http import HttpBounds, Web
from dmarcworks.api.limits import Limits
from dmarcworks.api.monitored import Check, MonitoredSystem
from dmarcworks.api.operator import operator
from dmarcworks.api.rest import health
from dmarcworks.api.sql import internal_route
from dmarcworks.bindings import open as bindings
from dmarcworks.bindings.absent import AbsentAnalytics
from dmarcworks.bindings.contracts import SYSTEM_QUEUE, Analytics, QueryBounds
from dmarcworks.catalogue.logins import LOGIN_LINK_SECONDS
from dmarcworks.catalogue.review import review
from dmarcworks.catalogue.stores import RUNNING, Stores, opened
from dmarcworks.dashboard import pages
from dmarcworks.errors import DmarcworksError
from dmarcworks.ingest.backpressure import Backpressure
from dmarcworks.ingest.batching import BatchScheduler
from dmarcworks.process import descriptors
from dmarcworks.process.metrics import Metrics
from dmarcworks.process.settings_table import shown_url
from dmarcworks.routing.router import Router
from dmarcworks.routing.smtp import Certificate
from dmarcworks.settings import Settings
from dmarcworks.upkeep import jobs
from dmarcworks.upkeep.context import UpkeepContext
from dmarcworks.upkeep.replay.publishing_gate import PublishingGate
from dmarcworks.upkeep.scheduler import daily
from dmarcworks.upkeep.system import TOLERATED, analytics_there, settle_analytics
from dmarcworks.wiring import rest_api
from dmarcworks.wiring.routing import proving, routing
from dmarcworks.wiring.smtp import certificate, environment, front, inbox, isolated_reader
from dmarcworks.workers.system import consumer_of

log = structlog.get_logger("dmarcworks.wiring.server")


ROLES = ("smtp", "worker", "web")
# Connections of the port for monitoring; their descriptors are of the reserve.
_WATCHERS = 32


@asynccontextmanager
async def opened_analytics(settings: Settings) -> AsyncIterator[Analytics]:
    """The analytics store, migrated; one process at a time owns an embedded one (`StoreError` for the second)."""
    analytics = await asyncio.to_thread(bindings.open_analytics, settings.analytics)
    try:
        await schema.migrate(analytics)
        yield analytics
    finally:
        await analytics.close()


def sql_bounds(settings: Settings) -> QueryBounds:
    """What a stranger's statement may take."""
    return QueryBounds(seconds=settings.sql_seconds, rows=settings.sql_rows, memory=settings.sql_memory_bytes)


@asynccontextmanager
async def opened_house(settings: Settings, job: str = "") -> AsyncIterator[UpkeepContext]:
    """Every store for a job of upkeep, when no server runs; a loss that the job repairs is tolerated."""
    tolerated = TOLERATED.get(job, ())
    async with opened(settings, tolerated=tolerated) as stores, opened_analytics(settings) as analytics:
        await settle_analytics(stores, analytics, shown_url(settings.analytics), tolerated)
        gate = PublishingGate(analytics)
        yield UpkeepContext(settings, stores, environment(settings, stores, gate), gate)


def http_app(
    settings: Settings,
    stores: Stores,
    analytics: Analytics,
    public_url: str,
    secret: str = "",
    house: UpkeepContext | None = None,
    metrics: Metrics | None = None,
    router: Router | None = None,
    shown: Certificate | None = None,
) -> FastAPI:
    """Everything over HTTP: SQL, health, dashboard; `secret` opens /internal/ to this machine's commands."""
    # Starlette's own redirects to a path without its slash would name the host that the client wrote.
    app = FastAPI(title="dmarcworks", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.add_middleware(ClientMiddleware, trusted=settings.proxies)
    app.state.limits = Limits(
        time.monotonic, requests=settings.api_requests_per_minute, failures=settings.api_failures_per_minute
    )
    metrics = metrics or Metrics()
    app.state.left = metrics.http_left
    waiting = inbox(settings, stores)
    _monitor(app, _monitored(stores, analytics, waiting, metrics, shown))
    deps = rest_api.http_deps(settings, stores, analytics, sql_bounds(settings), public_url, waiting.full, router)
    metrics.statements(lambda: deps.sql.running, lambda: deps.sql.waiting)
    rest_api.install(app, deps, app.state.limits)
    internal = APIRouter(prefix="/internal", include_in_schema=False, dependencies=[Depends(operator(secret))])
    internal.add_api_route("/ping", _pong)
    internal.include_router(internal_route.routes)
    if house is not None:
        internal.include_router(jobs.router(house))
    app.include_router(internal)
    app.add_exception_handler(DmarcworksError, _refused)
    pages.install(app, deps)
    return app


def _monitored(
    stores: Stores, analytics: Analytics, waiting: Backpressure, metrics: Metrics, shown: Certificate | None
) -> MonitoredSystem:
    """What health, readiness and metrics read. A store that is not of this process is not checked."""
    system = stores.system
    checks = {
        "database": _both(stores.database.ping, system.sure),
        "objects": _both(stores.objects.ping, system.objects_there),
    }
    if not isinstance(analytics, AbsentAnalytics):
        checks["analytics"] = _both(analytics.ping, partial(analytics_there, stores, analytics))
    return MonitoredSystem(
        metrics=metrics,
        checks=checks,
        queue=stores.queue,
        problems=stores.problems,
        outbound=stores.mailroom.outbound.count,
        inbox=waiting.told,
        certificate=shown.told if shown else None,
    )


def _monitor(app: FastAPI, monitored: MonitoredSystem) -> None:
    """Put the routes for monitoring on an application."""
    app.state.monitored = monitored
    app.include_router(health.routes)
    app.include_router(metrics_api.routes)


def _both(first: Check, second: Check) -> Check:
    async def check() -> None:
        await first()
        await second()

    return check


async def _refused(request: Request, error: Exception) -> Response:
    """Our own errors in a machine's call, in its words; the pages answer theirs themselves."""
    assert isinstance(error, DmarcworksError)
    return auth.refusal(error)


async def _pong() -> dict[str, int]:
    """Whose server this is, for a command that found its address in running.json."""
    return {"pid": os.getpid()}


@dataclass(frozen=True, slots=True)
class Running:
    """What a started system tells: its addresses, and the first login link's path when one was made.

    `commands` is the HTTP address for commands on this machine, always on a loopback address; `login_file` the file of
    a link that an earlier start made and nobody used yet.
    """

    smtp: str
    http: str
    public_url: str
    login: str | None
    commands: str = ""
    login_file: Path | None = None


def _shares(settings: Settings, roles: Collection[str]) -> descriptors.Shares:
    """How many connections there are descriptors for; a log line when they are fewer than the settings allow."""
    smtp = settings.smtp_connections if "smtp" in roles and settings.smtp_processes == 1 else 0
    http = settings.http_connections if "web" in roles else 0
    shares = descriptors.shared(descriptors.raised(), smtp, http)
    said = {"files": shares.limit, "kept": shares.reserve, "smtp": shares.smtp, "http": shares.http}
    if (shares.smtp, shares.http) != (smtp, http):
        log.warning(
            "fewer connections than the settings allow, since the system allows too few open files",
            **said,
            smtp_wanted=smtp,
            http_wanted=http,
        )
    else:
        log.info("open files", **said)
    return shares


def _analytics(settings: Settings, roles: Collection[str]) -> AbstractAsyncContextManager[Analytics]:
    # An embedded store belongs to the one process that publishes and answers.
    return contextlib.nullcontext(AbsentAnalytics()) if set(roles) == {"smtp"} else opened_analytics(settings)


async def serve(
    settings: Settings,
    started: Callable[[Running], None] = lambda _: None,
    roles: Collection[str] = ROLES,
    *,
    accept_loss: bool = False,
) -> None:
    """Run everything, or only some roles of it, until SIGTERM or SIGINT.

    A store that has lost its content ends the start with a `LostStoreError`, unless the operator gives it up.
    """
    shares = _shares(settings, roles)
    # Processes that accept mail for this one have descriptors of their own.
    settings = settings.model_copy(update={"smtp_connections": shares.smtp}) if shares.smtp else settings
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with (
        opened(settings, accept_loss=accept_loss) as stores,
        _analytics(settings, roles) as analytics,
        AsyncExitStack() as stack,
    ):
        if not isinstance(analytics, AbsentAnalytics):
            await settle_analytics(stores, analytics, shown_url(settings.analytics), accept=accept_loss)
        gate, metrics = PublishingGate(analytics), Metrics()
        reader = isolated_reader(settings, metrics) if "worker" in roles else None
        if reader is not None:
            stack.push_async_callback(reader.close)
            await reader.start()
        prove = await stack.enter_async_context(proving(settings, stores, metrics))
        env = environment(settings, stores, gate, metrics, prove, reader)
        house = UpkeepContext(settings, stores, env, gate)
        await stores.accounts.open_gates()
        await review(stores.database, stores.mailroom.routes)
        scheduler = BatchScheduler()
        consumers = [consumer_of(env, settings, scheduler=scheduler, helps=helps) for helps in (False, True)]
        if "worker" in roles:
            await stack.enter_async_context(daily(house))
        listener = shown = None
        router = await stack.enter_async_context(routing(settings, stores, env, metrics, feed="worker" in roles))
        if "smtp" in roles:
            if shown := certificate(settings):
                metrics.certificate(lambda: shown.left)
            apart = settings.smtp_processes > 1
            counters = stack.enter_context(metrics.shared(settings.smtp_processes, settings.home)) if apart else None
            listener = front(settings, router, env.full, shown, counters)
            await listener.start()

        def refused(bound: str) -> None:
            metrics.http_ended.labels(bound).inc()

        bounds = HttpBounds.of(settings, shares.http)
        web = None
        if "web" in roles:
            web = Web(settings.http_host, settings.http_port, "DMARCWORKS_HTTP_PORT", bounds, ended=refused)
            metrics.http(lambda: web.connections, lambda: web.body_bytes)
        metrics.shares(shares.limit, shares.smtp, shares.http)
        if settings.metrics_port:
            watched = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
            _monitor(watched, _monitored(stores, analytics, inbox(settings, stores), metrics, shown))
            few = HttpBounds.of(settings, _WATCHERS)
            watch = Web(settings.http_host, settings.metrics_port, "DMARCWORKS_METRICS_PORT", few, ended=refused)
            stack.push_async_callback(watch.stop, 0.5)
            watch.start(watched)
            await watch.ready()
        try:
            public_url = settings.public_url.rstrip("/") or (web.url if web else "")
            operator_secret = secrets.token_urlsafe(32)
            login, first_login = None, FirstLogin(settings.home)
            if web is not None:
                web.start(
                    http_app(settings, stores, analytics, public_url, operator_secret, house, metrics, router, shown)
                )
                await web.ready()
                if not await stores.accounts.link_works(first_login.secret()):
                    first_login.remove()
                login = await stores.accounts.first_user()
            if "worker" in roles:
                if settings.alone and (ended := await stores.leases.release(SYSTEM_QUEUE)):
                    log.info("taken over from a process that died", mails=ended)
                for consumer in consumers:
                    consumer.start()
            running = Running(
                smtp=listener.listening[0].name if listener else "",
                http=web.url if web else "",
                public_url=public_url,
                login=None if login is None else f"/login/{login}",
                commands=web.commands if web else "",
                login_file=first_login.path if web and first_login.secret() else None,
            )
            with _announced(settings.home, running, operator_secret) if web else contextlib.nullcontext():
                started(running)
                if web is not None:
                    loop.call_later(max(0.0, LOGIN_LINK_SECONDS - first_login.age()), first_login.remove)
                await stop.wait()
                log.info("shutting down")
        finally:
            # In reverse: first nobody new, then what is in flight, then the answers.
            stopping = [consumer.stop(grace=4.0) for consumer in consumers]
            stopping += [listener.stop(grace=3.0)] if listener else []
            await asyncio.gather(*stopping)
            if web is not None:
                await web.stop(grace=1.5)


@contextlib.contextmanager
def _announced(home: Path, running: Running, secret: str) -> Iterator[None]:
    """A file in the home that tells its owner's commands where the running server is and how to be let in."""
    path = home / RUNNING
    told = {"pid": os.getpid(), "http": running.http, "smtp": running.smtp, "secret": secret}
    told["commands"] = running.commands
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(told, file)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
