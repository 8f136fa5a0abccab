"""/domains/{domain}/check: the DNS records of one of the account's domains, looked up and checked now."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dmarcworks.api.rest.check_models import DomainCheckOut
from dmarcworks.api.rest.deps import Reader
from dmarcworks.api.rest.params import DomainRef
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.tags import answer
from dmarcworks.policy.dns_records.report_card import CardRequest
from dmarcworks.policy.dns_records.seen import seen_selectors

routes = APIRouter(tags=["domains"], route_class=Route)

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
    today = caller.deps.now().date()
    seen = await seen_selectors(caller.deps.questions, caller.account_id, wanted.id, wanted.name, today)
    wanted_card = CardRequest(wanted.name, names, report_host=caller.deps.hostname, seen_selectors=seen)
    card = await caller.deps.check_records(wanted_card)
    return answer(request, DomainCheckOut.of(card))
