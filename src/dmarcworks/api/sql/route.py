"""The SQL API at the original's path: POST the statement as the body, or GET it as `?query=`.

The answer is the result in the statement's FORMAT (JSON by default), without an envelope. Values of parameters
`{name:Type}` come as `param_name` in the address. A statement that is refused, by us or by the engine, is 422 with a
sentence as plain text; 401, 403, 413, 429 and 503 carry `{"errors": [{"message"}]}`. The content type of a request says
nothing (curl calls any body a form).
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from dmarcworks.api import auth
from dmarcworks.api.leaving import while_connected
from dmarcworks.api.sql.allow import TEXT_BYTES
from dmarcworks.api.sql.service import WAITING, Answer, QueryService, TooManyStatementsError
from dmarcworks.errors import BoundError, DmarcworksError, QueryError

__all__ = ["PATH", "WAITING", "answered", "router"]

PATH = "/client/v4/accounts/{account_id}/analytics_engine/sql"
_PARAMETER = "param_"


def router(desk: QueryService, accounts: auth.Identities) -> APIRouter:
    """Routes for POST and GET of the SQL path."""
    routes = APIRouter()

    async def answer(request: Request, account_id: str) -> Response:
        try:
            token = await auth.token(request, accounts, "read")
            own = auth.require_account(token, account_id)
            text = await _text(request)
            who = f"token {token.name or token.id}"
            asked = desk.ask(text, own, who=who, source="api", values=values(request), domains=token.domains)
            found = await while_connected(request, asked)
        except QueryError as error:
            return PlainTextResponse(str(error) + "\n", 422)
        except TooManyStatementsError as error:
            return auth.too_many(str(error))
        except DmarcworksError as error:
            return auth.refusal(error)
        return answered(found)

    options: dict[str, Any] = {"response_class": Response, "tags": ["sql"]}
    routes.add_api_route(PATH, answer, methods=["POST"], summary="Ask by SQL", operation_id="sql_post", **options)
    routes.add_api_route(PATH, answer, methods=["GET"], summary="Ask by SQL", operation_id="sql_get", **options)
    return routes


def answered(found: Answer) -> Response:
    """A result as it goes over HTTP."""
    return Response(found.body, media_type=found.media, headers={"Cache-Control": "no-store"})


def values(request: Request) -> dict[str, str]:
    """The values of parameters in an address: `param_name=value`, the value as it stands."""
    return {
        name.removeprefix(_PARAMETER): value
        for name, value in request.query_params.items()
        if name.startswith(_PARAMETER)
    }


async def _text(request: Request) -> str:
    if request.method == "GET":
        return request.query_params.get("query", "")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > TEXT_BYTES:
            raise BoundError(f"the query is longer than {TEXT_BYTES} bytes")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise QueryError("Input was invalid: the query is not UTF-8") from None
