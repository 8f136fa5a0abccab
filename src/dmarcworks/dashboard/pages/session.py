"""Log in, by password or by a one-time link; set a password; log out.

A link's page shows a button: mail scanners open links, they do not press buttons, and only the press uses the link up.
Five failed tries a minute from one address, then 429.
"""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from dmarcworks.api import auth
from dmarcworks.api.limits import Tries
from dmarcworks.catalogue.accounts import PASSWORD_MINIMUM, User
from dmarcworks.dashboard.pages.route import GET, POST, Route
from dmarcworks.dashboard.web import Site, Visit, inside
from dmarcworks.errors import UsageError


def routes(site: Site) -> list[Route]:
    """The pages of this module."""
    deps = site.deps
    tries = Tries(deps.clock)

    async def begin(user: User, target: str) -> Response:
        secret = await deps.accounts.start_session(user.id)
        response = RedirectResponse(target, 303)
        auth.set_session(response, secret, secure=site.secure)
        return response

    async def too_many(visit: Visit, wait: float) -> Response:
        response = await site.error(visit, 429)
        response.headers["Retry-After"] = str(int(wait) + 1)
        return response

    async def login(visit: Visit) -> Response:
        target = inside(visit.query("next", "/"))
        if visit.user is not None:
            return RedirectResponse(target, 303)
        return await site.page(visit, "login.html", target=target, email="", wrong=False)

    async def check(visit: Visit) -> Response:
        if wait := tries.take(visit.address):
            return await too_many(visit, wait)
        email = visit.form.get("email", "").strip()[:320]
        target = inside(visit.form.get("next", "/"))
        user = await deps.accounts.check_password(email, visit.form.get("password", ""))
        if user is None:
            return await site.page(visit, "login.html", 401, target=target, email=email, wrong=True)
        tries.give_back(visit.address)
        return await begin(user, target)

    async def link(visit: Visit) -> Response:
        return await site.page(visit, "link.html", secret=visit.request.path_params["secret"], used=False)

    async def redeem(visit: Visit) -> Response:
        if wait := tries.take(visit.address):
            return await too_many(visit, wait)
        user = await deps.accounts.redeem(visit.request.path_params["secret"])
        if user is None:
            return await site.page(visit, "link.html", 410, secret="", used=True)
        tries.give_back(visit.address)
        # Whoever comes by a link has no password yet or forgot it.
        return await begin(user, "/password")

    async def password(visit: Visit) -> Response:
        return await site.page(visit, "password.html", least=PASSWORD_MINIMUM, wrong="")

    async def set_password(visit: Visit) -> Response:
        first, second = visit.form.get("password", ""), visit.form.get("again", "")
        wrong = "" if first == second else "The passwords do not match."
        if visit.user is not None and not wrong:
            try:
                await deps.accounts.set_password(visit.user.id, first)
                # Every session ended with the old password, this one too: a new one begins.
                return await begin(visit.user, "/")
            except UsageError as error:
                wrong = f"{str(error)[:1].upper()}{str(error)[1:]}."
        return await site.page(visit, "password.html", 400, least=PASSWORD_MINIMUM, wrong=wrong)

    async def logout(visit: Visit) -> Response:
        await deps.accounts.end_session(visit.secret)
        response = RedirectResponse("/login", 303)
        auth.clear_session(response, secure=site.secure)
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
