"""Request bodies: each bounded, all together within a budget, and none kept when its client disconnects.

An ASGI application in front of all others. The bound here is the largest of any path; most have a smaller one of their
own with their own error. A body counts from its first byte until its request is answered.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dmarcworks.api.http.bounds import HttpBounds
from dmarcworks.errors import BoundError, BusyError, DmarcworksError

__all__ = ["MAILS", "Bodies"]

# Paths that accept a whole mail; the second refuses a larger one itself, with 400, as the original does.
INJECT = "/cdn-cgi/handler/email"
MAILS = frozenset({"/api/v1/reports", INJECT})
# The largest body of all others.
_OTHERS = 1 << 20
# More than a path's own bound, so that the path's error comes first.
_SPARE = 1 << 17
_RETRY_SECONDS = 5


class Bodies:
    """Passes requests to `app`; `ended` is called with the reason when one is refused."""

    def __init__(self, app: ASGIApp, bounds: HttpBounds, ended: Callable[[str], None]) -> None:
        self._app, self._bounds, self._ended = app, bounds, ended
        self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _framed_twice(scope):
            text = "the request has both Content-Length and Transfer-Encoding; send one of them"
            await _answer(send, 400, text, (b"connection", b"close"))
            self._ended("framing")
            return
        most = (self._bounds.mail_bytes if scope["path"] in MAILS else _OTHERS) + _SPARE
        body = _Body(receive, send, most, (400,) if scope["path"] == INJECT else ())
        try:
            if scope["path"] != INJECT:
                body.announced(scope)
            await self._app(scope, lambda: self._receive(body), body.send)
        except ClientDisconnect:
            pass
        except DmarcworksError:
            # Our own error, for which no handler made a response; what the application did with it is replaced.
            if body.refused is None:
                raise
            await body.refuse()
        finally:
            self.held -= body.held
            if body.refused is not None:
                self._ended("size" if body.status == 413 else "bytes")

    async def _receive(self, body: _Body) -> Message:
        message = await body.receive()
        if message["type"] == "http.request":
            size = len(message.get("body", b""))
            self.held += size
            body.count(size)
            if self.held > self._bounds.transfer_bytes:
                body.fail(BusyError("the server is receiving too many bytes of requests; try again"))
        return message


class _Body:
    """One request's body, and the response that replaces it when it is refused."""

    def __init__(self, receive: Receive, send: Send, most: int, kept: tuple[int, ...]) -> None:
        self.receive, self._send, self._most, self._kept = receive, send, most, kept
        self.held = 0
        self.refused: DmarcworksError | None = None
        self._started = self._replaced = False

    @property
    def status(self) -> int:
        """The status of a refusal."""
        return 503 if isinstance(self.refused, BusyError) else 413

    def announced(self, scope: Scope) -> None:
        """Refuse a request that announces a body that is too large."""
        for name, value in scope["headers"]:
            if name == b"content-length" and int(value) > self._most:
                self._too_large()

    def count(self, size: int) -> None:
        """So many bytes have come."""
        self.held += size
        if self.held > self._most:
            self._too_large()

    def fail(self, error: DmarcworksError) -> None:
        """Refuse the request."""
        self.refused = error
        raise error

    def _too_large(self) -> None:
        self.fail(BoundError(f"the body is larger than {self._most} bytes"))

    async def send(self, message: Message) -> None:
        """Pass the response, unless the request was refused and the response has another status."""
        if message["type"] == "http.response.start":
            self._replaced = self.refused is not None and message["status"] not in (self.status, *self._kept)
            if self._replaced:
                await self.refuse()
            self._started = True
        if not self._replaced:
            await self._send(message)

    async def refuse(self) -> None:
        """The answer to a refused request."""
        if self._started:
            return
        self._started = self._replaced = True
        more = [(b"retry-after", b"%d" % _RETRY_SECONDS)] if self.status == 503 else []
        await _answer(self._send, self.status, str(self.refused), *more)


async def _answer(send: Send, status: int, message: str, *more: tuple[bytes, bytes]) -> None:
    text = json.dumps({"errors": [{"message": message}]}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(text)), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def _framed_twice(scope: Scope) -> bool:
    """Whether the body's end is stated in two ways: a proxy in front may have read the other one, and then what follows
    would be another client's request (request smuggling, RFC 9112 §6.1)."""
    return {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}
