"""/domains and /rua-addresses: the domains that reports are accepted for, and whether mail is accepted now."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from dmarcworks.api.rest.deps import Caller, Reader, Writer
from dmarcworks.api.rest.domain_models import DomainIn, DomainOut, EnabledIn, RuaAddressOut
from dmarcworks.api.rest.paging import Cursor, Limit, Page, after, mark
from dmarcworks.api.rest.params import DomainRef, EnabledFilter
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.tags import answer, require_match
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.errors import NotFoundError

routes = APIRouter(tags=["domains"], route_class=Route)

Address = Annotated[str, Path(max_length=320, pattern=r"^[\x21-\x7e]+$", description="The rua address.")]


async def _wanted(caller: Caller, enabled: bool | None) -> list[Domain]:
    return [domain for domain in await caller.domains() if enabled is None or domain.enabled is enabled]


@routes.get("/domains", operation_id="list_domains", response_model=Page[DomainOut], summary="List domains")
async def index(
    request: Request, caller: Reader, enabled: EnabledFilter = None, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """The domains within the token's reach, by name."""
    from_ = after("domains", cursor, str)
    left = [domain for domain in await _wanted(caller, enabled) if from_ is None or domain.name > from_[0]]
    items = [DomainOut.of(domain, caller.deps.hostname) for domain in left[:limit]]
    next_ = mark("domains", items[-1].name) if len(left) > limit else None
    return answer(request, Page[DomainOut](items=items, next=next_))


@routes.post(
    "/domains",
    operation_id="add_domain",
    status_code=201,
    response_model=DomainOut,
    responses={400: {}, 409: {}},
    summary="Add a domain",
)
async def add(request: Request, caller: Writer, body: DomainIn) -> Response:
    """Accept reports for a domain: it gets a rua address, open from now on. A name exists once on a host."""
    caller.whole()
    account = await caller.deps.accounts.account(caller.account_id)
    if account is None:
        raise NotFoundError("there is no such account")
    added = await caller.deps.accounts.add_domain(body.name, account.name, parked=body.parked)
    made = DomainOut.of(added, caller.deps.hostname)
    return answer(request, made, 201, {"Location": f"/api/v1/domains/{made.id}"})


@routes.get(
    "/domains/{domain}",
    operation_id="get_domain",
    response_model=DomainOut,
    responses={404: {}},
    summary="Show a domain",
)
async def show(request: Request, caller: Reader, domain: DomainRef) -> Response:
    """A domain by name or id."""
    return answer(request, DomainOut.of(await caller.domain(domain), caller.deps.hostname))


@routes.patch(
    "/domains/{domain}",
    operation_id="change_domain",
    response_model=DomainOut,
    responses={404: {}},
    summary="Take or refuse a domain's mail",
)
async def change(request: Request, caller: Writer, domain: DomainRef, body: EnabledIn) -> Response:
    """Reject mail to the domain's rua address from now on, or accept it again. Nothing is deleted."""
    before = await caller.domain(domain)
    require_match(request, DomainOut.of(before, caller.deps.hostname))
    changed = await caller.deps.accounts.enable_domain(before, body.enabled)
    return answer(request, DomainOut.of(changed, caller.deps.hostname))


@routes.delete(
    "/domains/{domain}",
    operation_id="remove_domain",
    status_code=204,
    responses={404: {}},
    summary="Remove a domain",
)
async def remove(request: Request, caller: Writer, domain: DomainRef) -> Response:
    """Reject reports for it from now on and remove its address; archived reports and figures are kept."""
    caller.whole()
    for_domain = await caller.domain(domain)
    require_match(request, DomainOut.of(for_domain, caller.deps.hostname))
    await caller.deps.accounts.remove_domain(for_domain)
    return Response(status_code=204)


@routes.get(
    "/rua-addresses",
    operation_id="list_rua_addresses",
    response_model=Page[RuaAddressOut],
    summary="List rua addresses",
)
async def addresses(
    request: Request, caller: Reader, enabled: EnabledFilter = None, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """Every address that accepts reports, by its domain's name: the current one, then those at earlier host names."""
    from_ = after("rua", cursor, str, int)
    places = [
        (domain, number, address)
        for domain in await _wanted(caller, enabled)
        for number, address in enumerate((domain.rua, *domain.earlier))
        if from_ is None or (domain.name, number) > from_
    ]
    items = [RuaAddressOut.of(domain, address) for domain, _, address in places[:limit]]
    next_ = mark("rua", places[limit - 1][0].name, places[limit - 1][1]) if len(places) > limit else None
    return answer(request, Page[RuaAddressOut](items=items, next=next_))


@routes.get(
    "/rua-addresses/{address}",
    operation_id="get_rua_address",
    response_model=RuaAddressOut,
    responses={404: {}},
    summary="Show a rua address",
)
async def address(request: Request, caller: Reader, address: Address) -> Response:
    """The current address of a domain, or one at an earlier host name."""
    return answer(request, RuaAddressOut.of(await _of(caller, address), address.lower()))


@routes.patch(
    "/rua-addresses/{address}",
    operation_id="change_rua_address",
    response_model=RuaAddressOut,
    responses={404: {}},
    summary="Take or refuse mail to a rua address",
)
async def change_address(request: Request, caller: Writer, address: Address, body: EnabledIn) -> Response:
    """The same as for its domain: all of the domain's addresses."""
    domain, wanted = await _of(caller, address), address.lower()
    require_match(request, RuaAddressOut.of(domain, wanted))
    changed = await caller.deps.accounts.enable_domain(domain, body.enabled)
    return answer(request, RuaAddressOut.of(changed, wanted))


async def _of(caller: Caller, address: str) -> Domain:
    wanted = address.lower()
    match = next((domain for domain in await caller.domains() if wanted in (domain.rua, *domain.earlier)), None)
    if match is None:
        raise NotFoundError("there is no such address")
    return match
