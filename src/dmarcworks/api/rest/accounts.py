"""/accounts: the token's own account. All others are 404."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from dmarcworks.api.rest.deps import Caller, Reader
from dmarcworks.api.rest.models import AccountOut
from dmarcworks.api.rest.paging import Page
from dmarcworks.api.rest.params import Id
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.tags import answer
from dmarcworks.errors import NotFoundError

routes = APIRouter(prefix="/accounts", tags=["accounts"], route_class=Route)


async def _own(caller: Caller) -> AccountOut:
    account = await caller.deps.accounts.account(caller.account_id)
    if account is None:
        raise NotFoundError("there is no such account")
    return AccountOut.of(account)


@routes.get("", operation_id="list_accounts", response_model=Page[AccountOut], summary="List accounts")
async def index(request: Request, caller: Reader) -> Response:
    """The one account that the token is of."""
    return answer(request, Page[AccountOut](items=[await _own(caller)], next=None))


@routes.get(
    "/{account_id}",
    operation_id="get_account",
    response_model=AccountOut,
    responses={404: {}},
    summary="Show an account",
)
async def show(request: Request, caller: Reader, account_id: Id) -> Response:
    """An account by its id."""
    own = await _own(caller)
    if account_id != own.id:
        raise NotFoundError("there is no such account")
    return answer(request, own)
