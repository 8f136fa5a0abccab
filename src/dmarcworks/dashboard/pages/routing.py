"""`/routing`: rules and destinations of the account's domains; the page behind a destination's link is open to all."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.routes import DROP, FORWARD, REJECT, WORKER, Zone, plain_address, zone_of
from dmarcworks.dashboard.pages.route import GET, POST, Route
from dmarcworks.dashboard.web import Site, Visit
from dmarcworks.errors import DeniedError, DmarcworksError, NotFoundError, UsageError


def routes(site: Site) -> list[Route]:
    """The pages of this module."""
    deps = site.deps
    rules, destinations = deps.mailroom.routes, deps.mailroom.destinations

    async def show(visit: Visit, wrong: str = "", said: str = "", status: int = 200) -> Response:
        held = [rule for rule in await rules.rules(account_id=visit.account_id) if rule.domain_id]
        found = await destinations.destinations(visit.account_id)
        return await site.page(
            visit,
            "routing.html",
            status,
            rules=held,
            objections=await rules.objections(held),
            destinations=found,
            verified={one.email for one in found if one.verified},
            domains=await deps.accounts.domains(visit.account_id),
            waiting=await deps.mailroom.outbound.mails(visit.account_id, limit=50),
            workers=deps.workers,
            can_send=deps.send_link is not None,
            typed=visit.form,
            wrong=wrong,
            said=said,
        )

    async def index(visit: Visit) -> Response:
        return await show(visit)

    async def add(visit: Visit) -> Response:
        form = visit.form
        try:
            zone = await _zone(visit, form.get("address", ""))
            action, value = _action(form.get("goes", ""), form.get("reason", ""))
            if form.get("address", "").strip().startswith("*@"):
                await rules.set_catch_all(zone, action, value, name=form.get("name", ""))
            else:
                await rules.add(zone, form["address"], action, value, name=form.get("name", ""))
        except DmarcworksError as error:
            return await show(visit, wrong=str(error), status=400)
        return RedirectResponse("/routing", 303)

    async def change(visit: Visit) -> Response:
        rule = next(
            (
                one
                for one in await rules.rules(account_id=visit.account_id)
                # A rule on the report host is the operator's, whichever account it was made in.
                if one.domain_id and one.id == visit.request.path_params["id"]
            ),
            None,
        )
        if rule is None:
            raise NotFoundError("There is no such rule, or it belongs to another account.")
        zone = Zone(rule.account_id, rule.domain_id, rule.domain)
        try:
            if visit.form.get("do") == "remove":
                await rules.remove(zone, rule.id)
            else:
                await rules.change(zone, rule.id, enabled=visit.form.get("do") == "enable")
        except DeniedError as error:
            return await show(visit, wrong=f"{error}.", status=403)
        return RedirectResponse("/routing", 303)

    async def add_destination(visit: Visit) -> Response:
        try:
            if deps.send_link is None:
                raise UsageError("This server cannot send mail yet: DMARCWORKS_RELAY_URL is not set.")
            made, secret = await destinations.add(visit.account_id, visit.form.get("email", ""))
            await deps.send_link(made, secret)
        except DmarcworksError as error:
            return await show(visit, wrong=str(error), status=400)
        return await show(visit, said=f"A verification link was sent to {made.email}.")

    async def remove_destination(visit: Visit) -> Response:
        await destinations.remove(visit.account_id, visit.request.path_params["id"])
        rules.forget()
        return RedirectResponse("/routing", 303)

    async def link(visit: Visit) -> Response:
        # Opening the link changes nothing: mail scanners open every link. The button does.
        found = await destinations.pending(visit.request.path_params["secret"])
        return await site.page(visit, "routing_verify.html", 200 if found else 404, destination=found, done=False)

    async def verify(visit: Visit) -> Response:
        found = await destinations.verify(visit.request.path_params["secret"])
        rules.forget()
        return await site.page(visit, "routing_verify.html", 200 if found else 404, destination=found, done=True)

    async def _zone(visit: Visit, address: str) -> Zone:
        name = address.strip().lower().rpartition("@")[2]
        if not address.strip().startswith("*@"):
            name = plain_address(address).rpartition("@")[2]
        mine: list[Domain] = await deps.accounts.domains(visit.account_id)
        fitting = [domain for domain in mine if name == domain.name or name.endswith("." + domain.name)]
        if not fitting:
            raise UsageError(f"{name or 'the address'} is not in any of your domains")
        return zone_of(max(fitting, key=lambda domain: len(domain.name)))

    def _action(goes: str, reason: str) -> tuple[str, str]:
        kind, _, value = goes.partition(" ")
        if kind == WORKER and value not in deps.workers:
            raise UsageError(f"there is no worker {value!r}")
        if kind in (WORKER, FORWARD):
            return kind, value
        return (DROP, "") if kind == DROP else (REJECT, reason)

    return [
        ("/routing", GET, index, False),
        ("/routing/rules", POST, add, False),
        ("/routing/rules/{id}", POST, change, False),
        ("/routing/destinations", POST, add_destination, False),
        ("/routing/destinations/{id}/remove", POST, remove_destination, False),
        ("/routing/verify/{secret}", GET, link, True),
        ("/routing/verify/{secret}", POST, verify, True),
    ]
