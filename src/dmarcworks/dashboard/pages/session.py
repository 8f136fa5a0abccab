"""Log in, by password or by a one-time link; set a password; log out.

A link's page shows a button: mail scanners open links, they do not press buttons, and only the press uses the link up.
Every failed login is recorded in the server log (`login failed`, or `login refused` beyond a limit) and, unless
refused, in the audit log, with the address and the name as typed. Neither log ever contains a password or a link.
"""

from __future__ import annotations

import structlog
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dmarcworks.api import auth
from dmarcworks.api.limits import LoginTries, Tries, network
from dmarcworks.catalogue.accounts import User
from dmarcworks.catalogue.audit import Actor, act
from dmarcworks.catalogue.logins import PASSWORD_MINIMUM
from dmarcworks.dashboard.pages.route import GET, POST, Route
from dmarcworks.dashboard.web import Site, Visit, inside
from dmarcworks.errors import BusyError, DmarcworksError, UsageError

log = structlog.get_logger("dmarcworks.login")

NAME_CHARACTERS = 320
_BUSY_SECONDS = 5


def routes(site: Site) -> list[Route]:
    """The pages of this module."""
    deps = site.deps
    tries, links = LoginTries(deps.clock, deps.login_failures), Tries(deps.clock)

    async def begin(visit: Visit, user: User, by: str, target: str) -> Response:
        act(Actor("user", user.email, visit.address))
        secret = await deps.accounts.log_in(user, by, network(visit.address))
        log.info("login", address=visit.address, user=cleaned(user.email), by=by)
        response = RedirectResponse(target, 303)
        auth.set_session(response, secret, secure=site.secure(visit))
        return response

    async def too_many(visit: Visit, name: str, wait: float) -> Response:
        seconds = int(wait) + 1
        log.warning("login refused", address=visit.address, user=cleaned(name), reason="too many failed logins")
        response = await site.error(visit, 429, f"Too many failed logins. Try again in {seconds} seconds.")
        response.headers["Retry-After"] = str(seconds)
        return response

    def busy(visit: Visit, name: str, error: BusyError) -> Response:
        log.warning("login refused", address=visit.address, user=cleaned(name), reason="too many at once")
        text = f"{str(error)[:1].upper()}{str(error)[1:]}."
        values = {"status": 503, "title": "Too many logins at once", "text": text, "problems_open": 0}
        return HTMLResponse(site.render(visit, "error.html", **values), 503, {"Retry-After": str(_BUSY_SECONDS)})

    async def login(visit: Visit) -> Response:
        target = inside(visit.query("next", "/"))
        if visit.user is not None:
            return RedirectResponse(target, 303)
        return await site.page(visit, "login.html", target=target, email="", wrong=False)

    async def check(visit: Visit) -> Response:
        name, target = visit.form.get("email", "").strip()[:NAME_CHARACTERS], inside(visit.form.get("next", "/"))
        familiar = await deps.accounts.familiar(name, network(visit.address))
        if wait := tries.take(visit.address, name, familiar=familiar):
            return await too_many(visit, name, wait)
        try:
            user = await deps.accounts.check_password(name, visit.form.get("password", ""))
        except DmarcworksError as error:
            tries.give_back(visit.address, name, familiar=familiar)
            if isinstance(error, BusyError):
                return busy(visit, name, error)
            raise
        if user is None:
            return await failed(visit, name, target)
        tries.give_back(visit.address, name, familiar=familiar)
        return await begin(visit, user, "password", target)

    async def failed(visit: Visit, name: str, target: str) -> Response:
        reason = "wrong name or password"
        log.warning("login failed", address=visit.address, user=cleaned(name), reason=reason)
        act(Actor("visitor", "", visit.address))
        await deps.accounts.log_in_failed(cleaned(name), reason)
        return await site.page(visit, "login.html", 401, target=target, email=name, wrong=True)

    async def link(visit: Visit) -> Response:
        return await site.page(visit, "link.html", secret=visit.request.path_params["secret"], used=False)

    async def redeem(visit: Visit) -> Response:
        secret = visit.request.path_params["secret"]
        # Looked up first: nobody can guess a link, and failed attempts from one address must not block a valid one.
        user = await deps.accounts.redeem(secret)
        if user is not None:
            deps.link_used(secret)
            # A user who logs in by a link has no password yet or has forgotten it.
            return await begin(visit, user, "link", "/password")
        if wait := links.take(visit.address):
            return await too_many(visit, "", wait)
        act(Actor("visitor", "", visit.address))
        reason = await deps.accounts.link_refused(secret)
        log.warning("login failed", address=visit.address, user="", reason=f"{reason} link")
        return await site.page(visit, "link.html", 410, secret="", used=True)

    async def password(visit: Visit) -> Response:
        return await site.page(visit, "password.html", least=PASSWORD_MINIMUM, wrong="")

    async def set_password(visit: Visit) -> Response:
        first, second = visit.form.get("password", ""), visit.form.get("again", "")
        wrong = "" if first == second else "The passwords do not match."
        if visit.user is not None and not wrong:
            try:
                await deps.accounts.set_password(visit.user.id, first)
                # Every session ended with the old password, this one too: a new one begins.
                return await begin(visit, visit.user, "new password", "/")
            except UsageError as error:
                wrong = f"{str(error)[:1].upper()}{str(error)[1:]}."
            except BusyError as error:
                return busy(visit, visit.user.email, error)
        return await site.page(visit, "password.html", 400, least=PASSWORD_MINIMUM, wrong=wrong)

    async def logout(visit: Visit) -> Response:
        await deps.accounts.end_session(visit.secret)
        log.info("logout", address=visit.address, user=cleaned(visit.user.email) if visit.user else "")
        response = RedirectResponse("/login", 303)
        auth.clear_session(response, secure=site.secure(visit))
        return response

    return [
        ("/login", GET, login, True),
        ("/login", POST, check, True),
        ("/login/{secret}", GET, link, True),
        ("/login/{secret}", POST, redeem, True),
        ("/password", GET, password, False),
        ("/password", POST, set_password, False),
        ("/logout", POST, logout, False),
    ]


def cleaned(name: str) -> str:
    """A name as typed, for logs: without control or invisible characters, and truncated."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name[:NAME_CHARACTERS])
