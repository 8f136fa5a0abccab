"""The original's envelope around every response under /client/v4: `{success, errors, messages, result, result_info}`.

An error is `{"success": false, "errors": [{"code", "message"}], "messages": [], "result": null}` with the HTTP status
that it has everywhere else; so are a path that does not exist and a method that a path does not answer. Two paths have
shapes of their own, the original's too: GraphQL, and SQL for a statement that is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from dmarcworks.api import auth
from dmarcworks.api.parameters import objection, query_names
from dmarcworks.errors import BoundError, DmarcworksError, UsageError

__all__ = ["PREFIX", "EnvelopeRoute", "failed", "http_error", "json_object", "refused", "succeeded"]

log = structlog.get_logger("dmarcworks.compat")

PREFIX = "/client/v4"
BODY_BYTES = 64 * 1024
# The original's numbers where they are known; others are ours.
_CODES = {400: 1001, 401: 10000, 403: 10000, 404: 1003, 405: 10405, 409: 1009, 413: 1004, 429: 10429, 503: 10503}
_OTHER = 1000
_NO_ROUTE = 7000


class EnvelopeRoute(APIRoute):
    """A route under /client/v4: every error in the envelope, and a list refuses parameters that it does not have."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with the envelope around its errors."""
        inner = super().get_route_handler()
        known = query_names(self.dependant)

        async def handler(request: Request) -> Response:
            try:
                response = await inner(request)
                # Only after the route has checked the token: a stranger learns nothing about parameters.
                return response if not known else _checked(request, known, response)
            except DmarcworksError as error:
                return refused(error)
            except RequestValidationError as error:
                return failed(400, _wrong(error))
            except HTTPException:
                raise
            # Whatever it was, the client gets the envelope and the log gets the trace.
            except Exception:
                log.exception("a request failed", path=request.url.path)
                return failed(500, "internal error; the server's log has the details")

        return handler


def succeeded(
    result: Any, *, info: Mapping[str, int] | None = None, messages: Sequence[Mapping[str, Any]] = ()
) -> JSONResponse:
    """The response to a request that succeeded; `info` is a list's `result_info`."""
    content: dict[str, Any] = {"success": True, "errors": [], "messages": list(messages), "result": result}
    if info is not None:
        content["result_info"] = dict(info)
    return JSONResponse(content, headers={"Cache-Control": "no-store"})


def refused(error: DmarcworksError) -> JSONResponse:
    """The response to a request that failed."""
    simple = auth.refusal(error)
    text = json.loads(bytes(simple.body))["errors"][0]["message"]
    kept = {name: simple.headers[name] for name in ("www-authenticate", "retry-after") if name in simple.headers}
    return failed(simple.status_code, text, kept)


def failed(status: int, text: str, headers: Mapping[str, str] | None = None, code: int | None = None) -> JSONResponse:
    """The response with that status and message; `code` is the original's number when the status does not decide it."""
    # What a stranger wrote may be in a text: a lone surrogate is no UTF-8.
    message = text.encode("utf-8", "replace").decode()
    errors = [{"code": code or _CODES.get(status, _OTHER), "message": message}]
    content = {"success": False, "errors": errors, "messages": [], "result": None}
    return JSONResponse(content, status, {**(headers or {}), "Cache-Control": "no-store"})


def http_error(request: Request, error: HTTPException) -> JSONResponse:
    """The response where no route matches: 404 for the path, 405 for the method."""
    if error.status_code == 404:
        return failed(404, f"there is no route for {request.url.path[:200]}", code=_NO_ROUTE)
    headers = dict(error.headers or {})
    text = str(error.detail)
    if error.status_code == 405:
        text = f"this path does not support {request.method}"
    return failed(error.status_code, text, headers)


async def json_object(request: Request) -> dict[str, Any]:
    """The body, a JSON object of at most 64 KiB."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > BODY_BYTES:
            raise BoundError(f"the body is larger than {BODY_BYTES} bytes")
    try:
        body = json.loads(bytes(raw) or b"{}")
    except (ValueError, RecursionError):
        raise UsageError("the body is not JSON") from None
    if not isinstance(body, dict):
        raise UsageError("the body is not a JSON object")
    return body


def _checked(request: Request, known: Sequence[str], response: Response) -> Response:
    refusal = objection(request, known)
    return response if refusal is None else failed(400, refusal)


def _wrong(error: RequestValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'][1:]))[:100]}: {str(first['msg'])[:300]}"
