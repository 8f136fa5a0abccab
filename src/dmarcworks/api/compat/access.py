"""Which zones and accounts a token reaches under /client/v4. A zone is one of our domains, its id the domain's."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from dmarcworks.api import auth
from dmarcworks.api.deps import Dependencies, Deps, ReadToken, WriteToken
from dmarcworks.catalogue.accounts import Domain, Token
from dmarcworks.errors import NotFoundError

__all__ = ["ReadableAccount", "ReadableZone", "ReadableZoneById", "WritableAccount", "WritableZone", "WritableZoneById"]


async def _zone(zone: str, token: Token, deps: Deps) -> Domain:
    """The domain with that id or name; a zone of another account, or one that the token is not for, does not exist."""
    domain = await deps.accounts.domain(token.account_id, zone)
    if domain is None or not token.sees(domain.id):
        raise NotFoundError("there is no such zone")
    return domain


async def _readable_zone(zone: str, token: ReadToken, deps: Dependencies) -> Domain:
    return await _zone(zone, token, deps)


async def _writable_zone(zone: str, token: WriteToken, deps: Dependencies) -> Domain:
    return await _zone(zone, token, deps)


async def _readable_account(account: str, token: ReadToken) -> str:
    auth.require_account(token, account)
    return auth.require_whole(token).account_id


async def _writable_account(account: str, token: WriteToken) -> str:
    auth.require_account(token, account)
    return auth.require_whole(token).account_id


ReadableZone = Annotated[Domain, Depends(_readable_zone)]
WritableZone = Annotated[Domain, Depends(_writable_zone)]
ReadableAccount = Annotated[str, Depends(_readable_account)]
WritableAccount = Annotated[str, Depends(_writable_account)]


async def _readable_by_id(zone: str, domain: ReadableZone) -> Domain:
    return _of_id(zone, domain)


async def _writable_by_id(zone: str, domain: WritableZone) -> Domain:
    return _of_id(zone, domain)


def _of_id(zone: str, domain: Domain) -> Domain:
    if zone != domain.id:
        raise NotFoundError("there is no such zone")
    return domain


# The original's settings of DMARC management know a zone by its id only.
ReadableZoneById = Annotated[Domain, Depends(_readable_by_id)]
WritableZoneById = Annotated[Domain, Depends(_writable_by_id)]
