"""What all pages share: who is asking, the templates, strict headers, and errors in the look of the house.

In: a request. Out: a page of the account of who is logged in, or the way to the login. Refused: a form without its
token or from another site (403), a form over 16 KiB (413). An error of ours is shown with its own words; any other is
logged and shown as "Internal error", never with its text.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dmarcworks.api import auth
from dmarcworks.api.client import client
from dmarcworks.catalogue.accounts import User
from dmarcworks.catalogue.audit import Actor, act
from dmarcworks.dashboard import charts, format
from dmarcworks.dashboard.assets import Assets
from dmarcworks.dashboard.deps import Deps
from dmarcworks.errors import DeniedError, DmarcworksError

log = structlog.get_logger("dmarcworks.dashboard")

FORM_BYTES = 16 * 1024
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
_WORDS = {
    400: ("Invalid request", "The address or the form contains a value that this page does not accept."),
    403: (
        "Not allowed",
        "The form was not sent from this page, or the page has expired. Go back, reload and try again.",
    ),
    404: ("Not found", "There is no such page, or it belongs to another account."),
    405: ("Not found", "This address does not support the request method."),
    409: ("Conflict", ""),
    413: ("Request too large", "The request is larger than this page accepts."),
    429: ("Too many attempts", "Wait a minute, then try again."),
    503: (
        "Storage is unavailable",
        "Nothing is lost: incoming mail is deferred and will be sent again. Reload in a moment.",
    ),
}
_FALLBACK = (
    "Internal error",
    "The error is in the server's log. Your reports are safe. Reload, or go back.",
)


@dataclass(frozen=True, slots=True)
class Visit:
    """A request with who sent it. `user` is None only on pages that are open to all."""

    request: Request
    user: User | None
    secret: str
    form: Mapping[str, str]

    @property
    def account_id(self) -> str:
        """The account that the visitor may see."""
        if self.user is None:
            raise DeniedError("this page requires a login")
        return self.user.account_id

    @property
    def address(self) -> str:
        """The network address of the visitor."""
        return auth.address(self.request)

    def query(self, name: str, default: str = "") -> str:
        """A query parameter, at most 400 characters of it."""
        return self.request.query_params.get(name, default)[:400]

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """A query parameter as a number between bounds; the default when it is none."""
        text = self.query(name)
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            return default
        return min(max(int(text), least), most)


Handler = Callable[[Visit], Awaitable[Response]]


class Site:
    """Deps, templates and assets in one hand; `handler` makes a page's function safe to put on a route."""

    def __init__(self, deps: Deps, assets: Assets | None = None) -> None:
        self.deps = deps
        self.assets = assets or Assets()
        self._https = urlsplit(deps.public_url).scheme == "https"
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(format.FILTERS)
        self._templates.globals.update(
            asset=self.assets.url,
            percent=format.percent,
            ago=self._ago,
            share=charts.share,
            url=url,
            unknown=format.UNKNOWN,
        )

    def secure(self, visit: Visit) -> bool:
        """Whether cookies are for HTTPS only: the public URL is https, or a trusted proxy says that this request is."""
        return self._https or client(visit.request).scheme == "https"

    def handler(self, page: Handler, *, public: bool = False) -> Callable[[Request], Awaitable[Response]]:
        """The page with login, form check, error pages and headers around it."""

        async def answer(request: Request) -> Response:
            visit = Visit(request, None, "", {})
            try:
                visit = await self._visit(request)
                if visit.user is None and not public:
                    response = self._to_login(request)
                else:
                    response = await page(visit)
            except HTTPException as error:
                response = await self.error(visit, error.status_code, str(error.detail))
            except DmarcworksError as error:
                status = auth.status_of(error)
                if status >= 500:
                    log.warning("page failed", path=request.url.path, error=str(error))
                response = await self.error(visit, status, "" if status >= 500 else str(error))
            except ClientDisconnect:
                raise
            # The last wall before the visitor: whatever it was, they get a page and the log gets the trace.
            except Exception:
                log.exception("page failed", path=request.url.path)
                response = await self.error(visit, 500)
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return answer

    async def page(self, visit: Visit, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Render a template for the visitor."""
        # A click that cannot count problems must not hide the page that it asks for.
        problems = await self.deps.problems.count(visit.user.account_id) if visit.user else 0
        return HTMLResponse(self.render(visit, template, problems_open=problems, **values), status)

    def render(self, visit: Visit, template: str, **values: Any) -> str:
        """The template's text."""
        return self._templates.get_template(template).render(
            user=visit.user, csrf=csrf(visit.secret), path=visit.request.url.path, now=self.deps.now(), **values
        )

    async def error(self, visit: Visit, status: int, text: str = "") -> HTMLResponse:
        """An error as a page: what happened, what is safe, what to try."""
        title, words = _WORDS.get(status, _FALLBACK)
        # Starlette's own details ("Not Found") say nothing that the title does not.
        said = text if " " in text and text.casefold() != title.casefold() and status < 500 else words
        page = self.render(visit, "error.html", status=status, title=title, text=said or words, problems_open=0)
        return HTMLResponse(page, status)

    def _ago(self, value: Any) -> str:
        return format.ago(value, self.deps.now())

    async def _visit(self, request: Request) -> Visit:
        user = await auth.user(request, self.deps.accounts)
        secret = request.cookies[auth.COOKIE] if user else ""
        form: dict[str, str] = {}
        if request.method == "POST":
            self._same_site(request)
            form = await _form(request)
            if user is not None:
                act(Actor("user", user.email, auth.address(request)))
            if user is not None and not hmac.compare_digest(form.get("csrf", "").encode(), csrf(secret).encode()):
                raise HTTPException(403)
        return Visit(request, user, secret, form)

    def _same_site(self, request: Request) -> None:
        """Browsers say where a form comes from; one from elsewhere is refused, logged in or not."""
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        if site is not None:
            allowed = site in ("same-origin", "none")
        else:
            ours = {request.headers.get("host", ""), urlsplit(self.deps.public_url).netloc}
            allowed = origin is None or urlsplit(origin).netloc in ours
        if not allowed:
            raise HTTPException(403)

    def _to_login(self, request: Request) -> Response:
        if request.headers.get("hx-request"):
            return Response(status_code=204, headers={"HX-Redirect": "/login"})
        if request.method == "POST":
            return RedirectResponse("/login", 303)
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse("/login" if target == "/" else f"/login?next={quote(target, safe='')}", 303)


def csrf(secret: str) -> str:
    """The token that a session's forms carry; without a session none is needed."""
    return hmac.new(secret.encode(), b"dmarcworks form", hashlib.sha256).hexdigest() if secret else ""


def url(path: str, **query: Any) -> str:
    """A path with a query; empty values are left out."""
    kept = {name: value for name, value in query.items() if value not in (None, "")}
    return path + (f"?{urlencode(kept)}" if kept else "")


def inside(target: str) -> str:
    """The target when it is a path of this site, else the front page: a login never leads elsewhere."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if plain else "/"


async def _form(request: Request) -> dict[str, str]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES:
            raise HTTPException(413)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise HTTPException(400) from None
    return dict(pairs)
