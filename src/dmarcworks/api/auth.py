"""Authentication: a program by its bearer token, a person by the session cookie.

Secrets are looked up by their hash (`catalogue.accounts`). No or an unknown token is 401; a scope too small and another
account's token are 403, with the same text whether or not the resource exists. `refusal` makes the response:
`{"errors": [{"message"}]}`, with WWW-Authenticate (RFC 6750 §3) and, when the store is unavailable, Retry-After.
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
_UNAUTHORIZED = "Unauthorized: send a token as `Authorization: Bearer <token>`"
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
    """A token sends too many requests, or an address tried too many unknown tokens (429); `wait` in seconds."""

    def __init__(self, text: str, wait: float) -> None:
        super().__init__(text)
        self.wait = max(1, math.ceil(wait))


async def token(request: Request, accounts: Identities, scope: str = "read") -> Token:
    """The request's token; from here on the audit log names it.

    `NoTokenError` without a good one, `DeniedError` when its scope is too small, `TooManyError` by `app.state.limits`.
    """
    bearer = await _token(request, accounts)
    audit.act(audit.Actor("token", bearer.id, address(request)))
    if not bearer.allows(scope):
        raise DeniedError(f"this needs a token with the scope {scope!r}")
    return bearer


async def _token(request: Request, accounts: Identities) -> Token:
    match = _BEARER.fullmatch(request.headers.get("authorization", ""))
    if match is None:
        raise NoTokenError(_UNAUTHORIZED)
    limits: Limits | None = getattr(request.app.state, "limits", None)
    hashed, peer = secret_hash(match[1]), address(request)
    if limits is not None and (wait := limits.before(peer, hashed)):
        raise TooManyError("too many unknown tokens came from your address; wait a moment", wait)
    bearer = await accounts.token(match[1])
    if bearer is None:
        if limits is not None:
            limits.failed(peer, hashed)
        raise NoTokenError(_UNAUTHORIZED)
    if limits is not None and (wait := limits.passed(peer, hashed)):
        raise TooManyError("too many requests with this token; wait a moment", wait)
    return bearer


def address(request: Request) -> str:
    """The network address of the client, also behind a trusted proxy (`api.client`)."""
    return client(request).address


def require_account(token: Token, account_id: str) -> str:
    """The account's id when it is the token's own; `DeniedError` for any other text."""
    if not hmac.compare_digest(token.account_id.encode(), account_id.encode("utf-8", "replace")):
        raise DeniedError("not authorized for that account")
    return token.account_id


def require_whole(token: Token) -> Token:
    """The token when it is for its whole account; `DeniedError` for one that is limited to some domains."""
    if token.domains is not None:
        raise DeniedError("this needs a token for the whole account; yours is limited to some of its domains")
    return token


async def user(request: Request, accounts: Identities) -> User | None:
    """The person who is logged in, by the session cookie."""
    secret = request.cookies.get(COOKIE, "")
    return await accounts.session(secret) if 0 < len(secret) <= 512 else None


def set_session(response: Response, secret: str, *, secure: bool) -> None:
    """Set the session cookie: unreadable for scripts, and not sent with other sites' forms."""
    response.set_cookie(COOKIE, secret, max_age=SESSION_SECONDS, path="/", secure=secure, httponly=True, samesite="lax")


def clear_session(response: Response, *, secure: bool) -> None:
    """Delete the session cookie."""
    response.delete_cookie(COOKIE, path="/", secure=secure, httponly=True, samesite="lax")


def status_of(error: DmarcworksError) -> int:
    """The HTTP status of an error."""
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
    """The response to a program for an error."""
    status = status_of(error)
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="dmarcworks"'
    if status == 503:
        headers["Retry-After"] = str(RETRY_SECONDS)
    if isinstance(error, TooManyError):
        headers["Retry-After"] = str(error.wait)
    # A store's own error text (paths, hosts) is for the log, not for strangers.
    busy = isinstance(error, BusyError)
    text = "the store is unavailable; try again" if status in (500, 503) and not busy else str(error)
    return JSONResponse({"errors": [{"message": text}]}, status, headers)
