"""Everything over HTTP put together: settings and stores → the application with APIs, monitoring and dashboard."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from functools import partial

from fastapi import FastAPI, Request, Response
from starlette.routing import Mount

from dmarcworks.analytics.questions.all import Questions
from dmarcworks.api import auth
from dmarcworks.api.client import ClientMiddleware
from dmarcworks.api.compat import mail, zones
from dmarcworks.api.compat.email_routing import SendLink
from dmarcworks.api.first_login import FirstLogin
from dmarcworks.api.graphql import router as graphql
from dmarcworks.api.internal import internal_routes
from dmarcworks.api.limits import Limits
from dmarcworks.api.monitoring import monitoring_routes
from dmarcworks.api.rest import PREFIX, RestDeps, api
from dmarcworks.api.sql import route as sql_api
from dmarcworks.api.sql.service import QueryService, query_bounds
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.catalogue.dead_letters import Letters, operates
from dmarcworks.catalogue.idempotency import Idempotency
from dmarcworks.catalogue.listing import Listing
from dmarcworks.catalogue.stores import Stores
from dmarcworks.catalogue.uploads import Uploads
from dmarcworks.dashboard import pages
from dmarcworks.dashboard.deps import Deps
from dmarcworks.errors import DmarcworksError
from dmarcworks.ingest.accept import Intake
from dmarcworks.ingest.retry import ProblemResolver
from dmarcworks.ingest.setup import inbox
from dmarcworks.process.metrics import Metrics
from dmarcworks.routing.delivery.verification import link_sender
from dmarcworks.routing.router import Router
from dmarcworks.routing.smtp import Certificate
from dmarcworks.settings import Settings
from dmarcworks.upkeep.context import UpkeepContext
from dmarcworks.workers.setup import worker_names


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
    """APIs, monitoring, dashboard; `secret` opens /internal/ to this machine's commands."""
    # Starlette's own redirects to a path without its slash would name the host that the client wrote.
    app = FastAPI(title="dmarcworks", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.add_middleware(ClientMiddleware, trusted=settings.proxies)
    app.state.limits = Limits(
        time.monotonic, requests=settings.api_requests_per_minute, failures=settings.api_failures_per_minute
    )
    metrics = metrics or Metrics()
    app.state.left = metrics.http_left
    waiting = inbox(settings, stores)
    for routes in monitoring_routes(stores, analytics, waiting, metrics, shown):
        app.include_router(routes)
    desk = QueryService(analytics, query_bounds(settings), stores.queries.note)
    metrics.statements(lambda: desk.running, lambda: desk.waiting)
    app.include_router(sql_api.router(desk, stores.accounts))
    graphs = graphql.desk(settings, stores.database, stores.accounts, analytics, query_bounds(settings))
    app.include_router(graphql.router(graphs))
    rest = rest_deps(settings, stores, analytics, public_url, waiting.full)
    send_link = link_sender(router, public_url)
    mail.install(app, stores.mailroom, stores.accounts, settings, worker_names(settings), router, send_link)
    _install_rest(app, rest, app.state.limits)
    app.include_router(internal_routes(secret, desk, stores.accounts, house))
    app.add_exception_handler(DmarcworksError, _refused)
    pages.install(app, dashboard_deps(settings, stores, rest, desk, graphs, send_link))
    return app


def dashboard_deps(
    settings: Settings,
    stores: Stores,
    rest: RestDeps,
    desk: QueryService,
    graphs: graphql.GraphqlService,
    send_link: SendLink | None,
) -> Deps:
    """What the pages work with."""
    return Deps(
        accounts=stores.accounts,
        arrivals=stores.arrivals,
        problems=stores.problems,
        mending=ProblemResolver(stores),
        listing=Listing(stores.database),
        questions=rest.questions,
        objects=stores.objects,
        audit=stores.audit,
        desk=desk,
        graphs=graphs,
        saved=stores.saved,
        queries=stores.queries,
        mailroom=stores.mailroom,
        letters=rest.letters,
        operates=rest.operates,
        hostname=rest.hostname,
        public_url=rest.public_url,
        clock=time.time,
        workers=worker_names(settings),
        send_link=send_link,
        login_failures=settings.login_failures_per_minute,
        link_used=FirstLogin(settings.home).redeemed,
    )


def rest_deps(
    settings: Settings,
    stores: Stores,
    analytics: Analytics,
    public_url: str,
    full: Callable[[], Awaitable[str]],
) -> RestDeps:
    """What the REST routes work with; `full` returns why no more mail is accepted."""
    return RestDeps(
        accounts=stores.accounts,
        arrivals=stores.arrivals,
        problems=stores.problems,
        activity=stores.mailroom.activity,
        audit=stores.audit,
        listing=Listing(stores.database),
        uploads=Uploads(stores.database),
        idempotency=Idempotency(stores.database),
        queries=stores.queries,
        objects=stores.objects,
        analytics=analytics,
        questions=Questions(analytics),
        take=Intake(stores, settings.mail_bytes, full).take,
        mend=ProblemResolver(stores),
        letters=Letters(stores.queue, stores.letters, stores.audit),
        operates=partial(operates, stores.accounts, settings.operator_account),
        hostname=settings.hostname.lower(),
        public_url=public_url,
        mail_bytes=settings.mail_bytes,
    )


def _install_rest(app: FastAPI, deps: RestDeps, limits: Limits) -> None:
    """Mount REST at /api/v1, and add the paths that the original's clients call."""
    app.include_router(zones.router(deps.accounts, deps.hostname))
    mount = Mount(PREFIX, api(deps, limits))
    # A line break in an address is odd, but it is below PREFIX all the same and is answered there.
    mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
    app.router.routes.append(mount)


async def _refused(request: Request, error: Exception) -> Response:
    """Our own errors in a machine's call, in its words; the pages answer theirs themselves."""
    assert isinstance(error, DmarcworksError)
    return auth.refusal(error)
