"""`/client/v4/zones/{zone}/email/security/dmarc-reports` as the original's clients call it: GET, and PATCH {"enabled"}.

A zone is one of our domains, its id the domain's. Responses are in the original's envelope `{success, errors, messages,
result}`; a zone of another account, or one that the token is not for, is 404. Disabling refuses mail; nothing is lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from dmarcworks.api import auth
from dmarcworks.api.deps import Dependencies, Deps, ReadToken, WriteToken
from dmarcworks.catalogue.accounts import Domain, Token
from dmarcworks.catalogue.setup_records import records
from dmarcworks.errors import BoundError, DmarcworksError, NotFoundError, UsageError

__all__ = ["PATH", "routes"]

PATH = "/client/v4/zones/{zone}/email/security/dmarc-reports"
BODY_BYTES = 64 * 1024
_CODES = {400: 1001, 401: 10000, 403: 10000, 404: 1003, 413: 1004, 429: 10429, 503: 10503}


class ZoneRoute(APIRoute):
    """A route whose errors have the original's envelope."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with the errors' envelope around it."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await inner(request)
            except DmarcworksError as error:
                return _failed(error)

        return handler


async def _domain(zone: str, token: Token, deps: Deps) -> Domain:
    domain = await deps.accounts.domain(token.account_id, zone) if zone.isascii() and zone.isalnum() else None
    if domain is None or domain.id != zone or not token.sees(domain.id):
        raise NotFoundError("there is no such zone")
    return domain


async def _readable(zone: str, token: ReadToken, deps: Dependencies) -> Domain:
    return await _domain(zone, token, deps)


async def _writable(zone: str, token: WriteToken, deps: Dependencies) -> Domain:
    return await _domain(zone, token, deps)


ReadableZone = Annotated[Domain, Depends(_readable)]
WritableZone = Annotated[Domain, Depends(_writable)]
routes = APIRouter(route_class=ZoneRoute, include_in_schema=False)


@routes.get(PATH)
async def show(domain: ReadableZone, deps: Dependencies) -> Response:
    """The zone's state, rua address and DNS records."""
    return _answer(domain, deps.hostname)


@routes.patch(PATH)
async def change(request: Request, domain: WritableZone, deps: Dependencies) -> Response:
    """Enable or disable the zone's rua address."""
    return _answer(await deps.accounts.enable_domain(domain, await _enabled(request)), deps.hostname)


async def _enabled(request: Request) -> bool:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES:
            raise BoundError(f"the body is larger than {BODY_BYTES} bytes")
    try:
        enabled = json.loads(body)["enabled"]
    except (ValueError, TypeError, KeyError, RecursionError):
        enabled = None
    if not isinstance(enabled, bool):
        raise UsageError('send {"enabled": true} or {"enabled": false}')
    return enabled


def _answer(domain: Domain, hostname: str) -> JSONResponse:
    local = domain.rua.partition("@")[0]
    result = {
        "enabled": domain.enabled,
        "id": local,
        "tag": local,
        "rua": domain.rua,
        "zone_tag": domain.id,
        "zone_name": domain.name,
        "created": domain.created.isoformat(),
        "records": [
            {"name": record.name, "type": record.type, "content": record.value}
            for record in records(domain.name, domain.rua, hostname)
        ],
    }
    return _envelope(200, result=result)


def _failed(error: DmarcworksError) -> JSONResponse:
    simple = auth.refusal(error)
    message = json.loads(bytes(simple.body))["errors"][0]["message"]
    kept = {name: simple.headers[name] for name in ("www-authenticate", "retry-after") if name in simple.headers}
    code = _CODES.get(simple.status_code, 1000)
    return _envelope(simple.status_code, errors=[{"code": code, "message": message}], headers=kept)


def _envelope(
    status: int,
    *,
    result: dict[str, Any] | None = None,
    errors: list[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    content = {"success": not errors, "errors": errors or [], "messages": [], "result": result}
    return JSONResponse(content, status, {**(headers or {}), "Cache-Control": "no-store"})
