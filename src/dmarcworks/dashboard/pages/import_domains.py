"""`/import`: many domains at once, from an uploaded file or pasted text; each line with its outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fastapi import APIRouter
from starlette.responses import Response

from dmarcworks.api.deps import Dependencies
from dmarcworks.api.rest.domain_setup import FILE_DOMAINS
from dmarcworks.catalogue.domain_lines import DomainOutcome, add_lines, domain_lines
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.renderer import Html, Renderer
from dmarcworks.dashboard.visit import UserVisit, Visit
from dmarcworks.errors import BoundError, UsageError

routes = APIRouter(route_class=PageRoute, include_in_schema=False)


@routes.get("/import")
async def index(visit: UserVisit, html: Html) -> Response:
    """The forms."""
    return await _page(html, visit)


@routes.post("/import")
async def add(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """Add the domains of a file or a text."""
    text = visit.form.get("file") or visit.form.get("text", "")
    account = await deps.accounts.account(visit.account_id)
    if account is None:
        raise UsageError("the account of this login no longer exists")
    try:
        lines = domain_lines(text, FILE_DOMAINS)
    except (UsageError, BoundError) as error:
        return await _page(html, visit, 400, wrong=f"{str(error)[:1].upper()}{str(error)[1:]}.", typed=text[:10_000])
    return await _page(html, visit, outcomes=await add_lines(deps.accounts, account, lines))


async def _page(
    html: Renderer,
    visit: Visit,
    status: int = 200,
    *,
    outcomes: Sequence[DomainOutcome] = (),
    wrong: str = "",
    typed: str = "",
) -> Response:
    counts = dict.fromkeys(("added", "present", "refused"), 0) | Counter(one.outcome for one in outcomes)
    values = {"outcomes": outcomes, "counts": counts, "wrong": wrong, "typed": typed, "most": FILE_DOMAINS}
    return await html.page(visit, "import.html", status, **values)
