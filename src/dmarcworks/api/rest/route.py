"""What is common to all routes: the token first, then the names of the query parameters.

Then, for those that write, a bounded body, at most once per key.

With an `Idempotency-Key` a write that went well is answered again from its record for 24 hours, without being done
again; the same key with another request is 422, and 409 while the first is under way. What failed may be tried again.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from dmarcworks.api.deps import Deps
from dmarcworks.api.parameters import objection, query_names
from dmarcworks.api.rest.deps import authenticated
from dmarcworks.api.rest.errors import RestError
from dmarcworks.errors import BoundError, UsageError

__all__ = ["BODY_BYTES", "Route", "UploadRoute"]

BODY_BYTES = 64 * 1024
KEY_CHARACTERS = 255
_KEPT = ("content-type", "etag", "location")


class _Bounded(Request):
    """A request whose body ends with `BoundError` where its bound is."""

    largest = BODY_BYTES

    async def stream(self) -> AsyncIterator[bytes]:  # type: ignore[override]  # starlette types it as a generator
        size = 0
        async for chunk in super().stream():
            size += len(chunk)
            if size > self.largest:
                raise BoundError(f"the body is larger than {self.largest} bytes")
            yield chunk


class Route(APIRoute):
    """A route of /api/v1."""

    upload = False

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with the common steps before it."""
        inner = super().get_route_handler()
        known = query_names(self.dependant)

        async def handler(request: Request) -> Response:
            # A stranger's body is not read at all, and a stranger learns nothing about parameters.
            token = await authenticated(request)
            if refusal := objection(request, known):
                raise UsageError(refusal)
            if request.method in ("GET", "HEAD"):
                return await inner(request)
            deps: Deps = request.app.state.deps
            bounded = _Bounded(request.scope, request.receive)
            bounded.largest = deps.mail_bytes if self.upload else BODY_BYTES
            body = await bounded.body()
            key = request.headers.get("idempotency-key")
            if key is None:
                return await inner(bounded)
            if not 0 < len(key) <= KEY_CHARACTERS or not (key.isascii() and key.isprintable()):
                raise RestError(422, f"an Idempotency-Key has 1 to {KEY_CHARACTERS} printable characters of ASCII")
            return await _once(deps, token.id, key, bounded, body, inner)

        return handler


class UploadRoute(Route):
    """A route whose body may be as large as a mail."""

    upload = True


async def _once(
    deps: Deps,
    token_id: str,
    key: str,
    request: Request,
    body: bytes,
    inner: Callable[[Request], Coroutine[Any, Any, Response]],
) -> Response:
    head = "\n".join((request.method, str(request.url.path), request.url.query, request.headers.get("if-match", "")))
    # A body may hold a password: the digest is keyed with the token, of which only a hash is stored.
    secret = request.headers["authorization"].split()[-1].encode()
    digest = hmac.new(secret, head.encode() + b"\n\n" + body, hashlib.sha256).hexdigest()
    begun = await deps.idempotency.begin(token_id, key, digest)
    if begun.outcome == "other":
        raise RestError(422, "this Idempotency-Key was used for another request")
    if begun.outcome == "running":
        raise RestError(409, "the first request with this Idempotency-Key is not done yet; try again in a moment")
    if begun.outcome == "done":
        return Response(begun.body, begun.status, {**begun.headers, "Idempotency-Replayed": "true"})
    try:
        response = await inner(request)
    # The exception is raised again, but the key is free, since nothing was done.
    except BaseException:
        await deps.idempotency.forget(token_id, key)
        raise
    if response.status_code >= 300:
        await deps.idempotency.forget(token_id, key)
        return response
    headers = {name: response.headers[name] for name in _KEPT if name in response.headers}
    kept: bytes = getattr(response, "kept", bytes(response.body))
    await deps.idempotency.finish(token_id, key, response.status_code, headers, kept)
    return response
