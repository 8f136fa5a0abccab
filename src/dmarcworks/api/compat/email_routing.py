"""Routing rules and destinations in the original's shapes under /client/v4: clients of the original work here.

`/zones/{zone}/email/routing…` for a domain by its id, `/accounts/{account}/email/routing/addresses…` for destinations.
Answers are `{"success", "errors", "messages", "result"}`; reading needs a token with the scope read, changing one with
write, each for that domain or account. A body that makes no sense is 400 with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from dmarcworks.api import auth
from dmarcworks.api.deps import Dependencies, Deps, ReadToken, WriteToken
from dmarcworks.catalogue.accounts import Token
from dmarcworks.catalogue.destinations import Destination
from dmarcworks.catalogue.routes import ACTIONS, CATCH_ALL, DROP, FORWARD, REJECT, WORKER, RoutingRule, Zone, zone_of
from dmarcworks.errors import NotFoundError, UsageError

_BODY = 64 * 1024

routes = APIRouter(prefix="/client/v4", include_in_schema=False)


async def _zone(zone: str, token: Token, deps: Deps) -> Zone:
    domain = await deps.accounts.domain(token.account_id, zone)
    if domain is None or not token.sees(domain.id):
        raise NotFoundError("there is no such zone")
    return zone_of(domain)


async def _readable_zone(zone: str, token: ReadToken, deps: Dependencies) -> Zone:
    return await _zone(zone, token, deps)


async def _writable_zone(zone: str, token: WriteToken, deps: Dependencies) -> Zone:
    return await _zone(zone, token, deps)


async def _readable_account(account: str, token: ReadToken) -> str:
    auth.require_account(token, account)
    return auth.require_whole(token).account_id


async def _writable_account(account: str, token: WriteToken) -> str:
    auth.require_account(token, account)
    return auth.require_whole(token).account_id


ReadableZone = Annotated[Zone, Depends(_readable_zone)]
WritableZone = Annotated[Zone, Depends(_writable_zone)]
ReadableAccount = Annotated[str, Depends(_readable_account)]
WritableAccount = Annotated[str, Depends(_writable_account)]


@routes.get("/zones/{zone}/email/routing")
async def settings(where: ReadableZone, deps: Dependencies) -> Response:
    """Whether the zone's rules are in effect."""
    return _ok(await _settings(deps, where))


@routes.post("/zones/{zone}/email/routing/enable")
async def enable(where: WritableZone, deps: Dependencies) -> Response:
    """Enable the zone's rules."""
    await deps.routing.routes.enable(where, True)
    return _ok(await _settings(deps, where))


@routes.post("/zones/{zone}/email/routing/disable")
async def disable(where: WritableZone, deps: Dependencies) -> Response:
    """Disable the zone's rules."""
    await deps.routing.routes.enable(where, False)
    return _ok(await _settings(deps, where))


@routes.get("/zones/{zone}/email/routing/dns")
async def dns(where: ReadableZone, deps: Dependencies) -> Response:
    """The MX record that the zone needs."""
    return _ok([{"type": "MX", "name": where.name, "content": deps.hostname, "priority": 10, "ttl": 1}])


@routes.get("/zones/{zone}/email/routing/rules")
async def index(where: ReadableZone, deps: Dependencies) -> Response:
    """The zone's rules."""
    rules = await deps.routing.routes.rules(where)
    objections = await deps.routing.routes.objections(rules)
    return _ok([_rule(rule, objections.get(rule.id)) for rule in rules])


@routes.post("/zones/{zone}/email/routing/rules")
async def create(request: Request, where: WritableZone, deps: Dependencies) -> Response:
    """Add a rule."""
    values = _rule_values(await _json(request), deps.workers, False)
    return _ok(_rule(await deps.routing.routes.add(where, **values)))


@routes.get("/zones/{zone}/email/routing/rules/catch_all")
async def catch_all(where: ReadableZone, deps: Dependencies) -> Response:
    """The zone's catch-all rule."""
    rule = await deps.routing.routes.catch_all(where)
    return _ok(await _with_objection(deps, rule) if rule is not None else _no_catch_all())


@routes.put("/zones/{zone}/email/routing/rules/catch_all")
async def set_catch_all(request: Request, where: WritableZone, deps: Dependencies) -> Response:
    """Replace the zone's catch-all rule."""
    values = _rule_values(await _json(request), deps.workers, True)
    kept = {name: values[name] for name in ("action", "value", "name", "enabled")}
    return _ok(_rule(await deps.routing.routes.set_catch_all(where, **kept)))


@routes.get("/zones/{zone}/email/routing/rules/{rule}")
async def show(rule: str, where: ReadableZone, deps: Dependencies) -> Response:
    """A rule by its id."""
    return _ok(await _with_objection(deps, await deps.routing.routes.rule(where, rule)))


@routes.put("/zones/{zone}/email/routing/rules/{rule}")
async def change(request: Request, rule: str, where: WritableZone, deps: Dependencies) -> Response:
    """Replace a rule."""
    values = _rule_values(await _json(request), deps.workers, False)
    return _ok(_rule(await deps.routing.routes.change(where, rule, **values)))


@routes.delete("/zones/{zone}/email/routing/rules/{rule}")
async def remove(rule: str, where: WritableZone, deps: Dependencies) -> Response:
    """Remove a rule."""
    return _ok(_rule(await deps.routing.routes.remove(where, rule)))


