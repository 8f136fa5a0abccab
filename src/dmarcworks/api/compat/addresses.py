"""`/client/v4/accounts/{account}/email/routing/addresses…`: destinations in the original's shapes.

They concern the whole account: a token that is limited to some domains is refused with 403.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from dmarcworks.api.compat.access import ReadableAccount, WritableAccount
from dmarcworks.api.compat.envelope import PREFIX, EnvelopeRoute, json_object, succeeded
from dmarcworks.api.compat.paging import Direction, Flag, Paging, flag
from dmarcworks.api.compat.routing_shapes import address_shape
from dmarcworks.api.deps import Dependencies
from dmarcworks.errors import UsageError

__all__ = ["routes"]

routes = APIRouter(prefix=PREFIX, route_class=EnvelopeRoute, include_in_schema=False)


@routes.get("/accounts/{account}/email/routing/addresses")
async def addresses(
    own: ReadableAccount,
    deps: Dependencies,
    paging: Paging,
    verified: Flag | None = None,
    direction: Direction | None = None,
) -> Response:
    """The account's destinations by address, or by the time they were added when a direction is given."""
    destinations = await deps.routing.destinations.destinations(own)
    wanted = flag(verified)
    kept = [one for one in destinations if wanted is None or (one.verified is not None) is wanted]
    if direction is not None:
        kept.sort(key=lambda one: one.created, reverse=direction == "desc")
    return paging.answer([address_shape(one) for one in kept])


@routes.post("/accounts/{account}/email/routing/addresses")
async def add_address(request: Request, own: WritableAccount, deps: Dependencies) -> Response:
    """Add a destination and mail its verification link."""
    body = await json_object(request)
    if deps.send_link is None:
        raise UsageError("no verification link can be sent: DMARCWORKS_RELAY_URL names no relay")
    destination, secret = await deps.routing.destinations.add(own, str(body.get("email", "")))
    await deps.send_link(destination, secret)
    return succeeded(address_shape(destination))


@routes.get("/accounts/{account}/email/routing/addresses/{address}")
async def show_address(address: str, own: ReadableAccount, deps: Dependencies) -> Response:
    """A destination by its id."""
    return succeeded(address_shape(await deps.routing.destinations.destination(own, address)))


@routes.delete("/accounts/{account}/email/routing/addresses/{address}")
async def remove_address(address: str, own: WritableAccount, deps: Dependencies) -> Response:
    """Remove a destination; rules that forward to it have no effect then."""
    removed = await deps.routing.destinations.remove(own, address)
    deps.routing.routes.forget()
    return succeeded(address_shape(removed))
