"""Routing rules in the original's shapes under `/client/v4/zones/{zone}/email/routing…`; its clients work here.

Answers have the original's envelope, lists its pages (`page`, `per_page`) and filters; reading needs a token with the
scope read, changing one with write, each for that domain. A body that makes no sense is 400 with the reason.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from dmarcworks.api.compat.access import ReadableZone, WritableZone
from dmarcworks.api.compat.envelope import PREFIX, EnvelopeRoute, json_object, succeeded
from dmarcworks.api.compat.paging import Flag, Paging, flag
from dmarcworks.api.compat.routing_shapes import no_catch_all, rule_shape, rule_values, settings_shape
from dmarcworks.api.deps import Dependencies, Deps
from dmarcworks.catalogue.accounts import Domain, normal_domain
from dmarcworks.catalogue.routes import RoutingRule, zone_of
from dmarcworks.errors import UsageError

__all__ = ["routes"]

Name = Annotated[str | None, Query(max_length=300)]

routes = APIRouter(prefix=PREFIX, route_class=EnvelopeRoute, include_in_schema=False)


@routes.get("/zones/{zone}/email/routing")
async def settings(domain: ReadableZone, deps: Dependencies) -> Response:
    """Whether the zone's rules are in effect."""
    return succeeded(await _settings(deps, domain))


@routes.post("/zones/{zone}/email/routing/enable")
async def enable(domain: WritableZone, deps: Dependencies) -> Response:
    """Enable the zone's rules."""
    await deps.routing.routes.enable(zone_of(domain), True)
    return succeeded(await _settings(deps, domain))


@routes.post("/zones/{zone}/email/routing/disable")
async def disable(domain: WritableZone, deps: Dependencies) -> Response:
    """Disable the zone's rules."""
    await deps.routing.routes.enable(zone_of(domain), False)
    return succeeded(await _settings(deps, domain))


@routes.get("/zones/{zone}/email/routing/dns")
async def dns(domain: ReadableZone, deps: Dependencies, paging: Paging, subdomain: Name = None) -> Response:
    """The MX record that the zone, or a subdomain of it, needs."""
    name = domain.name if subdomain is None else normal_domain(subdomain)
    if name != domain.name and not name.endswith(f".{domain.name}"):
        raise UsageError(f"subdomain: {name} is not in the zone {domain.name}")
    return paging.answer([{"type": "MX", "name": name, "content": deps.hostname, "priority": 10, "ttl": 1}])


@routes.get("/zones/{zone}/email/routing/rules")
async def index(domain: ReadableZone, deps: Dependencies, paging: Paging, enabled: Flag | None = None) -> Response:
    """The zone's rules."""
    rules = await deps.routing.routes.rules(zone_of(domain))
    objections = await deps.routing.routes.objections(rules)
    wanted = flag(enabled)
    return paging.answer(
        [rule_shape(rule, objections.get(rule.id)) for rule in rules if wanted is None or rule.enabled is wanted]
    )


@routes.post("/zones/{zone}/email/routing/rules")
async def create(request: Request, domain: WritableZone, deps: Dependencies) -> Response:
    """Add a rule."""
    values = rule_values(await json_object(request), deps.workers, False)
    return succeeded(rule_shape(await deps.routing.routes.add(zone_of(domain), **values)))


@routes.get("/zones/{zone}/email/routing/rules/catch_all")
async def catch_all(domain: ReadableZone, deps: Dependencies) -> Response:
    """The zone's catch-all rule."""
    rule = await deps.routing.routes.catch_all(zone_of(domain))
    return succeeded(await _with_objection(deps, rule) if rule is not None else no_catch_all())


@routes.put("/zones/{zone}/email/routing/rules/catch_all")
async def set_catch_all(request: Request, domain: WritableZone, deps: Dependencies) -> Response:
    """Replace the zone's catch-all rule."""
    values = rule_values(await json_object(request), deps.workers, True)
    kept = {name: values[name] for name in ("action", "value", "name", "enabled")}
    return succeeded(rule_shape(await deps.routing.routes.set_catch_all(zone_of(domain), **kept)))


@routes.get("/zones/{zone}/email/routing/rules/{rule}")
async def show(rule: str, domain: ReadableZone, deps: Dependencies) -> Response:
    """A rule by its id."""
    return succeeded(await _with_objection(deps, await deps.routing.routes.rule(zone_of(domain), rule)))


@routes.put("/zones/{zone}/email/routing/rules/{rule}")
async def change(request: Request, rule: str, domain: WritableZone, deps: Dependencies) -> Response:
    """Replace a rule."""
    values = rule_values(await json_object(request), deps.workers, False)
    return succeeded(rule_shape(await deps.routing.routes.change(zone_of(domain), rule, **values)))


@routes.delete("/zones/{zone}/email/routing/rules/{rule}")
async def remove(rule: str, domain: WritableZone, deps: Dependencies) -> Response:
    """Remove a rule."""
    return succeeded(rule_shape(await deps.routing.routes.remove(zone_of(domain), rule)))


async def _with_objection(deps: Deps, rule: RoutingRule) -> dict[str, Any]:
    return rule_shape(rule, (await deps.routing.routes.objections([rule])).get(rule.id))


async def _settings(deps: Deps, domain: Domain) -> dict[str, Any]:
    return settings_shape(domain, await deps.routing.routes.switch(zone_of(domain)))
