"""Authentication of commands on the same machine: a secret that only the data directory's owner can read.

`serve` writes a fresh secret into running.json (mode 0600) at every start; a command that finds a running server sends
it as a bearer token to routes under /internal/. No or a wrong secret is 401, before anything is read, and so is a
request that does not come from this machine itself (`client.is_local`).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable

from fastapi import Request

from dmarcworks.api.auth import NoTokenError
from dmarcworks.api.client import is_local
from dmarcworks.catalogue.audit import act, command

_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/=-]{1,512}) *", re.IGNORECASE)


def operator(secret: str) -> Callable[[Request], Awaitable[None]]:
    """A FastAPI dependency that accepts requests with `secret` and raises `NoTokenError` for all others."""

    async def dependency(request: Request) -> None:
        match = _BEARER.fullmatch(request.headers.get("authorization", ""))
        if not is_local(request):
            raise NoTokenError("Unauthorized: this is for commands on the same machine")
        if match is None or not secret or not hmac.compare_digest(match[1].encode(), secret.encode()):
            raise NoTokenError("Unauthorized: this is for commands on the same machine")
        act(command())

    return dependency