@routes.get("/accounts/{account}/email/routing/addresses")
async def addresses(own: ReadableAccount, deps: Dependencies) -> Response:
    """The account's destinations."""
    return _ok([_address(destination) for destination in await deps.routing.destinations.destinations(own)])


@routes.post("/accounts/{account}/email/routing/addresses")
async def add_address(request: Request, own: WritableAccount, deps: Dependencies) -> Response:
    """Add a destination and mail its verification link."""
    body = await _json(request)
    if deps.send_link is None:
        raise UsageError("no mail can leave here, so no link: DMARCWORKS_RELAY_URL names no relay")
    destination, secret = await deps.routing.destinations.add(own, str(body.get("email", "")))
    await deps.send_link(destination, secret)
    return _ok(_address(destination))


@routes.get("/accounts/{account}/email/routing/addresses/{address}")
async def show_address(address: str, own: ReadableAccount, deps: Dependencies) -> Response:
    """A destination by its id."""
    return _ok(_address(await deps.routing.destinations.destination(own, address)))


@routes.delete("/accounts/{account}/email/routing/addresses/{address}")
async def remove_address(address: str, own: WritableAccount, deps: Dependencies) -> Response:
    """Remove a destination; rules that forward to it have no effect then."""
    removed = await deps.routing.destinations.remove(own, address)
    deps.routing.routes.forget()
    return _ok(_address(removed))


async def _with_objection(deps: Deps, rule: RoutingRule) -> dict[str, Any]:
    return _rule(rule, (await deps.routing.routes.objections([rule])).get(rule.id))


async def _settings(deps: Deps, where: Zone) -> dict[str, Any]:
    return {
        "id": where.domain_id,
        "tag": where.domain_id,
        "name": where.name,
        "enabled": await deps.routing.routes.enabled(where),
        "status": "ready",
        "skip_wizard": True,
    }


def _rule_values(body: dict[str, Any], workers: Collection[str], everything: bool) -> dict[str, Any]:
    """A rule's body as the catalogue takes it."""
    actions, matchers = body.get("actions"), body.get("matchers")
    action = actions[0] if isinstance(actions, list) and len(actions) == 1 else None
    matcher = matchers[0] if isinstance(matchers, list) and len(matchers) == 1 else None
    if not isinstance(action, dict) or action.get("type") not in ACTIONS:
        raise UsageError(f"actions holds one action, its type one of {', '.join(ACTIONS)}")
    if not isinstance(matcher, dict) or matcher.get("type") != ("all" if everything else "literal"):
        raise UsageError('matchers holds one matcher: {"type": "literal", "field": "to", "value": address}, or "all"')
    values = action.get("value") or []
    values = values if isinstance(values, list) else [values]
    if action["type"] in (WORKER, FORWARD) and len(values) != 1:
        raise UsageError(f"the action {action['type']} has one value")
    if action["type"] == WORKER and values[0] not in workers:
        raise UsageError(f"there is no worker {values[0]!r}")
    if not everything and matcher.get("field", "to") != "to":
        raise UsageError('a matcher\'s field is "to"')
    priority = body.get("priority", 0)
    if not isinstance(priority, int) or isinstance(priority, bool):
        raise UsageError("priority is a whole number")
    return {
        "address": CATCH_ALL if everything else str(matcher.get("value", "")) or "?",
        "action": action["type"],
        "value": str(values[0]) if values else "",
        "name": str(body.get("name", "")),
        "enabled": bool(body.get("enabled", True)),
        "priority": priority,
    }


async def _json(request: Request) -> dict[str, Any]:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > _BODY:
            raise UsageError("the body is larger than 64 KiB")
    try:
        body = json.loads(bytes(raw) or b"{}")
    except (ValueError, RecursionError):
        raise UsageError("the body is not JSON") from None
    if not isinstance(body, dict):
        raise UsageError("the body is a JSON object")
    return body


def _ok(result: Any) -> JSONResponse:
    return JSONResponse({"success": True, "errors": [], "messages": [], "result": result})


def _rule(rule: RoutingRule, objection: str | None = None) -> dict[str, Any]:
    """In the original's shape; `objection`, why the rule has no effect, is ours and present only when there is one."""
    action: dict[str, Any] = {"type": rule.action}
    if rule.action != DROP and not (rule.action == REJECT and not rule.value):
        action["value"] = [rule.value]
    literal = {"type": "literal", "field": "to", "value": rule.address}
    return {
        "id": rule.id,
        "tag": rule.id,
        "name": rule.name,
        "enabled": rule.enabled,
        "priority": rule.priority,
        "matchers": [literal if rule.address else {"type": "all"}],
        "actions": [action],
        **({} if objection is None else {"objection": objection}),
    }


def _no_catch_all() -> dict[str, Any]:
    """What a zone without a catch-all has: one that is off."""
    shape = {"id": "", "tag": "", "name": "", "enabled": False}
    return {**shape, "matchers": [{"type": "all"}], "actions": [{"type": DROP}]}


def _address(destination: Destination) -> dict[str, Any]:
    return {
        "id": destination.id,
        "tag": destination.id,
        "email": destination.email,
        "verified": None if destination.verified is None else _time(destination.verified),
        "created": _time(destination.created),
        "modified": _time(destination.modified),
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
