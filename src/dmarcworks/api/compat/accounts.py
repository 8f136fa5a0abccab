"""What the original's clients request first: their token, the account and its zones, under /client/v4.

`/user/tokens/verify`, `/accounts` and `/zones`. A zone is one of our domains; a domain whose mail is refused is shown
as `paused`. A token that is limited to some domains finds these zones only.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from dmarcworks.api import auth
from dmarcworks.api.compat.access import ReadableZone
from dmarcworks.api.compat.envelope import PREFIX, EnvelopeRoute, succeeded
from dmarcworks.api.compat.paging import Direction, Paging
from dmarcworks.api.deps import Dependencies, Deps, ReadToken
from dmarcworks.catalogue.accounts import Account, Domain, Token
from dmarcworks.errors import NotFoundError, UsageError

__all__ = ["routes"]

_STATUS = "active"
_VERIFIED = {"code": 10000, "message": "This API Token is valid and active", "type": None}
_NAME_TESTS: dict[str, Callable[[str, str], bool]] = {
    "equal": str.__eq__,
    "not_equal": str.__ne__,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
    "contains": str.__contains__,
}

Text = Annotated[str | None, Query(max_length=300)]

routes = APIRouter(prefix=PREFIX, route_class=EnvelopeRoute, include_in_schema=False)


@routes.get("/user/tokens/verify")
async def verify(token: ReadToken) -> Response:
    """The token of the request: it is active, or the request would have been refused."""
    return _verified(token)


@routes.get("/accounts/{account}/tokens/verify")
async def verify_of_account(account: str, token: ReadToken) -> Response:
    """The same, on the path for a token of an account."""
    auth.require_account(token, account)
    return _verified(token)


@routes.get("/accounts")
async def accounts(
    token: ReadToken, deps: Dependencies, paging: Paging, name: Text = None, direction: Direction = "asc"
) -> Response:
    """The one account that the token is of."""
    own = await _own(token, deps)
    return paging.answer([_account(own)] if name is None or name == own.name else [])


@routes.get("/accounts/{account}")
async def account(account: str, token: ReadToken, deps: Dependencies) -> Response:
    """The token's account by its id."""
    auth.require_account(token, account)
    return succeeded(_account(await _own(token, deps)))


@routes.get("/zones")
async def zones(
    token: ReadToken,
    deps: Dependencies,
    paging: Paging,
    name: Text = None,
    status: Text = None,
    account_id: Annotated[str | None, Query(alias="account.id", max_length=300)] = None,
    account_name: Annotated[str | None, Query(alias="account.name", max_length=300)] = None,
    match: Literal["any", "all"] = "all",
    order: Literal["name", "status", "account.id", "account.name", "plan.id"] = "name",
    direction: Direction = "asc",
) -> Response:
    """The domains within the token's reach."""
    own = await _own(token, deps)
    fits = None if name is None else _name_test(name)
    shown = []
    for domain in await deps.accounts.domains(own.id):
        tests = [
            *([] if fits is None else [fits(domain.name)]),
            *([] if status is None else [status == _STATUS]),
            *([] if account_id is None else [account_id == own.id]),
            *([] if account_name is None else [_name_test(account_name)(own.name)]),
        ]
        if token.sees(domain.id) and (not tests or (any(tests) if match == "any" else all(tests))):
            shown.append(_zone(domain, own))
    # All but the name is the same for every zone of an account.
    shown.sort(key=lambda zone: str(zone["name"]), reverse=direction == "desc")
    return paging.answer(shown)


@routes.get("/zones/{zone}")
async def zone(domain: ReadableZone, token: ReadToken, deps: Dependencies) -> Response:
    """A zone by its id."""
    return succeeded(_zone(domain, await _own(token, deps)))


async def _own(token: Token, deps: Deps) -> Account:
    account = await deps.accounts.account(token.account_id)
    if account is None:
        raise NotFoundError("there is no such account")
    return account


def _name_test(text: str) -> Callable[[str], bool]:
    """A filter of names: `example.com`, or with one of the original's operators before a colon."""
    operator, colon, wanted = text.lower().partition(":")
    if not colon:
        operator, wanted = "equal", text.lower()
    test = _NAME_TESTS.get(operator)
    if test is None:
        raise UsageError(f"name: unknown operator {operator[:40]!r}; use one of {', '.join(_NAME_TESTS)}")
    return lambda name: test(name.lower(), wanted)


def _verified(token: Token) -> Response:
    result: dict[str, Any] = {"id": token.id, "status": "active"}
    if token.expires is not None:
        result["expires_on"] = _time(token.expires)
    return succeeded(result, messages=[_VERIFIED])


def _account(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "name": account.name,
        "type": "standard",
        "settings": {"enforce_twofactor": False},
        "created_on": _time(account.created),
    }


def _zone(domain: Domain, account: Account) -> dict[str, Any]:
    created = _time(domain.created)
    return {
        "id": domain.id,
        "name": domain.name,
        "status": _STATUS,
        "paused": not domain.enabled,
        "type": "full",
        "development_mode": 0,
        "name_servers": [],
        "original_name_servers": None,
        "original_registrar": None,
        "original_dnshost": None,
        "created_on": created,
        "modified_on": created,
        "activated_on": created,
        "meta": {},
        "owner": {"id": None, "type": "organization", "name": account.name},
        "account": {"id": account.id, "name": account.name},
        "permissions": [],
        "plan": {},
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
