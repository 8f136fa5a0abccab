"""`/claims`: domains that the account claims, each with the record that proves it. And notices, which one dismisses."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from dmarcworks.api.deps import Dependencies
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.renderer import Html
from dmarcworks.dashboard.visit import UserVisit
from dmarcworks.errors import UsageError
from dmarcworks.policy.setup.plan import challenge_record

routes = APIRouter(route_class=PageRoute, include_in_schema=False)


@routes.get("/claims")
async def index(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """The open claims."""
    rows = await deps.claims.list(visit.account_id)
    claims = [(one, challenge_record(one.name, one.token)) for one in rows]
    checking = deps.setup_checks and any(one.checking for one in rows)
    return await html.page(visit, "claims.html", claims=claims, checking=checking, hostname=deps.hostname)


@routes.post("/claims")
async def add(visit: UserVisit, deps: Dependencies) -> Response:
    """Claim a domain."""
    account = await deps.accounts.account(visit.account_id)
    if account is None:
        raise UsageError("the account of this login no longer exists")
    await deps.claims.open(account, visit.form.get("name", "").strip()[:300])
    return RedirectResponse("/claims", 303)


@routes.post("/claims/{name}/check")
async def check(name: str, visit: UserVisit, deps: Dependencies) -> Response:
    """Have the proof looked up now, in the background."""
    await deps.claims.request(await deps.claims.of(visit.account_id, name))
    return RedirectResponse("/claims", 303)


@routes.post("/claims/{name}/withdraw")
async def withdraw(name: str, visit: UserVisit, deps: Dependencies) -> Response:
    """End a claim."""
    await deps.claims.withdraw(await deps.claims.of(visit.account_id, name))
    return RedirectResponse("/claims", 303)


@routes.post("/notices/{notice}/dismiss")
async def dismiss(notice: str, visit: UserVisit, deps: Dependencies) -> Response:
    """Delete a notice that somebody has read."""
    if not (notice.isascii() and notice.isdigit() and len(notice) < 10):
        raise HTTPException(404)
    await deps.notices.dismiss(visit.account_id, int(notice), deps.clock())
    return RedirectResponse("/", 303)
