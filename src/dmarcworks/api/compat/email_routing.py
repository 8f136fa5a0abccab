"""Routing rules and destinations in the original's shapes under /client/v4 (PLATFORM §1.4): clients of it work here.

`/zones/{zone}/email/routing…` for a domain by its id, `/accounts/{account}/email/routing/addresses…` for destinations.
Answers are `{"success", "errors", "messages", "result"}`; reading needs a token with the scope read, changing one with
write, each for that domain or account. A body that makes no sense is 400 with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from dmarcworks.api import auth
from dmarcworks.catalogue.accounts import Accounts, Token
from dmarcworks.catalogue.destinations import Destination
from dmarcworks.catalogue.routes import ACTIONS, CATCH_ALL, DROP, FORWARD, REJECT, WORKER, RoutingRule, Zone, zone_of
from dmarcworks.catalogue.routing import RoutingCatalogue
from dmarcworks.errors import NotFoundError, UsageError

_BODY = 64 * 1024
SendLink = Callable[[Destination, str], Awaitable[None]]
"""Mail a destination's link; called with the destination and the link's secret."""


def router(
    mailroom: RoutingCatalogue, accounts: Accounts, workers: Collection[str], hostname: str, send_link: SendLink | None
) -> APIRouter:
    """The routes; `workers` are the names that a rule may give mail to."""
    routes = APIRouter(prefix="/client/v4", include_in_schema=False)
    rules, destinations = mailroom.routes, mailroom.destinations

    async def zone(request: Request, scope: str) -> Zone:
        token = await auth.token(request, accounts, scope)
        domain = await accounts.domain(token.account_id, request.path_params["zone"])
        if domain is None or not token.sees(domain.id):
            raise NotFoundError("there is no such zone")
        return zone_of(domain)

    async def account(request: Request, scope: str) -> Token:
        token = await auth.token(request, accounts, scope)
        auth.require_account(token, request.path_params["account"])
        return auth.require_whole(token)

    @routes.get("/zones/{zone}/email/routing")
    async def settings(request: Request) -> JSONResponse:
        where = await zone(request, "read")
        return _ok(await _settings(where))

    @routes.post("/zones/{zone}/email/routing/enable")
    async def enable(request: Request) -> JSONResponse:
        where = await zone(request, "write")
        await rules.enable(where, True)
        return _ok(await _settings(where))

    @routes.post("/zones/{zone}/email/routing/disable")
    async def disable(request: Request) -> JSONResponse:
        where = await zone(request, "write")
        await rules.enable(where, False)
        return _ok(await _settings(where))

    @routes.get("/zones/{zone}/email/routing/dns")
    async def dns(request: Request) -> JSONResponse:
        where = await zone(request, "read")
        return _ok([{"type": "MX", "name": where.name, "content": hostname, "priority": 10, "ttl": 1}])

    @routes.get("/zones/{zone}/email/routing/rules")
    async def index(request: Request) -> JSONResponse:
        where = await zone(request, "read")
        found = await rules.rules(where)
        objections = await rules.objections(found)
        return _ok([_rule(rule, objections.get(rule.id)) for rule in found])

    @routes.post("/zones/{zone}/email/routing/rules")
    async def create(request: Request) -> JSONResponse:
        where = await zone(request, "write")
        asked = _asked(await _json(request), workers, False)
        return _ok(_rule(await rules.add(where, **asked)))

    @routes.get("/zones/{zone}/email/routing/rules/catch_all")
    async def catch_all(request: Request) -> JSONResponse:
        where = await zone(request, "read")
        found = await rules.catch_all(where)
        return _ok(await _told(found) if found is not None else _no_catch_all())

    @routes.put("/zones/{zone}/email/routing/rules/catch_all")
    async def set_catch_all(request: Request) -> JSONResponse:
        where = await zone(request, "write")
        asked = _asked(await _json(request), workers, True)
        kept = {name: asked[name] for name in ("action", "value", "name", "enabled")}
        return _ok(_rule(await rules.set_catch_all(where, **kept)))

    @routes.get("/zones/{zone}/email/routing/rules/{rule}")
    async def one(request: Request) -> JSONResponse:
        where = await zone(request, "read")
        return _ok(await _told(await rules.rule(where, request.path_params["rule"])))

    @routes.put("/zones/{zone}/email/routing/rules/{rule}")
    async def change(request: Request) -> JSONResponse:
        where = await zone(request, "write")
        asked = _asked(await _json(request), workers, False)
        return _ok(_rule(await rules.change(where, request.path_params["rule"], **asked)))

    @routes.delete("/zones/{zone}/email/routing/rules/{rule}")
    async def remove(request: Request) -> JSONResponse:
        where = await zone(request, "write")
        return _ok(_rule(await rules.remove(where, request.path_params["rule"])))

    @routes.get("/accounts/{account}/email/routing/addresses")
    async def addresses(request: Request) -> JSONResponse:
        token = await account(request, "read")
        return _ok([_address(found) for found in await destinations.destinations(token.account_id)])

    @routes.post("/accounts/{account}/email/routing/addresses")
    async def add_address(request: Request) -> JSONResponse:
        token = await account(request, "write")
        body = await _json(request)
        if send_link is None:
            raise UsageError("no mail can leave here, so no link: DMARCWORKS_RELAY_URL names no relay")
        made, secret = await destinations.add(token.account_id, str(body.get("email", "")))
        await send_link(made, secret)
        return _ok(_address(made))

    @routes.get("/accounts/{account}/email/routing/addresses/{address}")
    async def address(request: Request) -> JSONResponse:
        token = await account(request, "read")
        return _ok(_address(await destinations.destination(token.account_id, request.path_params["address"])))

    @routes.delete("/accounts/{account}/email/routing/addresses/{address}")
    async def remove_address(request: Request) -> JSONResponse:
        token = await account(request, "write")
        gone = await destinations.remove(token.account_id, request.path_params["address"])
        rules.forget()
        return _ok(_address(gone))

    async def _told(rule: RoutingRule) -> dict[str, Any]:
        return _rule(rule, (await rules.objections([rule])).get(rule.id))

    async def _settings(where: Zone) -> dict[str, Any]:
        return {
            "id": where.domain_id,
            "tag": where.domain_id,
            "name": where.name,
            "enabled": await rules.enabled(where),
            "status": "ready",
            "skip_wizard": True,
        }

    return routes


def _asked(body: dict[str, Any], workers: Collection[str], everything: bool) -> dict[str, Any]:
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
    """In the original's shape; `objection`, why the rule has no effect, is ours and stands only where there is one."""
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


def _address(found: Destination) -> dict[str, Any]:
    return {
        "id": found.id,
        "tag": found.id,
        "email": found.email,
        "verified": None if found.verified is None else _time(found.verified),
        "created": _time(found.created),
        "modified": _time(found.modified),
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
