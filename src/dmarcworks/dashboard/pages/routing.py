"""`/routing`: rules and destinations of the account's domains; the page behind a destination's link is open to all."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import RedirectResponse, Response

from dmarcworks.api.deps import Dependencies, Deps
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.routes import DROP, FORWARD, REJECT, WORKER, Zone, plain_address, zone_of
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.renderer import Html, Renderer
from dmarcworks.dashboard.visit import AnyVisit, UserVisit, Visit
from dmarcworks.errors import DeniedError, DmarcworksError, NotFoundError, UsageError

routes = APIRouter(route_class=PageRoute, include_in_schema=False)


@routes.get("/routing")
async def index(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """Rules, destinations, and mail that waits for the relay."""
    return await _page(html, deps, visit)


@routes.post("/routing/rules")
async def add(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """Add a rule."""
    form = visit.form
    try:
        zone = await _zone(deps, visit, form.get("address", ""))
        action, value = _action(deps, form.get("goes", ""), form.get("reason", ""))
        if form.get("address", "").strip().startswith("*@"):
            await deps.routing.routes.set_catch_all(zone, action, value, name=form.get("name", ""))
        else:
            await deps.routing.routes.add(zone, form["address"], action, value, name=form.get("name", ""))
    except DmarcworksError as error:
        return await _page(html, deps, visit, wrong=str(error), status=400)
    return RedirectResponse("/routing", 303)


@routes.post("/routing/rules/{id}")
async def change(
    rule_id: Annotated[str, Path(alias="id")], visit: UserVisit, deps: Dependencies, html: Html
) -> Response:
    """Enable, disable or remove a rule."""
    rule = next(
        (
            one
            for one in await deps.routing.routes.rules(account_id=visit.account_id)
            # A rule on the report host is the operator's, whichever account it was made in.
            if one.domain_id and one.id == rule_id
        ),
        None,
    )
    if rule is None:
        raise NotFoundError("There is no such rule, or it belongs to another account.")
    zone = Zone(rule.account_id, rule.domain_id, rule.domain)
    try:
        if visit.form.get("do") == "remove":
            await deps.routing.routes.remove(zone, rule.id)
        else:
            await deps.routing.routes.change(zone, rule.id, enabled=visit.form.get("do") == "enable")
    except DeniedError as error:
        return await _page(html, deps, visit, wrong=f"{error}.", status=403)
    return RedirectResponse("/routing", 303)


@routes.post("/routing/domains/{id}")
async def switch(domain_id: Annotated[str, Path(alias="id")], visit: UserVisit, deps: Dependencies) -> Response:
    """Enable or disable routing for a domain."""
    domain = await deps.accounts.domain(visit.account_id, domain_id)
    if domain is None:
        raise NotFoundError("There is no such domain, or it belongs to another account.")
    await deps.routing.routes.enable(zone_of(domain), visit.form.get("do") == "enable")
    return RedirectResponse("/routing", 303)


@routes.post("/routing/destinations")
async def add_destination(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """Add a destination and mail its verification link."""
    try:
        if deps.send_link is None:
            raise UsageError("This server cannot send mail yet: DMARCWORKS_RELAY_URL is not set.")
        made, secret = await deps.routing.destinations.add(visit.account_id, visit.form.get("email", ""))
        await deps.send_link(made, secret)
    except DmarcworksError as error:
        return await _page(html, deps, visit, wrong=str(error), status=400)
    return await _page(html, deps, visit, notice=f"A verification link was sent to {made.email}.")


@routes.post("/routing/destinations/{id}/remove")
async def remove_destination(
    destination_id: Annotated[str, Path(alias="id")], visit: UserVisit, deps: Dependencies
) -> Response:
    """Remove a destination."""
    await deps.routing.destinations.remove(visit.account_id, destination_id)
    deps.routing.routes.forget()
    return RedirectResponse("/routing", 303)


@routes.get("/routing/verify/{secret}")
async def link(secret: str, visit: AnyVisit, deps: Dependencies, html: Html) -> Response:
    """A destination's link: the page with the button."""
    # Opening the link changes nothing: mail scanners open every link. The button does.
    destination = await deps.routing.destinations.pending(secret)
    return await html.page(
        visit, "routing_verify.html", 200 if destination else 404, destination=destination, done=False
    )


@routes.post("/routing/verify/{secret}")
async def verify(secret: str, visit: AnyVisit, deps: Dependencies, html: Html) -> Response:
    """The button: the destination is verified."""
    destination = await deps.routing.destinations.verify(secret)
    deps.routing.routes.forget()
    return await html.page(
        visit, "routing_verify.html", 200 if destination else 404, destination=destination, done=True
    )


async def _zone(deps: Deps, visit: Visit, address: str) -> Zone:
    name = address.strip().lower().rpartition("@")[2]
    if not address.strip().startswith("*@"):
        name = plain_address(address).rpartition("@")[2]
    mine: list[Domain] = await deps.accounts.domains(visit.account_id)
    fitting = [domain for domain in mine if name == domain.name or name.endswith("." + domain.name)]
    if not fitting:
        raise UsageError(f"{name or 'the address'} is not in any of your domains")
    return zone_of(max(fitting, key=lambda domain: len(domain.name)))


def _action(deps: Deps, goes: str, reason: str) -> tuple[str, str]:
    kind, _, value = goes.partition(" ")
    if kind == WORKER and value not in deps.workers:
        raise UsageError(f"there is no worker {value!r}")
    if kind in (WORKER, FORWARD):
        return kind, value
    return (DROP, "") if kind == DROP else (REJECT, reason)


async def _page(
    html: Renderer, deps: Deps, visit: Visit, wrong: str = "", notice: str = "", status: int = 200
) -> Response:
    held = [rule for rule in await deps.routing.routes.rules(account_id=visit.account_id) if rule.domain_id]
    destinations = await deps.routing.destinations.destinations(visit.account_id)
    domains = await deps.accounts.domains(visit.account_id)
    off = await deps.routing.routes.switched_off()
    return await html.page(
        visit,
        "routing.html",
        status,
        rules=held,
        objections=await deps.routing.routes.objections(held),
        destinations=destinations,
        verified={one.email for one in destinations if one.verified},
        domains=domains,
        switched_off=[domain for domain in domains if domain.id in off],
        waiting=await deps.routing.outbound.mails(visit.account_id, limit=50),
        workers=deps.workers,
        can_send=deps.send_link is not None,
        typed=visit.form,
        wrong=wrong,
        notice=notice,
    )
