"""/domain-claims and /notices: prove a domain that another account may have, and what accounts are notified of."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from dmarcworks.api.rest.deps import Caller, Reader, Writer
from dmarcworks.api.rest.params import DomainRef
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.setup_models import ClaimIn, ClaimOut, ClaimsOut, NoticeOut, NoticesOut
from dmarcworks.api.rest.tags import answer, require_match
from dmarcworks.catalogue.domain_claims import DomainClaim
from dmarcworks.errors import NotFoundError

routes = APIRouter(tags=["domains"], route_class=Route)

NoticeId = Annotated[int, Path(ge=1, le=2**31 - 1, description="The notice's number.")]


async def _claim(caller: Caller, name: str) -> DomainClaim:
    caller.whole()
    return await caller.deps.claims.of(caller.account_id, name)


def _out(caller: Caller, claim: DomainClaim) -> ClaimOut:
    return ClaimOut.of(claim, caller.deps.hostname)


@routes.get("/domain-claims", operation_id="list_claims", response_model=ClaimsOut, summary="List claims to domains")
async def index(request: Request, caller: Reader) -> Response:
    """The domains that the account claims and has not proven yet."""
    caller.whole()
    rows = await caller.deps.claims.list(caller.account_id)
    return answer(request, ClaimsOut(items=[_out(caller, one) for one in rows]))


@routes.post(
    "/domain-claims",
    operation_id="claim_domain",
    status_code=201,
    response_model=ClaimOut,
    responses={400: {}, 409: {}},
    summary="Claim a domain",
)
async def add(request: Request, caller: Writer, body: ClaimIn) -> Response:
    """Claim a name, whether or not another account has it. Once DNS proves it, the domain is the account's."""
    caller.whole()
    account = await caller.deps.accounts.account(caller.account_id)
    if account is None:
        raise NotFoundError("there is no such account")
    made = _out(caller, await caller.deps.claims.open(account, body.name))
    return answer(request, made, 201, {"Location": f"/api/v1/domain-claims/{made.name}"})


@routes.get(
    "/domain-claims/{domain}",
    operation_id="get_claim",
    response_model=ClaimOut,
    responses={404: {}},
    summary="Show a claim",
)
async def show(request: Request, caller: Reader, domain: DomainRef) -> Response:
    """The record to publish, and why the claim is not proven yet."""
    return answer(request, _out(caller, await _claim(caller, domain)))


@routes.post(
    "/domain-claims/{domain}/check",
    operation_id="check_claim",
    status_code=202,
    response_model=ClaimOut,
    responses={404: {}},
    summary="Look up the proof of a claim",
)
async def check(request: Request, caller: Writer, domain: DomainRef) -> Response:
    """DNS is looked up in the background; a claim that is proven becomes a domain."""
    await caller.deps.claims.request(await _claim(caller, domain))
    return answer(request, _out(caller, await _claim(caller, domain)), 202)


@routes.delete(
    "/domain-claims/{domain}",
    operation_id="withdraw_claim",
    status_code=204,
    responses={404: {}},
    summary="Withdraw a claim",
)
async def withdraw(request: Request, caller: Writer, domain: DomainRef) -> Response:
    """Do not claim the name any more."""
    claim = await _claim(caller, domain)
    require_match(request, _out(caller, claim))
    await caller.deps.claims.withdraw(claim)
    return Response(status_code=204)


@routes.get("/notices", operation_id="list_notices", response_model=NoticesOut, summary="List notices")
async def notices(request: Request, caller: Reader) -> Response:
    """What happened to the account's domains without its doing."""
    caller.whole()
    rows = await caller.deps.notices.list(caller.account_id)
    return answer(request, NoticesOut(items=[NoticeOut.of(one) for one in rows]))


@routes.delete(
    "/notices/{notice}",
    operation_id="dismiss_notice",
    status_code=204,
    responses={404: {}},
    summary="Dismiss a notice",
)
async def dismiss(request: Request, caller: Writer, notice: NoticeId) -> Response:
    """Delete a notice that somebody has read."""
    caller.whole()
    await caller.deps.notices.dismiss(caller.account_id, notice, caller.deps.clock())
    return Response(status_code=204)
