"""What programs ask over HTTP, put together: settings and stores → the REST application and the zones' own paths."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial

from fastapi import FastAPI
from starlette.routing import Mount

from dmarcworks.analytics.questions.all import Questions
from dmarcworks.api.compat import zones
from dmarcworks.api.limits import Limits
from dmarcworks.api.rest import PREFIX, RestDeps, api
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.catalogue.dead_letters import Letters, operates
from dmarcworks.catalogue.idempotency import Idempotency
from dmarcworks.catalogue.listing import Listing
from dmarcworks.catalogue.stores import Stores
from dmarcworks.catalogue.uploads import Uploads
from dmarcworks.ingest.accept import Intake
from dmarcworks.ingest.retry import ProblemResolver
from dmarcworks.settings import Settings


def rest_deps(
    settings: Settings,
    stores: Stores,
    analytics: Analytics,
    public_url: str,
    full: Callable[[], Awaitable[str]],
) -> RestDeps:
    """What the REST routes stand on; `full` says why no more mail is taken now."""
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


def install(app: FastAPI, deps: RestDeps, limits: Limits) -> None:
    """Mount REST at /api/v1, and add the paths that the original's clients call."""
    app.include_router(zones.router(deps.accounts, deps.hostname))
    mount = Mount(PREFIX, api(deps, limits))
    # A line break in an address is odd, but it is below PREFIX all the same and is answered there.
    mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
    app.router.routes.append(mount)
