"""`/domains/{name}/setup`: what is published of a domain's records, what is missing, and what to publish.

"Check now" has DNS looked up in the background; the page updates itself, and without JavaScript reloads until then.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dmarcworks.api.deps import Dependencies, Deps
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.pages.domain import OwnDomain, records_of
from dmarcworks.dashboard.renderer import Html
from dmarcworks.dashboard.visit import UserVisit
from dmarcworks.errors import ConflictError
from dmarcworks.policy.setup.model import DomainSetup, SetupState

routes = APIRouter(route_class=PageRoute, include_in_schema=False)


@routes.get("/domains/{name}/setup")
async def setup(domain: OwnDomain, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """The set-up of a domain."""
    return await html.page(visit, "setup.html", **await _values(deps, domain))


@routes.get("/domains/{name}/setup/live")
async def live(domain: OwnDomain, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """The content of the page again when something has changed, else 204."""
    if await _seen(deps, domain) == visit.query("seen"):
        return Response(status_code=204)
    return HTMLResponse(html.render(visit, "_setup_page.html", **await _values(deps, domain)))


@routes.post("/domains/{name}/setup/check")
async def check(domain: OwnDomain, visit: UserVisit, deps: Dependencies) -> Response:
    """Have the records looked up now, in the background."""
    if not deps.setup_checks:
        raise ConflictError("This server does not look up records: DMARCWORKS_SETUP_CHECKS is off.")
    await deps.setups.request(domain)
    return RedirectResponse(f"/domains/{domain.name}/setup", 303)


async def _seen(deps: Deps, domain: Domain) -> str:
    """What changes when a check is requested or done, and when a report arrives: two index look-ups."""
    checked, checking = await deps.setups.checked(domain)
    last_report = await deps.arrivals.last_report(domain.account_id, domain.id)
    times = [f"{one:%Y%m%d%H%M%S%f}" if one else "none" for one in (checked, last_report)]
    return "-".join([*times, "checking" if checking else "checked"])


async def _values(deps: Deps, domain: Domain) -> dict[str, Any]:
    # First, so that what changes meanwhile is shown with the next poll.
    seen = await _seen(deps, domain)
    newest = await deps.arrivals.newest_day(domain.account_id, domain.id)
    values = await records_of(deps, domain, newest)
    shown: DomainSetup = values["setup"]
    tone, headline, explanation = _headline(shown)
    return {
        "domain": domain,
        "newest": newest,
        "seen": seen,
        "tone": tone,
        "headline": headline,
        "explanation": explanation,
        **values,
    }


def _headline(shown: DomainSetup) -> tuple[str, str, str]:
    """The state in a sentence, and what comes next."""
    if shown.state is SetupState.publish:
        missing = [one.title for one in shown.open_items if one.status == "missing" and one.code not in _LATER]
        return "bad", f"Missing: {', '.join(missing)}.", "Publish what is listed below; it is looked up automatically."
    return _HEADLINES[shown.state]


_LATER = ("ownership", "first-report")
_HEADLINES = {
    SetupState.receiving: ("ok", "Reports arrive.", "Nothing that reports need is missing."),
    SetupState.waiting: (
        "wait",
        "Everything is published. Waiting for the first report.",
        "Reporters send once a day, so expect it within two days.",
    ),
    SetupState.unknown: (
        "warn",
        "DNS gave no answer about some records.",
        "They are looked up again automatically. If this stays, check that the domain's name servers answer.",
    ),
    SetupState.unchecked: (
        "grey",
        "DNS has not been looked at yet.",
        "Publish the records below. If the domain has a DMARC record already, keep it and append the address.",
    ),
}
