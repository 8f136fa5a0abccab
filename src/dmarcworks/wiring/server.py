"""Composition root: settings → stores → workers → servers, their background tasks, and shutdown in reverse.

`serve` runs the whole system until SIGTERM or SIGINT. It then stops accepting, finishes or releases what is in
flight, and closes what it opened in reverse.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog
from starlette.types import ASGIApp

from dmarcworks.api.first_login import FirstLogin
from dmarcworks.api.http import HttpBounds, Web
from dmarcworks.api.monitoring import monitoring_app
from dmarcworks.bindings.contracts import SYSTEM_QUEUE, Analytics
from dmarcworks.catalogue.accounts import FIRST_USER
from dmarcworks.catalogue.logins import LOGIN_LINK_SECONDS
from dmarcworks.catalogue.review import review
from dmarcworks.catalogue.source_addresses import SourceAddresses
from dmarcworks.catalogue.stores import RUNNING, Stores, opened
from dmarcworks.ingest.batching import BatchScheduler
from dmarcworks.ingest.enriching import enricher
from dmarcworks.ingest.setup import environment, inbox, isolated_reader, opened_authenticator
from dmarcworks.process import descriptors
from dmarcworks.process.announcement import Running, announced
from dmarcworks.process.metrics import Metrics
from dmarcworks.process.settings_table import shown_url
from dmarcworks.process.supervisor import BackgroundTask, Hook, OnFailure, Supervisor
from dmarcworks.routing.smtp import Certificate, SmtpServer
from dmarcworks.routing.smtp.processes import Processes
from dmarcworks.routing.smtp.setup import certificate, listeners, smtp_server
from dmarcworks.settings import Settings, shared_settings
from dmarcworks.sources.mailbox_supervisor import MailboxSupervisor
from dmarcworks.upkeep.context import UpkeepContext
from dmarcworks.upkeep.replay.publishing_gate import PublishingGate
from dmarcworks.upkeep.scheduler import end_swap, note_forever, refresh_forever, retain_forever
from dmarcworks.upkeep.system import settle_analytics
from dmarcworks.wiring.analytics import server_analytics
from dmarcworks.wiring.dns_checks import record_checks
from dmarcworks.wiring.domain_setup import setup_checks
from dmarcworks.wiring.hostname import host_notices
from dmarcworks.wiring.http import http_app
from dmarcworks.wiring.mailboxes import mailbox_supervisor
from dmarcworks.wiring.naming import naming
from dmarcworks.wiring.routing import Routing, routing
from dmarcworks.workers.consumer import Consumer
from dmarcworks.workers.system import consumer_of

log = structlog.get_logger("dmarcworks.wiring.server")

ROLES = ("smtp", "worker", "web")
# Connections of the port for monitoring; their descriptors are of the reserve.
_MONITORING_CONNECTIONS = 32


@dataclass(slots=True)
class OpenedServer:
    """What the roles of this process need, opened and not yet running. `http` and `monitoring` listen already."""

    settings: Settings
    roles: Collection[str]
    stores: Stores
    analytics: Analytics
    metrics: Metrics
    upkeep: UpkeepContext
    routing: Routing
    consumers: list[Consumer]
    smtp: SmtpServer | Processes | None = None
    certificate: Certificate | None = None
    http: Web | None = None
    monitoring: Web | None = None
    notices: Sequence[str] = ()
    naming: Hook | None = None
    setup_checks: Hook | None = None
    dns_checks: Hook | None = None
    mailboxes: MailboxSupervisor | None = None

    @property
    def public_url(self) -> str:
        """Where users reach the dashboard."""
        return self.settings.public_url.rstrip("/") or (self.http.url if self.http else "")

    def http_app(self, operator_secret: str) -> ASGIApp:
        """What `http` serves."""
        return http_app(
            self.settings,
            self.stores,
            self.analytics,
            self.public_url,
            operator_secret,
            self.upkeep,
            self.metrics,
            self.routing.router,
            self.certificate,
        )

    def monitoring_app(self) -> ASGIApp:
        """What `monitoring` serves."""
        waiting = inbox(self.settings, self.stores)
        analytics = self.analytics if _has_analytics(self.roles) else None
        return monitoring_app(self.stores, analytics, waiting, self.metrics, self.certificate)

    async def take_over(self) -> None:
        """Release the leases of a process that died at once, where no other process can hold them."""
        if self.settings.alone and (ended := await self.stores.leases.release(SYSTEM_QUEUE)):
            log.info("taken over from a process that died", mails=ended)


def background_tasks(server: OpenedServer, operator_secret: str) -> list[BackgroundTask]:
    """Every background task of the server, in the order of the start; they stop in reverse, after all is drained."""
    tasks: list[BackgroundTask] = []
    works = "worker" in server.roles
    if works:
        upkeep = server.upkeep
        noting = BackgroundTask("domain notes", run=partial(note_forever, upkeep), start=partial(end_swap, upkeep))
        tasks += [noting, BackgroundTask("retention", run=partial(retain_forever, upkeep))]
        tasks += [BackgroundTask("names of addresses", run=server.naming)] if server.naming else []
        tasks += [BackgroundTask("set-up of domains", run=server.setup_checks)] if server.setup_checks else []
        if server.settings.sender_refresh == "on":
            tasks.append(BackgroundTask("refresh of senders", run=partial(refresh_forever, upkeep)))
        tasks += [BackgroundTask("checks of DNS records", run=server.dns_checks)] if server.dns_checks else []
    tasks += server.routing.background_tasks()
    if (mailboxes := server.mailboxes) is not None:
        fetching = BackgroundTask("mailboxes", mailboxes.run, start=mailboxes.start, drain=mailboxes.stop)
        tasks.append(fetching)
    for consumer in server.routing.consumers if works else ():
        tasks.append(BackgroundTask(f"queue of {consumer.name}", run=consumer.run, drain=consumer.stop))
    if (smtp := server.smtp) is not None:
        tasks.append(BackgroundTask("smtp", smtp.run, OnFailure.END, start=smtp.start, drain=partial(smtp.stop, 3.0)))
        if isinstance(smtp, Processes):
            watching = [(f"smtp process {slot}", partial(smtp.watch, slot)) for slot in range(smtp.count)]
            tasks += [BackgroundTask(name, run=watch) for name, watch in watching]
    if (web := server.monitoring) is not None:
        serving = partial(web.serve, server.monitoring_app())
        tasks.append(BackgroundTask("monitoring", serving, OnFailure.END, stop=web.stop, grace=0.5))
    if (web := server.http) is not None:
        serving = partial(web.serve, server.http_app(operator_secret))
        tasks.append(BackgroundTask("http", serving, OnFailure.END, stop=web.stop, grace=1.5))
    if works:
        tasks.append(BackgroundTask("takeover", start=server.take_over))
        for number, consumer in enumerate(server.consumers):
            name = f"queue of {consumer.name}, consumer {number}"
            tasks.append(BackgroundTask(name, run=consumer.run, drain=partial(consumer.stop, 4.0)))
    return tasks


async def serve(
    settings: Settings,
    started: Callable[[Running], None] = lambda _: None,
    roles: Collection[str] = ROLES,
    *,
    accept_loss: bool = False,
) -> None:
    """Run everything, or only some roles of it, until SIGTERM or SIGINT.

    A store that has lost its content stops startup with a `LostStoreError`, unless the operator accepts the loss.
    """
    smtp = settings.smtp_connections if "smtp" in roles and settings.smtp_processes == 1 else 0
    shares = descriptors.granted(smtp, settings.http_connections if "web" in roles else 0)
    # Processes that accept mail for this one have descriptors of their own.
    configured = settings
    settings = settings.model_copy(update={"smtp_connections": shares.smtp}) if shares.smtp else settings
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with opened_server(settings, roles, shares, accept_loss) as server, Supervisor() as supervisor:
        operator_secret = secrets.token_urlsafe(32)
        await supervisor.start(background_tasks(server, operator_secret))
        first_login = FirstLogin(settings.home)
        running = await _running(server, first_login)
        announcement = announced(settings.home / RUNNING, running, operator_secret, shared_settings(configured))
        with announcement if server.http is not None else contextlib.nullcontext():
            started(running)
            if server.http is not None:
                loop.call_later(max(0.0, LOGIN_LINK_SECONDS - first_login.age()), first_login.remove)
            await supervisor.until(stop)
            log.info("shutting down")


@asynccontextmanager
async def opened_server(
    settings: Settings, roles: Collection[str], shares: descriptors.Shares, accept_loss: bool
) -> AsyncIterator[OpenedServer]:
    """Open stores, workers and sockets; closed in reverse."""
    async with (
        opened(settings, accept_loss=accept_loss) as stores,
        server_analytics(settings, _has_analytics(roles)) as analytics,
        AsyncExitStack() as stack,
    ):
        if _has_analytics(roles):
            await settle_analytics(stores, analytics, shown_url(settings.analytics), accept=accept_loss)
        gate, metrics = PublishingGate(analytics), Metrics()
        metrics.shares(shares.limit, shares.smtp, shares.http)
        reader = isolated_reader(settings, metrics) if "worker" in roles else None
        if reader is not None:
            stack.push_async_callback(reader.close)
            await reader.start()
        prove = await stack.enter_async_context(opened_authenticator(settings, stores, metrics))
        addresses = SourceAddresses(stores.database, queued=settings.address_names == "on")
        stack.push_async_callback(addresses.settle)
        env = environment(settings, stores, gate, metrics, prove, reader, enricher(settings, addresses, stores.senders))
        change = await stores.accounts.settle_hostname()
        await stores.accounts.open_gates()
        await review(stores.database, stores.routing.routes)
        scheduler = BatchScheduler()
        consumers = [consumer_of(env, settings, scheduler=scheduler, helps=helps) for helps in (False, True)]
        mail = await stack.enter_async_context(routing(settings, stores, env, metrics))
        upkeep = UpkeepContext(settings, stores, env, gate)
        server = OpenedServer(settings, roles, stores, analytics, metrics, upkeep, mail, consumers)
        if "worker" in roles:
            server.naming = naming(settings, upkeep, addresses, stack)
            server.setup_checks = setup_checks(settings, stores, stack)
            server.dns_checks = record_checks(settings, upkeep, metrics, stack).run
            server.mailboxes = mailbox_supervisor(settings, stores, env, metrics)
        server.notices = await host_notices(stores.accounts, change)
        if "smtp" in roles:
            _add_smtp(server, stack)
        _add_http(server, stack, shares)
        yield server


def _has_analytics(roles: Collection[str]) -> bool:
    """Whether this process publishes or answers: an embedded store belongs to one that does."""
    return set(roles) != {"smtp"}


def _add_smtp(server: OpenedServer, stack: AsyncExitStack) -> None:
    """The SMTP server: in this process, or in as many processes as configured, whose metrics are shared."""
    settings, metrics = server.settings, server.metrics
    if shown := certificate(settings):
        server.certificate = shown
        metrics.certificate(lambda: shown.left)
    # Made in either case, so that wrong settings are reported at startup.
    server.smtp = smtp_server(settings, server.routing.router, server.upkeep.env.full, shown)
    if (count := settings.smtp_processes) > 1:
        counters = stack.enter_context(metrics.shared(count, settings.home))
        receiver = settings.model_dump(mode="json")
        server.smtp = Processes("dmarcworks.wiring.smtp_process", count, listeners(settings), receiver, counters)


def _add_http(server: OpenedServer, stack: AsyncExitStack, shares: descriptors.Shares) -> None:
    """Bind the addresses of HTTP."""
    settings, metrics = server.settings, server.metrics

    def bound(port: int, setting: str, bounds: HttpBounds) -> Web:
        web = Web(
            settings.http_host, port, setting, bounds, ended=lambda reason: metrics.http_ended.labels(reason).inc()
        )
        stack.callback(web.close)
        return web

    if "web" in server.roles:
        web = server.http = bound(settings.http_port, "DMARCWORKS_HTTP_PORT", HttpBounds.of(settings, shares.http))
        metrics.http(lambda: web.connections, lambda: web.body_bytes)
    if settings.metrics_port:
        few = HttpBounds.of(settings, _MONITORING_CONNECTIONS)
        server.monitoring = bound(settings.metrics_port, "DMARCWORKS_METRICS_PORT", few)


async def _running(server: OpenedServer, first_login: FirstLogin) -> Running:
    """What the started server prints; the first login link where there is no user yet."""
    smtp = server.smtp.listening[0].name if server.smtp else ""
    if (web := server.http) is None:
        return Running(smtp, "", server.public_url, None, notices=tuple(server.notices))
    accounts = server.stores.accounts
    if await accounts.link_works(first_login.secret()):
        first_login.move(server.public_url)
    else:
        first_login.remove()
    login = await accounts.first_user()
    first = await accounts.user(FIRST_USER)
    return Running(
        smtp=smtp,
        http=web.url,
        public_url=server.public_url,
        login=None if login is None else f"/login/{login}",
        commands=web.commands,
        login_file=first_login.path if first_login.secret() else None,
        login_name="" if first is None or first.has_password else first.email,
        notices=tuple(server.notices),
    )
