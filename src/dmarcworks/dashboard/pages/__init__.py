"""The pages, one module per subject.

`install` puts them on an application: `build` makes the router, `not_found` answers what no route takes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Match

from dmarcworks.dashboard.deps import Deps
from dmarcworks.dashboard.pages import (
    activity,
    audit,
    domain,
    domains,
    graphql,
    problems,
    queues,
    reports,
    routing,
    session,
    sql,
)
from dmarcworks.dashboard.web import Site, Visit, inside

# Addresses of machines: they get JSON where people get a page.
_MACHINES = ("/api/", "/client/", "/cdn-cgi/", "/internal/", "/healthz", "/readyz", "/metrics")


def install(app: FastAPI, deps: Deps) -> None:
    """Pages, static files and the page for addresses that nobody knows."""
    app.include_router(build(deps))
    app.add_exception_handler(404, not_found(deps))


def build(deps: Deps) -> APIRouter:
    """All pages and static files. Order among routers does not matter: no route here takes what it does not know."""
    site = Site(deps)
    router = APIRouter()
    router.add_route("/static/{name:path}", site.assets.serve, methods=["GET"], include_in_schema=False)
    for module in (session, domains, domain, reports, problems, audit, activity, routing, queues, sql, graphql):
        for path, methods, page, public in module.routes(site):
            router.add_route(path, site.handler(page, public=public), methods=methods, include_in_schema=False)
    return router


def not_found(deps: Deps) -> Callable[[Request, Exception], Awaitable[Response]]:
    """For `app.add_exception_handler(404, …)`: a page for people, JSON for the addresses of machines."""
    site = Site(deps)

    async def missing(visit: Visit) -> Response:
        return await site.error(visit, 404)

    page = site.handler(missing, public=True)

    async def answer(request: Request, error: Exception) -> Response:
        if request.url.path.startswith(_MACHINES):
            detail = getattr(error, "detail", "Not Found")
            return JSONResponse({"detail": detail}, getattr(error, "status_code", 404))
        if shorter := without_slash(request):
            return RedirectResponse(shorter, 307)
        return await page(request)

    return answer


def without_slash(request: Request) -> str:
    """The page's own path when a slash too many is all that is wrong, else an empty text. Never another host's."""
    path = request.url.path.rstrip("/")
    if not path or path == request.url.path or inside(path) != path:
        return ""
    scope = {**request.scope, "path": path}
    if not any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes):
        return ""
    return path + (f"?{request.url.query}" if request.url.query else "")
