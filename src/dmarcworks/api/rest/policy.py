"""/domains/{domain}/policy and /policy/replay: the next step of a domain's policy, and any policy over stored rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from dmarcworks.api.rest.deps import Reader
from dmarcworks.api.rest.download import HEADERS
from dmarcworks.api.rest.figures import Span
from dmarcworks.api.rest.params import DomainRef
from dmarcworks.api.rest.policy_csv import replay_csv
from dmarcworks.api.rest.policy_models import PolicyAdviceOut, PolicyReplayOut
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.tags import answer
from dmarcworks.policy.reader import MOST
from dmarcworks.policy.tags import parse_policy

routes = APIRouter(prefix="/domains/{domain}/policy", tags=["policy"], route_class=Route)

Wanted = Annotated[
    str,
    Query(
        alias="if",
        max_length=200,
        description="Required. The policy: p=…, and sp, np, adkim, aspf, t and pct as needed, separated by commas.",
        examples=["p=reject,adkim=s"],
    ),
]
Most = Annotated[int, Query(ge=1, le=20_000, description="At most so many senders, and so many source addresses.")]
Format = Annotated[Literal["json", "csv"], Query(description="csv: senders, classes, days and addresses as a file.")]
_CSV = {"description": "The replay", "content": {"text/csv": {"schema": {"type": "string", "format": "binary"}}}}


@routes.get(
    "",
    operation_id="get_policy_advice",
    response_model=PolicyAdviceOut,
    responses={400: {}, 404: {}},
    summary="Show the next step of a policy",
)
async def advice(request: Request, caller: Reader, domain: DomainRef, span: Span) -> Response:
    """The policy in force as reports state it, and whether its next step is ready; by default from the last 30 days."""
    for_domain = await caller.domain(domain)
    advised = await caller.deps.policies.advice(for_domain, *span, datetime.now(UTC).date())
    return answer(request, PolicyAdviceOut.of(advised, *span))


@routes.get(
    "/replay",
    operation_id="replay_policy",
    response_model=PolicyReplayOut,
    responses={200: _CSV, 400: {}, 404: {}},
    summary="Replay a policy",
)
async def replay(
    request: Request,
    caller: Reader,
    domain: DomainRef,
    span: Span,
    wanted: Wanted = "",
    limit: Most = 2000,
    format: Format = "json",
) -> Response:
    """Which messages of a period the policy would have quarantined or rejected; by default of the last 30 days."""
    for_domain = await caller.domain(domain)
    policy = parse_policy(wanted)
    sources = MOST if format == "csv" else limit
    replayed = await caller.deps.policies.replay(for_domain, *span, policy, sources=sources)
    if format == "csv":
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="policy-{for_domain.name}.csv"'}
        return Response(replay_csv(replayed), headers=headers, media_type="text/csv; charset=utf-8; header=present")
    return answer(request, PolicyReplayOut.of(replayed, limit, limit))
