"""/domains/{domain}/policy/plan and /spf-prune: the changes of DNS records that are proposed, as DNS answers now."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dmarcworks.api.rest.deps import Reader
from dmarcworks.api.rest.figures import Span
from dmarcworks.api.rest.params import DomainRef
from dmarcworks.api.rest.plan_models import ChangePlanOut, SpfPruneOut
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.tags import answer
from dmarcworks.policy.planner import PRUNE_DAYS, PlanRequest

routes = APIRouter(prefix="/domains/{domain}", tags=["policy"], route_class=Route)

Parked = Annotated[bool, Query(description="The domain is to neither send nor receive mail.")]
PruneDays = Annotated[int, Query(ge=7, le=366, description="Days up to today in which an unused term carried no mail.")]


@routes.get(
    "/policy/plan",
    operation_id="get_change_plan",
    response_model=ChangePlanOut,
    responses={400: {}, 404: {}, 503: {}},
    summary="Show the changes of records that are proposed",
)
async def plan(request: Request, caller: Reader, domain: DomainRef, span: Span, parked: Parked = False) -> Response:
    """Each change with its record before and after, why, what it risks, and how to go back. Nothing is changed."""
    for_domain = await caller.domain(domain)
    today = caller.deps.now().date()
    made = await caller.deps.planner.plan(PlanRequest(for_domain, *span, today, parked=parked))
    return answer(request, ChangePlanOut.of(made))


@routes.get(
    "/spf-prune",
    operation_id="get_spf_prune",
    response_model=SpfPruneOut,
    responses={400: {}, 404: {}, 503: {}},
    summary="Show the unused terms of an SPF record",
)
async def prune(request: Request, caller: Reader, domain: DomainRef, days: PruneDays = PRUNE_DAYS) -> Response:
    """The terms that carried no mail, and the record without them, proven over the stored passes."""
    for_domain = await caller.domain(domain)
    return answer(request, SpfPruneOut.of(await caller.deps.planner.prune(for_domain, caller.deps.now().date(), days)))
