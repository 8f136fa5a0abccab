"""Who asks: a program by its bearer token, a person by the session cookie.

Secrets are looked up by their hash (`catalogue.accounts`). No or an unknown token is 401; a scope too small and another
account's token are 403, in the same words whether or not the thing asked for exists. `refusal` makes the answer:
`{"errors": [{"message"}]}`, with WWW-Authenticate (RFC 6750 §3) and, when the store is away, Retry-After.
"""

from __future__ import annotations

import hmac
import math
import re
from typing import Protocol

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from dmarcworks.api.client import client
from dmarcworks.api.limits import Limits
from dmarcworks.catalogue import audit
from dmarcworks.catalogue.accounts import Token, User, secret_hash
from dmarcworks.catalogue.logins import SESSION_SECONDS
from dmarcworks.errors import (
    BoundError,
    BusyError,
    ConflictError,
    DeniedError,
    DmarcworksError,
    NotFoundError,
    QueryError,
    UsageError,
)

COOKIE = "dmarcworks_session"
RETRY_SECONDS = 5
_ASK = "Unauthorized: send a token as `Authorization: Bearer <token>`"
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/=-]{1,512}) *", re.IGNORECASE)


class Identities(Protocol):
    """What is needed of `catalogue.accounts.Accounts`."""

    async def token(self, secret: str) -> Token | None:
        """The token with that secret."""

    async def session(self, secret: str) -> User | None:
        """The user of a live session."""


class NoTokenError(DeniedError):
    """No token, or none that we know (401)."""


class TooManyError(DmarcworksError):
    """A token asks too often, or an address tried too many tokens that are none (429); `wait` in seconds."""

    def __init__(self, text: str, wait: float) -> None:
        super().__init__(text)
        self.wait = max(1, math.ceil(wait))


async def token(request: Request, accounts: Identities, scope: str = "read") -> Token:
    """The request's token; from here on it is the one who acts.

    `NoTokenError` without a good one, `DeniedError` when its scope is too small, `TooManyError` by `app.state.limits`.
    """
    found = await _token(request, accounts)
    audit.act(audit.Actor("token", found.id, address(request)))
    if not found.allows(scope):
        raise DeniedError(f"this needs a token with the scope {scope!r}")
    return found


async def _token(request: Request, accounts: Identities) -> Token:
    match = _BEARER.fullmatch(request.headers.get("authorization", ""))
    if match is None:
        raise NoTokenError(_ASK)
    limits: Limits | None = getattr(request.app.state, "limits", None)
    hashed, peer = secret_hash(match[1]), address(request)
    if limits is not None and (wait := limits.before(peer, hashed)):
        raise TooManyError("too many unknown tokens came from your address; wait a moment", wait)
    found = await accounts.token(match[1])
    if found is None:
        if limits is not None:
            limits.failed(peer, hashed)
        raise NoTokenError(_ASK)
    if limits is not None and (wait := limits.passed(peer, hashed)):
        raise TooManyError("this token asks too often; wait a moment", wait)
    return found


def address(request: Request) -> str:
    """The network address of who asks; behind a trusted proxy the client's (`api.client`)."""
    return client(request).address


def require_account(found: Token, account_id: str) -> str:
    """The account's id when it is the token's own; `DeniedError` for any other text."""
    if not hmac.compare_digest(found.account_id.encode(), account_id.encode("utf-8", "replace")):
        raise DeniedError("not authorized for that account")
    return found.account_id


def require_whole(found: Token) -> Token:
    """The token when it is for its whole account; `DeniedError` for one that is limited to some domains."""
    if found.domains is not None:
        raise DeniedError("this needs a token for the whole account; yours is limited to some of its domains")
    return found


async def user(request: Request, accounts: Identities) -> User | None:
    """The person who is logged in, by the session cookie."""
    secret = request.cookies.get(COOKIE, "")
    return await accounts.session(secret) if 0 < len(secret) <= 512 else None


def set_session(response: Response, secret: str, *, secure: bool) -> None:
    """Give the browser a session: out of reach of scripts and of other sites' forms."""
    response.set_cookie(COOKIE, secret, max_age=SESSION_SECONDS, path="/", secure=secure, httponly=True, samesite="lax")


def clear_session(response: Response, *, secure: bool) -> None:
    """Take the session from the browser."""
    response.delete_cookie(COOKIE, path="/", secure=secure, httponly=True, samesite="lax")


def status_of(error: DmarcworksError) -> int:
    """The HTTP status that an error asks for."""
    if error.temporary:
        return 503
    kinds: tuple[tuple[type[DmarcworksError], int], ...] = (
        (NoTokenError, 401),
        (DeniedError, 403),
        (TooManyError, 429),
        (NotFoundError, 404),
        (ConflictError, 409),
        (BoundError, 413),
        (QueryError, 422),
        (UsageError, 400),
    )
    return next((status for kind, status in kinds if isinstance(error, kind)), 500)


def refusal(error: DmarcworksError) -> JSONResponse:
    """The answer to a program for an error."""
    status = status_of(error)
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="dmarcworks"'
    if status == 503:
        headers["Retry-After"] = str(RETRY_SECONDS)
    if isinstance(error, TooManyError):
        headers["Retry-After"] = str(error.wait)
    # What a store says of itself (paths, hosts) is for the log, not for strangers.
    busy = isinstance(error, BusyError)
    text = "the store is away; try again" if status in (500, 503) and not busy else str(error)
    return JSONResponse({"errors": [{"message": text}]}, status, headers)
