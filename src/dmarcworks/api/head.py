"""HEAD wherever GET answers: the same status and headers without the body (RFC 9110 §9.3.2), for every route."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HeadMiddleware"]


class _DoneError(OSError):
    """The answer to a HEAD is complete: to a response that is still being written, its client has left."""


class HeadMiddleware:
    """Run the GET of a path for a HEAD and send its head; name HEAD next to GET in `Allow`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["method"] != "HEAD":
            await self._app(scope, receive, _allowing(send))
        else:
            answer = _Head(_allowing(send))
            try:
                await self._app({**scope, "method": "GET"}, receive, answer)
            except (_DoneError, ClientDisconnect):
                # A long body is not made to its end only to be dropped.
                if not answer.done:
                    raise


class _Head:
    """Sends a response's head and nothing of its body."""

    def __init__(self, send: Send) -> None:
        self._send, self.done = send, False

    async def __call__(self, message: Message) -> None:
        """Pass on what belongs to the head."""
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        if not self.done:
            self.done = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        if message.get("more_body"):
            raise _DoneError


def _allowing(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 405:
            headers = MutableHeaders(raw=message["headers"])
            methods = [name.strip() for name in headers.get("allow", "").split(",")]
            if "GET" in methods and "HEAD" not in methods:
                headers["allow"] = ", ".join([*methods, "HEAD"])
        await send(message)

    return sending
