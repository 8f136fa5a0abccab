"""The HTTP APIs: settings and stores → the handlers' one container, and the routes of every API on an application."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from functools import partial

from fastapi import FastAPI
from starlette.routing import Mount

from dmarcworks.analytics.questions.all import Questions
from dmarcworks.api.compat import email_routing, inject, zones
from dmarcworks.api.deps import Deps
from dmarcworks.api.first_login import FirstLogin
from dmarcworks.api.graphql import router as graphql
from dmarcworks.api.graphql.service import graphql_service
from dmarcworks.api.limits import Limits
from dmarcworks.api.rest import PREFIX, api
from dmarcworks.api.sql import route as sql
from dmarcworks.api.sql.service import QueryService
from dmarcworks.bindings.contracts import Analytics, QueryBounds
from dmarcworks.catalogue.dead_letters import Letters, operates
from dmarcworks.catalogue.idempotency import Idempotency
from dmarcworks.catalogue.listing import Listing
from dmarcworks.catalogue.stores import Stores
from dmarcworks.catalogue.uploads import Uploads
from dmarcworks.ingest.accept import Intake
from dmarcworks.ingest.retry import Mending
from dmarcworks.routing.router import Router
from dmarcworks.settings import Settings
from dmarcworks.wiring.mail_api import mail_injection
from dmarcworks.wiring.routing import link_sender, worker_names


def http_deps(
    settings: Settings,
    stores: Stores,
    analytics: Analytics,
    bounds: QueryBounds,
    public_url: str,
    full: Callable[[], Awaitable[str]],
    router: Router | None,
) -> Deps:
    """The handlers' collaborators; `full` returns why no more mail is accepted now, empty when it is."""
    return Deps(
        accounts=stores.accounts,
        arrivals=stores.arrivals,
        listing=Listing(stores.database),
        problems=stores.problems,
        problem_actions=Mending(stores),
        routing=stores.mailroom,
        dead_letters=Letters(stores.queue, stores.letters, stores.audit),
        audit=stores.audit,
        query_log=stores.queries,
        saved_queries=stores.saved,
        uploads=Uploads(stores.database),
        idempotency=Idempotency(stores.database),
        objects=stores.objects,
        analytics=analytics,
        questions=Questions(analytics),
        sql=QueryService(analytics, bounds, stores.queries.note),
        graphql=graphql_service(settings, stores.database, stores.accounts, analytics, bounds),
        accept_upload=Intake(stores, settings.mail_bytes, full).take,
        is_operator=partial(operates, stores.accounts, settings.operator_account),
        hostname=settings.hostname.lower(),
        public_url=public_url,
        mail_bytes=settings.mail_bytes,
        clock=time.time,
        workers=worker_names(settings),
        send_link=link_sender(router, public_url),
        injection=mail_injection(stores, settings, router),
        login_failures=settings.login_failures_per_minute,
        link_used=FirstLogin(settings.home).redeemed,
    )


def install(app: FastAPI, deps: Deps, limits: Limits) -> None:
    """Put the container and the routes on an application: SQL, GraphQL, the original's paths, REST at /api/v1.

    Without a mail router there is no route that injects mail.
    """
    app.state.deps = deps
    app.include_router(sql.routes)
    app.include_router(graphql.routes)
    app.include_router(email_routing.routes)
    if deps.injection is not None:
        app.include_router(inject.routes)
    app.include_router(zones.routes)
    mount = Mount(PREFIX, api(deps, limits))
    # A line break in an address is odd, but it is below PREFIX all the same and is answered there.
    mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
    app.router.routes.append(mount)
