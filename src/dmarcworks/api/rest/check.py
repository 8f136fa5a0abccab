"""/domains/{domain}/check: the DNS records of one of the account's domains, looked up and checked now."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dmarcworks.analytics.period import STANDARD, last_days
from dmarcworks.api.rest.check_models import DomainCheckOut
from dmarcworks.api.rest.deps import Reader
from dmarcworks.api.rest.params import DomainRef
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.tags import answer
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.policy.dns_records.report_card import CardRequest

routes = APIRouter(tags=["domains"], route_class=Route)

# Selectors of reports that are checked; anyone who forges many cannot cause more queries.
_SEEN = 20
_Selectors = Annotated[
    str | None,
    Query(pattern=r"^[A-Za-z0-9._,-]{1,1000}$", description="DKIM selectors to check, separated by commas."),
]


@routes.get(
    "/domains/{domain}/check",
    operation_id="check_domain",
    response_model=DomainCheckOut,
    responses={404: {}},
    summary="Check a domain's DNS records",
)
async def check(request: Request, caller: Reader, domain: DomainRef, selectors: _Selectors = None) -> Response:
    """DMARC, SPF, DKIM, MX, MTA-STS, TLS-RPT, BIMI and DNSSEC, as DNS answers now, within 15 seconds.

    The DKIM keys are those that `selectors` names, and those that signed in reports of the last 30 days.
    """
    wanted = await caller.domain(domain)
    names = tuple(name for name in (selectors or "").split(",") if name)
    seen = await _seen(caller, wanted)
    wanted_card = CardRequest(wanted.name, names, report_host=caller.deps.hostname, seen_selectors=seen)
    card = await caller.deps.check_records(wanted_card)
    return answer(request, DomainCheckOut.of(card))


async def _seen(caller: Reader, domain: Domain) -> tuple[str, ...]:
    """The selectors of the domain in reports, those of the most messages first."""
    span = last_days(STANDARD, caller.deps.now().date())
    rows = await caller.deps.questions.selectors(caller.account_id, domain.id, *span, limit=_SEEN)
    return tuple(row.selector for row in rows if row.domain.lower() == domain.name)
