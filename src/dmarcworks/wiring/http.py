"""Everything over HTTP put together: settings and stores → the application with APIs, monitoring and dashboard."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from functools import partial

from fastapi import FastAPI, Request, Response
from starlette.routing import Mount

from dmarcworks.analytics.questions.all import Questions
from dmarcworks.analytics.sender_directory import SenderDirectory
from dmarcworks.api import auth
from dmarcworks.api.client import ClientMiddleware
from dmarcworks.api.compat import accounts, addresses, email_routing, inject, zones
from dmarcworks.api.compat.mail import mail_injection
from dmarcworks.api.deps import Deps
from dmarcworks.api.first_login import FirstLogin
from dmarcworks.api.graphql import router as graphql
from dmarcworks.api.graphql.service import graphql_service
from dmarcworks.api.head import HeadMiddleware
from dmarcworks.api.internal import internal_routes
from dmarcworks.api.limits import Limits
from dmarcworks.api.monitoring import install_monitoring, monitored_system
from dmarcworks.api.rest import PREFIX, api
from dmarcworks.api.sql import route as sql
from dmarcworks.api.sql.service import QueryService, query_bounds
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.catalogue.dead_letters import DeadLetterActions, operates
from dmarcworks.catalogue.idempotency import Idempotency
from dmarcworks.catalogue.listing import Listing
from dmarcworks.catalogue.stores import Stores
from dmarcworks.catalogue.uploads import Uploads
from dmarcworks.dashboard import pages
from dmarcworks.errors import DmarcworksError
from dmarcworks.ingest.accept import Intake
from dmarcworks.ingest.retry import ProblemResolver
from dmarcworks.ingest.setup import inbox
from dmarcworks.policy.conditions import PolicyThresholds
from dmarcworks.policy.dns_records.checker import RecordChecker
from dmarcworks.policy.evidence import EvidenceReader
from dmarcworks.policy.planner import Planner
from dmarcworks.policy.reader import PolicyReader
from dmarcworks.policy.record_reader import RecordReader
from dmarcworks.policy.setup.reader import SetupReader
from dmarcworks.process.metrics import Metrics
from dmarcworks.routing.delivery.verification import link_sender
from dmarcworks.routing.router import Router
from dmarcworks.routing.smtp import Certificate
from dmarcworks.settings import Settings
from dmarcworks.sources.mailbox_actions import MailboxActions
from dmarcworks.upkeep.context import UpkeepContext
from dmarcworks.wiring.dns_checks import dns_schedule
from dmarcworks.workers.setup import worker_names


def http_app(
    settings: Settings,
    stores: Stores,
    analytics: Analytics,
    public_url: str,
    secret: str = "",
    upkeep: UpkeepContext | None = None,
    metrics: Metrics | None = None,
    router: Router | None = None,
    shown: Certificate | None = None,
) -> FastAPI:
    """APIs, monitoring, dashboard; `secret` opens /internal/ to this machine's commands."""
    # Starlette's own redirects to a path without its slash would name the host that the client wrote.
    app = FastAPI(title="dmarcworks", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(ClientMiddleware, trusted=settings.proxies)
    app.state.limits = Limits(
        time.monotonic, requests=settings.api_requests_per_minute, failures=settings.api_failures_per_minute
    )
    metrics = metrics or Metrics()
    app.state.left = metrics.http_left
    waiting = inbox(settings, stores)
    install_monitoring(app, monitored_system(stores, analytics, waiting, metrics, shown))
    deps = http_deps(settings, stores, analytics, public_url, waiting.full, router)
    metrics.statements(lambda: deps.sql.running, lambda: deps.sql.waiting)
    _install_apis(app, deps, app.state.limits)
    app.include_router(internal_routes(secret, upkeep))
    app.add_exception_handler(DmarcworksError, _refused)
    pages.install(app, deps)
    return app


def http_deps(
    settings: Settings,
    stores: Stores,
    analytics: Analytics,
    public_url: str,
    full: Callable[[], Awaitable[str]],
    router: Router | None,
) -> Deps:
    """The handlers' collaborators; `full` returns why no more mail is accepted now, empty when it is."""
    questions = Questions(analytics)
    directory = SenderDirectory(questions, stores.senders)
    policies = PolicyReader(questions, directory, _thresholds(settings))
    checker = RecordChecker(settings.dns_server)
    return Deps(
        accounts=stores.accounts,
        arrivals=stores.arrivals,
        listing=Listing(stores.database),
        problems=stores.problems,
        problem_actions=ProblemResolver(stores),
        routing=stores.routing,
        dead_letters=DeadLetterActions(stores.queue, stores.dead_letters, stores.audit),
        audit=stores.audit,
        query_log=stores.queries,
        saved_queries=stores.saved,
        uploads=Uploads(stores.database),
        mailboxes=MailboxActions(stores, settings, partial(operates, stores.accounts, settings.operator_account)),
        senders=stores.senders,
        sender_directory=directory,
        policies=policies,
        planner=Planner(questions, stores.senders, policies, checker),
        evidence=EvidenceReader(questions, directory, stores.audit, stores.accounts, stores.dns_history),
        setups=SetupReader(stores.setups, stores.arrivals, policies, background=settings.setup_checks == "on"),
        claims=stores.claims,
        notices=stores.notices,
        dns_history=stores.dns_history,
        dns_schedule=dns_schedule(settings, stores),
        records=RecordReader(stores.dns_history, questions, directory),
        idempotency=Idempotency(stores.database),
        objects=stores.objects,
        analytics=analytics,
        questions=questions,
        sql=QueryService(analytics, query_bounds(settings), stores.queries.note),
        graphql=graphql_service(settings, stores.database, stores.accounts, analytics, query_bounds(settings)),
        accept_upload=Intake(stores, settings.mail_bytes, full).take,
        is_operator=partial(operates, stores.accounts, settings.operator_account),
        hostname=settings.hostname.lower(),
        public_url=public_url,
        mail_bytes=settings.mail_bytes,
        check_records=checker,
        clock=time.time,
        workers=worker_names(settings),
        setup_checks=settings.setup_checks == "on",
        send_link=link_sender(router, public_url),
        injection=mail_injection(stores, settings, router),
        login_failures=settings.login_failures_per_minute,
        link_used=FirstLogin(settings.home).redeemed,
    )


def _thresholds(settings: Settings) -> PolicyThresholds:
    return PolicyThresholds(
        settings.policy_watch_days,
        settings.policy_messages,
        settings.policy_reporters,
        settings.policy_quarantine_percent,
        settings.policy_reject_percent,
    )


def _install_apis(app: FastAPI, deps: Deps, limits: Limits) -> None:
    """Put the container and the routes on an application: SQL, GraphQL, the original's paths, REST at /api/v1.

    Without a mail router there is no route that injects mail.
    """
    app.state.deps = deps
    app.include_router(sql.routes)
    app.include_router(graphql.routes)
    for module in (accounts, zones, email_routing, addresses):
        app.include_router(module.routes)
    if deps.injection is not None:
        app.include_router(inject.routes)
    app.state.rest = rest = api(deps, limits)
    mount = Mount(PREFIX, rest)
    # A path with a line break is odd, but it is still below PREFIX and is answered there.
    mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
    app.router.routes.append(mount)


async def _refused(request: Request, error: Exception) -> Response:
    """Our own errors in a machine's call, in its words; the pages answer theirs themselves."""
    assert isinstance(error, DmarcworksError)
    return auth.refusal(error)
