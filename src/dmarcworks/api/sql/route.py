"""The SQL API at the original's path: POST the statement as the body, or GET it as `?query=`.

The answer is the result in the statement's FORMAT (JSON by default), without an envelope. Values of parameters
`{name:Type}` come as `param_name` in the address. A statement that is refused, by us or by the engine, is 422 with a
sentence as plain text; 401, 403, 413, 429 and 503 have the envelope of all errors under /client/v4. The content type
of a request is ignored (curl calls any body a form).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute

from dmarcworks.api import auth
from dmarcworks.api.compat.envelope import failed, refused
from dmarcworks.api.deps import Dependencies, Deps, ReadToken
from dmarcworks.api.disconnect import while_connected
from dmarcworks.api.sql.allow import TEXT_BYTES
from dmarcworks.api.sql.service import WAITING, Answer, TooManyStatementsError
from dmarcworks.catalogue.accounts import Token
from dmarcworks.errors import BoundError, DmarcworksError, QueryError

__all__ = ["PATH", "WAITING", "answered", "routes"]

PATH = "/client/v4/accounts/{account_id}/analytics_engine/sql"
_PARAMETER = "param_"


class SqlRoute(APIRoute):
    """A route whose errors are the SQL API's: a sentence as plain text for the statement, JSON for all else."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with the errors' responses around it."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await inner(request)
            except QueryError as error:
                return PlainTextResponse(str(error) + "\n", 422)
            except TooManyStatementsError as error:
                return failed(429, str(error), {"Retry-After": "1"})
            except DmarcworksError as error:
                return refused(error)

        return handler


routes = APIRouter(route_class=SqlRoute, tags=["sql"])


@routes.post(PATH, response_class=Response, summary="Run a SQL query", operation_id="sql_post")
async def post(request: Request, account_id: str, token: ReadToken, deps: Dependencies) -> Response:
    """Run the statement in the body."""
    own = auth.require_account(token, account_id)
    return await _run(request, deps, token, own, await _body(request))


@routes.get(PATH, response_class=Response, summary="Run a SQL query", operation_id="sql_get")
async def get(request: Request, account_id: str, token: ReadToken, deps: Dependencies) -> Response:
    """Run the statement in the parameter `query`."""
    own = auth.require_account(token, account_id)
    return await _run(request, deps, token, own, request.query_params.get("query", ""))


async def _run(request: Request, deps: Deps, token: Token, account_id: str, text: str) -> Response:
    who = f"token {token.name or token.id}"
    answer = deps.sql.query(text, account_id, who=who, source="api", values=values(request), domains=token.domains)
    return answered(await while_connected(request, answer))


def answered(result: Answer) -> Response:
    """The HTTP response with a result."""
    return Response(result.body, media_type=result.media, headers={"Cache-Control": "no-store"})


def values(request: Request) -> dict[str, str]:
    """The values of parameters in an address: `param_name=value`, the value as it is."""
    return {
        name.removeprefix(_PARAMETER): value
        for name, value in request.query_params.items()
        if name.startswith(_PARAMETER)
    }


async def _body(request: Request) -> str:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > TEXT_BYTES:
            raise BoundError(f"the query is longer than {TEXT_BYTES} bytes")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise QueryError("Input was invalid: the query is not UTF-8") from None
