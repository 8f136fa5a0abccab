"""Log in, by password or by a one-time link; set a password; log out.

A link's page shows a button: mail scanners open links but do not press buttons, and only the button uses the link.
Every failed login is recorded in the server log (`login failed`, or `login refused` beyond a limit) and, unless
refused, in the audit log, with the address and the name as typed. Neither log ever contains a password or a link.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dmarcworks.api import auth
from dmarcworks.api.client import client
from dmarcworks.api.deps import Dependencies, Deps
from dmarcworks.api.limits import LoginTries, Tries, network
from dmarcworks.catalogue.accounts import User
from dmarcworks.catalogue.audit import Actor, act
from dmarcworks.catalogue.logins import PASSWORD_MINIMUM
from dmarcworks.dashboard.links import inside
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.renderer import Html, Renderer
from dmarcworks.dashboard.visit import AnyVisit, UserVisit, Visit
from dmarcworks.errors import BusyError, DmarcworksError, UsageError

log = structlog.get_logger("dmarcworks.login")

NAME_CHARACTERS = 320
_BUSY_SECONDS = 5

routes = APIRouter(route_class=PageRoute, include_in_schema=False)


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """Failed logins in memory, by password and by link; one per application, in `app.state.login_limits`."""

    passwords: LoginTries
    links: Tries

    @classmethod
    def of(cls, deps: Deps) -> LoginLimits:
        """None failed yet."""
        return cls(LoginTries(deps.clock, deps.login_failures), Tries(deps.clock))


async def _limits(request: Request) -> LoginLimits:
    limits: LoginLimits = request.app.state.login_limits
    return limits


Limits = Annotated[LoginLimits, Depends(_limits)]


@routes.get("/login")
async def login(visit: AnyVisit, html: Html) -> Response:
    """The form of the login."""
    target = inside(visit.query("next", "/"))
    if visit.user is not None:
        return RedirectResponse(target, 303)
    return await html.page(visit, "login.html", target=target, email="", wrong=False)


@routes.post("/login")
async def check(visit: AnyVisit, deps: Dependencies, html: Html, limits: Limits) -> Response:
    """Log in by password."""
    name, target = visit.form.get("email", "").strip()[:NAME_CHARACTERS], inside(visit.form.get("next", "/"))
    familiar = await deps.accounts.familiar(name, network(visit.address))
    if wait := limits.passwords.take(visit.address, name, familiar=familiar):
        return _too_many(html, visit, name, wait)
    try:
        user = await deps.accounts.check_password(name, visit.form.get("password", ""))
    except DmarcworksError as error:
        limits.passwords.give_back(visit.address, name, familiar=familiar)
        if isinstance(error, BusyError):
            return _busy(html, visit, name, error)
        raise
    if user is None:
        return await _failed(html, deps, visit, name, target)
    limits.passwords.give_back(visit.address, name, familiar=familiar)
    return await _begin(deps, visit, user, "password", target)


@routes.get("/login/{secret}")
async def link(secret: str, visit: AnyVisit, deps: Dependencies, html: Html) -> Response:
    """A login link: the page with the button, or 410 when the link is used, expired or unknown."""
    # Only looked up: mail scanners open links, and that must neither use one up nor count as a failed login.
    works = await deps.accounts.link_works(secret)
    return await html.page(visit, "link.html", 200 if works else 410, secret=secret, used=not works)


@routes.post("/login/{secret}")
async def redeem(secret: str, visit: AnyVisit, deps: Dependencies, html: Html, limits: Limits) -> Response:
    """The button: log in by the link, once."""
    # Looked up first: nobody can guess a link, and failed attempts from one address must not block a valid one.
    user = await deps.accounts.redeem(secret)
    if user is not None:
        deps.link_used(secret)
        # A user who logs in by a link has no password yet or has forgotten it.
        return await _begin(deps, visit, user, "link", "/password")
    if wait := limits.links.take(visit.address):
        return _too_many(html, visit, "", wait)
    act(Actor("visitor", "", visit.address))
    reason = await deps.accounts.link_refused(secret)
    log.warning("login failed", address=visit.address, user="", reason=f"{reason} link")
    return await html.page(visit, "link.html", 410, secret="", used=True)


@routes.get("/password")
async def password(visit: UserVisit, html: Html) -> Response:
    """The form that sets a password."""
    return await html.page(visit, "password.html", least=PASSWORD_MINIMUM, wrong="")


@routes.post("/password")
async def set_password(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """Set a password; all other sessions end."""
    first, second = visit.form.get("password", ""), visit.form.get("again", "")
    wrong = "" if first == second else "The passwords do not match."
    if visit.user is not None and not wrong:
        try:
            await deps.accounts.set_password(visit.user.id, first)
            # Every session ended with the old password, this one too: a new one begins.
            return await _begin(deps, visit, visit.user, "new password", "/")
        except UsageError as error:
            wrong = f"{str(error)[:1].upper()}{str(error)[1:]}."
        except BusyError as error:
            return _busy(html, visit, visit.user.email, error)
    return await html.page(visit, "password.html", 400, least=PASSWORD_MINIMUM, wrong=wrong)


@routes.get("/logout")
async def confirm_logout(visit: AnyVisit, html: Html) -> Response:
    """Request a confirmation before the logout: a link or an image on another site must not end a session."""
    return RedirectResponse("/login", 303) if visit.user is None else await html.page(visit, "logout.html")


@routes.post("/logout")
async def logout(visit: UserVisit, deps: Dependencies) -> Response:
    """Log out."""
    await deps.accounts.end_session(visit.secret)
    log.info("logout", address=visit.address, user=cleaned(visit.email))
    response = RedirectResponse("/login", 303)
    auth.clear_session(response, secure=_secure(deps, visit))
    return response


async def _begin(deps: Deps, visit: Visit, user: User, by: str, target: str) -> Response:
    act(Actor("user", user.email, visit.address))
    secret = await deps.accounts.log_in(user, by, network(visit.address))
    log.info("login", address=visit.address, user=cleaned(user.email), by=by)
    response = RedirectResponse(target, 303)
    auth.set_session(response, secret, secure=_secure(deps, visit))
    return response


def _too_many(html: Renderer, visit: Visit, name: str, wait: float) -> Response:
    seconds = int(wait) + 1
    log.warning("login refused", address=visit.address, user=cleaned(name), reason="too many failed logins")
    response = html.error(visit, 429, f"Too many failed logins. Try again in {seconds} seconds.")
    response.headers["Retry-After"] = str(seconds)
    return response


def _busy(html: Renderer, visit: Visit, name: str, error: BusyError) -> Response:
    log.warning("login refused", address=visit.address, user=cleaned(name), reason="too many at once")
    text = f"{str(error)[:1].upper()}{str(error)[1:]}."
    values = {"status": 503, "title": "Too many logins at once", "text": text, "problems_open": 0}
    return HTMLResponse(html.render(visit, "error.html", **values), 503, {"Retry-After": str(_BUSY_SECONDS)})


async def _failed(html: Renderer, deps: Deps, visit: Visit, name: str, target: str) -> Response:
    reason = "wrong name or password"
    log.warning("login failed", address=visit.address, user=cleaned(name), reason=reason)
    act(Actor("visitor", "", visit.address))
    await deps.accounts.log_in_failed(cleaned(name), reason)
    return await html.page(visit, "login.html", 401, target=target, email=name, wrong=True)


def _secure(deps: Deps, visit: Visit) -> bool:
    """Whether cookies are for HTTPS only: the public URL is https, or a trusted proxy reports it of this request."""
    return urlsplit(deps.public_url).scheme == "https" or client(visit.request).scheme == "https"


def cleaned(name: str) -> str:
    """A name as typed, for logs: without control or invisible characters, and truncated."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name[:NAME_CHARACTERS])
