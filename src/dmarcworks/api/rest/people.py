"""/users and /tokens: the people who may log in, and the programs with access. For admins of the whole account."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from dmarcworks.api.rest.deps import Admin, Caller
from dmarcworks.api.rest.models import TokenIn, TokenMade, TokenOut, UserIn, UserMade, UserOut
from dmarcworks.api.rest.paging import Cursor, Limit, Page, after, mark
from dmarcworks.api.rest.params import EnabledFilter, Id
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.tags import answer, require_match, secret
from dmarcworks.catalogue.accounts import Token, User
from dmarcworks.errors import ConflictError, NotFoundError

routes = APIRouter(route_class=Route)


@routes.get("/users", operation_id="list_users", response_model=Page[UserOut], summary="List users", tags=["users"])
async def users(
    request: Request, caller: Admin, enabled: EnabledFilter = None, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """The account's users, by address."""
    caller.whole()
    from_ = after("users", cursor, str)
    listed = [u for u in await caller.deps.accounts.users(caller.account_id) if enabled in (None, u.enabled)]
    left = [u for u in listed if from_ is None or u.email > from_[0]]
    next_ = mark("users", left[limit - 1].email) if len(left) > limit else None
    return answer(request, Page[UserOut](items=[UserOut.of(user) for user in left[:limit]], next=next_))


@routes.post(
    "/users",
    operation_id="add_user",
    status_code=201,
    response_model=UserMade,
    responses={400: {}, 409: {}},
    summary="Add a user",
    tags=["users"],
)
async def add_user(request: Request, caller: Admin, body: UserIn) -> Response:
    """They see the whole account. The answer holds a one-time login link to give to them."""
    caller.whole()
    account = await caller.deps.accounts.account(caller.account_id)
    if account is None:
        raise NotFoundError("there is no such account")
    user = UserOut.of(await caller.deps.accounts.add_user(body.email, account.name))
    link = f"{caller.deps.public_url}/login/{await caller.deps.accounts.login_link(body.email)}"
    made = UserMade(user=user, login_link=link)
    return secret(made, UserMade(user=user, login_link=None), {"Location": f"/api/v1/users/{user.id}"})


@routes.get(
    "/users/{user_id}",
    operation_id="get_user",
    response_model=UserOut,
    responses={404: {}},
    summary="Show a user",
    tags=["users"],
)
async def user(request: Request, caller: Admin, user_id: Id) -> Response:
    """A user by their id."""
    return answer(request, UserOut.of(await _user(caller, user_id)))


@routes.delete(
    "/users/{user_id}",
    operation_id="remove_user",
    status_code=204,
    responses={404: {}, 409: {}},
    summary="Remove a user",
    tags=["users"],
)
async def remove_user(request: Request, caller: Admin, user_id: Id) -> Response:
    """Their sessions end at once. The last user of an account stays."""
    user = await _user(caller, user_id)
    require_match(request, UserOut.of(user))
    if len(await caller.deps.accounts.users(caller.account_id)) < 2:
        raise ConflictError("the last user of an account stays; add another first")
    await caller.deps.accounts.remove_user(user)
    return Response(status_code=204)


@routes.get(
    "/tokens", operation_id="list_tokens", response_model=Page[TokenOut], summary="List tokens", tags=["tokens"]
)
async def tokens(request: Request, caller: Admin, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """The account's tokens without their secrets, newest first; expired ones too."""
    caller.whole()
    from_ = after("tokens", cursor, float, str)
    listed = await caller.deps.accounts.tokens(caller.account_id)
    listed.sort(key=lambda token: (-token.created.timestamp(), token.id))
    left = [t for t in listed if from_ is None or (-t.created.timestamp(), t.id) > (-from_[0], from_[1])]
    last = left[limit - 1] if len(left) > limit else None
    next_ = None if last is None else mark("tokens", last.created.timestamp(), last.id)
    return answer(request, Page[TokenOut](items=[TokenOut.of(token) for token in left[:limit]], next=next_))


@routes.post(
    "/tokens",
    operation_id="create_token",
    status_code=201,
    response_model=TokenMade,
    responses={400: {}, 404: {}},
    summary="Make a token",
    tags=["tokens"],
)
async def create_token(request: Request, caller: Admin, body: TokenIn) -> Response:
    """The secret is returned once; the store keeps only its hash."""
    caller.whole()
    text, token = await caller.deps.accounts.create_token(
        caller.account_id, body.scope, body.name, domains=body.domains, expires=body.expires
    )
    info = TokenOut.of(token)
    made, kept = TokenMade(token=text, info=info), TokenMade(token=None, info=info)
    return secret(made, kept, {"Location": f"/api/v1/tokens/{token.id}"})


@routes.get(
    "/tokens/{token_id}",
    operation_id="get_token",
    response_model=TokenOut,
    responses={404: {}},
    summary="Show a token",
    tags=["tokens"],
)
async def token(request: Request, caller: Admin, token_id: Id) -> Response:
    """A token by its id, without its secret."""
    return answer(request, TokenOut.of(await _token(caller, token_id)))


@routes.delete(
    "/tokens/{token_id}",
    operation_id="revoke_token",
    status_code=204,
    responses={404: {}},
    summary="Revoke a token",
    tags=["tokens"],
)
async def revoke_token(request: Request, caller: Admin, token_id: Id) -> Response:
    """Revocation takes effect immediately, also for the token of this request."""
    token = await _token(caller, token_id)
    require_match(request, TokenOut.of(token))
    if not await caller.deps.accounts.revoke_token(token.id, caller.account_id):
        raise NotFoundError("there is no such token")
    return Response(status_code=204)


async def _user(caller: Caller, user_id: str) -> User:
    caller.whole()
    user = next((u for u in await caller.deps.accounts.users(caller.account_id) if u.id == user_id), None)
    if user is None:
        raise NotFoundError("there is no such user")
    return user


async def _token(caller: Caller, token_id: str) -> Token:
    caller.whole()
    token = next((t for t in await caller.deps.accounts.tokens(caller.account_id) if t.id == token_id), None)
    if token is None:
        raise NotFoundError("there is no such token")
    return token
