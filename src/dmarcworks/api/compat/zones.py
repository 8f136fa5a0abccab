"""`/client/v4/zones/{zone}/email/security/dmarc-reports` as the original's clients call it: GET, and PATCH {"enabled"}.

Newer clients call the same `/email/auth/dmarc-reports`. A zone is one of our domains, its id the domain's; a zone of
another account, or one that the token is not for, is 404. Disabling refuses mail; nothing is lost.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from dmarcworks.api.compat.access import ReadableZoneById, WritableZoneById
from dmarcworks.api.compat.envelope import PREFIX, EnvelopeRoute, json_object, succeeded
from dmarcworks.api.deps import Dependencies
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.errors import UsageError
from dmarcworks.policy.setup.plan import records_to_publish

__all__ = ["routes"]

_PATH = "/zones/{zone}/email/security/dmarc-reports"
_NEWER_PATH = "/zones/{zone}/email/auth/dmarc-reports"

routes = APIRouter(prefix=PREFIX, route_class=EnvelopeRoute, include_in_schema=False)


@routes.get(_PATH)
@routes.get(_NEWER_PATH)
async def show(domain: ReadableZoneById, deps: Dependencies) -> Response:
    """The zone's state, rua address and DNS records."""
    return _answer(domain, deps.hostname)


@routes.patch(_PATH)
@routes.patch(_NEWER_PATH)
async def change(request: Request, domain: WritableZoneById, deps: Dependencies) -> Response:
    """Enable or disable the zone's rua address."""
    enabled = (await json_object(request)).get("enabled")
    if not isinstance(enabled, bool):
        raise UsageError('send {"enabled": true} or {"enabled": false}')
    return _answer(await deps.accounts.enable_domain(domain, enabled), deps.hostname)


def _answer(domain: Domain, hostname: str) -> Response:
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
            for record in records_to_publish(domain, hostname)
        ],
    }
    return succeeded(result)
