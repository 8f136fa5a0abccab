"""The pages, one module per subject, each with its `routes`.

`install` puts them on an application; `not_found` answers requests that no route matches.
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Match

from dmarcworks.api.compat.envelope import PREFIX, http_error
from dmarcworks.api.deps import Deps, deps_of
from dmarcworks.dashboard.links import inside
from dmarcworks.dashboard.page_route import answered
from dmarcworks.dashboard.pages import (
    activity,
    audit,
    builder,
    claims,
    dns_records,
    domain,
    domains,
    evidence,
    graphql,
    history,
    import_domains,
    mailboxes,
    policy,
    problems,
    queues,
    reports,
    routing,
    senders,
    session,
    setup,
    sources,
    sql,
    static,
)
from dmarcworks.dashboard.renderer import Renderer
from dmarcworks.dashboard.visit import visit_of

__all__ = ["install"]

# Paths for programs: they get JSON where people get a page.
_MACHINES = ("/api/", "/client/", "/cdn-cgi/", "/internal/", "/healthz", "/readyz", "/metrics")
MODULES = (
    static,
    session,
    domains,
    import_domains,
    claims,
    domain,
    setup,
    builder,
    senders,
    policy,
    evidence,
    dns_records,
    history,
    sources,
    reports,
    problems,
    audit,
    activity,
    routing,
    mailboxes,
    queues,
    sql,
    graphql,
)


def install(app: FastAPI, deps: Deps) -> None:
    """Put pages, static files and the page for unknown addresses on an application."""
    app.state.deps = deps
    app.state.html = Renderer(deps)
    app.state.login_limits = session.LoginLimits.of(deps)
    for module in MODULES:
        app.include_router(module.routes)
    app.add_exception_handler(404, not_found)
    app.add_exception_handler(405, wrong_method)


async def not_found(request: Request, error: Exception) -> Response:
    """A page for people, JSON on the paths for programs."""
    if _is_compat(request):
        return http_error(request, HTTPException(getattr(error, "status_code", 404)))
    if request.url.path.startswith(_MACHINES):
        detail = getattr(error, "detail", "Not Found")
        return JSONResponse({"detail": detail}, getattr(error, "status_code", 404))
    if shorter := without_slash(request):
        return RedirectResponse(shorter, 307)
    return await answered(request, _missing)


async def wrong_method(request: Request, error: Exception) -> Response:
    """405 in the envelope of the original's paths; elsewhere as plain as it comes."""
    assert isinstance(error, HTTPException)
    if _is_compat(request):
        return http_error(request, error)
    return JSONResponse({"detail": error.detail}, 405, error.headers)


def _is_compat(request: Request) -> bool:
    return request.url.path == PREFIX or request.url.path.startswith(f"{PREFIX}/")


async def _missing(request: Request) -> Response:
    visit = await visit_of(request, await deps_of(request))
    html: Renderer = request.app.state.html
    return html.error(visit, 404)


def without_slash(request: Request) -> str:
    """The page's own path when a slash too many is all that is wrong, else an empty text. Never another host's."""
    path = request.url.path.rstrip("/")
    if not path or path == request.url.path or inside(path) != path:
        return ""
    scope = {**request.scope, "path": path}
    if not any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes):
        return ""
    return path + (f"?{request.url.query}" if request.url.query else "")
