"""`/domains/{name}/dns`: the stored report card of the domain's DNS records, and a form that requests a check.

No page looks anything up in DNS: checks run in the background, and the page shows what they stored.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from dmarcworks.api.deps import Dependencies, Deps
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.dns_schedule import SELECTORS, CheckPart
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.pages.domain import OwnDomain
from dmarcworks.dashboard.record_words import CHECKS, SEVERITIES, record_kind
from dmarcworks.dashboard.renderer import Html
from dmarcworks.dashboard.visit import UserVisit
from dmarcworks.enrich.senders.names import selector_of
from dmarcworks.errors import NotFoundError, UsageError
from dmarcworks.policy.dns_records.finding import Severity
from dmarcworks.policy.dns_records.full_check import card_from

routes = APIRouter(route_class=PageRoute, include_in_schema=False)


@routes.get("/domains/{name}/dns")
async def dns_records(domain: OwnDomain, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """Findings by severity, each with the record to publish; then the records themselves."""
    return await html.page(visit, "dns_records.html", domain=domain, **await _stored(deps, domain))


@routes.post("/domains/{name}/dns/check")
async def request_check(domain: OwnDomain, visit: UserVisit, deps: Dependencies) -> Response:
    """Request a check in the background, and show the page again."""
    named = visit.form.get("selectors", "").replace(",", " ").split()[:SELECTORS]
    if wrong := next((one for one in named if selector_of(one) is None), None):
        raise UsageError(f"{wrong[:60]!r} is not a DKIM selector; write it like s1 or mail.2026.")
    if not await deps.dns_schedule.request(domain.account_id, domain.id, named):
        raise NotFoundError(f"There is no domain {domain.name}.")
    return RedirectResponse(f"/domains/{domain.name}/dns", 303)


async def _stored(deps: Deps, domain: Domain) -> dict[str, Any]:
    place = (domain.account_id, domain.id)
    stored, status = await deps.dns_history.card(*place), await deps.dns_schedule.status(*place)
    card = card_from(stored.card) if stored else None
    whole = status.get(CheckPart.records)
    findings = card.findings if card else ()
    parts = [(severity, [one for one in findings if one.severity is severity]) for severity in Severity]
    return {
        "stored": stored,
        "card": card,
        "parts": [(*SEVERITIES[severity], some) for severity, some in parts if some],
        "checks": CHECKS,
        "states": await deps.dns_history.latest(*place),
        "record_kind": record_kind,
        "next": whole,
        "pending": whole is not None and (whole.running or whole.requested is not None),
        "selectors": whole.selectors if whole else (),
    }
