"""The route of every page: strict headers, the way to the login, and every error as a page.

A page must name its visitor: `UserVisit`, or `AnyVisit` when it is open to all. One that names neither is refused when
the module is imported, so that no page is open by an oversight. An error of ours is shown with its own text; any
other is logged and shown as "Internal error", never with its text.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from urllib.parse import quote

import structlog
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from dmarcworks.api import auth
from dmarcworks.dashboard.compression import compressed
from dmarcworks.dashboard.renderer import Renderer
from dmarcworks.dashboard.visit import LoginRequiredError, Visit, visit_of
from dmarcworks.errors import DmarcworksError

__all__ = ["PageRoute", "answered"]

log = structlog.get_logger("dmarcworks.dashboard")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # same-origin, not no-referrer: with the latter browsers send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class PageRoute(APIRoute):
    """A route of a page; a page that answers GET answers HEAD too."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        if not _names_visitor(self.dependant):
            raise TypeError(f"the page {path} names no visitor: give it a UserVisit, or an AnyVisit if it is for all")
        if self.methods and "GET" in self.methods:
            self.methods.add("HEAD")

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The page with its errors and headers around it."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            return await answered(request, inner)

        return handler


def _names_visitor(dependant: Dependant) -> bool:
    return any(inner.call is visit_of or _names_visitor(inner) for inner in dependant.dependencies)


async def answered(request: Request, page: Callable[[Request], Awaitable[Response]]) -> Response:
    """The page's response, or that to its error, with the headers of all pages."""
    html: Renderer = request.app.state.html
    try:
        response = await page(request)
    except LoginRequiredError:
        response = _to_login(request)
    except HTTPException as error:
        response = html.error(_visitor(request), error.status_code, str(error.detail))
    except DmarcworksError as error:
        status = auth.status_of(error)
        if status >= 500:
            log.warning("page failed", path=request.url.path, error=str(error))
        response = html.error(_visitor(request), status, "" if status >= 500 else str(error))
    except ClientDisconnect:
        raise
    # Whatever the error was, the visitor gets a page and the log gets the trace.
    except Exception:
        log.exception("page failed", path=request.url.path)
        response = html.error(_visitor(request), 500)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return compressed(request, response)


def _visitor(request: Request) -> Visit:
    """The visitor, unless it was the visit itself that failed."""
    visit: Visit | None = getattr(request.state, "visit", None)
    return visit or Visit(request, None, "", {})


def _to_login(request: Request) -> Response:
    if request.headers.get("hx-request"):
        return Response(status_code=204, headers={"HX-Redirect": "/login"})
    if request.method == "POST":
        return RedirectResponse("/login", 303)
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse("/login" if target == "/" else f"/login?next={quote(target, safe='')}", 303)
