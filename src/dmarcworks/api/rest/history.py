"""/domains/{domain}/history and /domains/{domain}/silence: what changed in DNS, what reporters saw, what stopped."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from dmarcworks.api.rest.deps import Reader
from dmarcworks.api.rest.figures import Span
from dmarcworks.api.rest.history_models import DomainHistoryOut, DomainSilenceOut
from dmarcworks.api.rest.params import DomainRef
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.tags import answer

routes = APIRouter(tags=["domains"], route_class=Route)


@routes.get(
    "/domains/{domain}/history",
    operation_id="get_domain_history",
    response_model=DomainHistoryOut,
    responses={400: {}, 404: {}},
    summary="Show the history of a domain's DNS records",
)
async def history(request: Request, caller: Reader, domain: DomainRef, span: Span) -> Response:
    """The changes of the records that checks found, and the policies that reports state; by default of 30 days."""
    wanted = await caller.domain(domain)
    return answer(request, DomainHistoryOut.of(wanted.name, span, await caller.deps.records.history(wanted, *span)))


@routes.get(
    "/domains/{domain}/silence",
    operation_id="get_domain_silence",
    response_model=DomainSilenceOut,
    responses={404: {}},
    summary="Show what stopped, and why",
)
async def silence(request: Request, caller: Reader, domain: DomainRef) -> Response:
    """Reporters that stopped, a domain without reports, senders whose alignment fell; each with the change before."""
    wanted = await caller.domain(domain)
    stopped = await caller.deps.records.silence(wanted, caller.deps.now().date())
    return answer(request, DomainSilenceOut.of(wanted.name, stopped))
