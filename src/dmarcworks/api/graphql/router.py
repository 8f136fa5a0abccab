"""`POST /client/v4/graphql`: a bearer token with read scope, a JSON body of query, variables and operationName.

The response always has `data` and `errors`: one is null. To a client whose `Accept` names
`application/graphql-response+json` it is of that type and the null member is left out, as its specification requires.
401 without a valid token, 403 for what another account has, 413 for too large a body, 429 when the token's budget is
spent, 503 when a store is unavailable, 400 for a wrong query.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from dmarcworks.api.deps import Dependencies, Deps, ReadToken
from dmarcworks.api.disconnect import while_connected
from dmarcworks.api.graphql import limits
from dmarcworks.api.graphql.media import in_accepted_form
from dmarcworks.api.graphql.refusal import Refusal
from dmarcworks.api.graphql.service import decoded
from dmarcworks.errors import DmarcworksError

__all__ = ["PATH", "routes"]

PATH = "/client/v4/graphql"


class GraphqlRoute(APIRoute):
    """A route whose errors have the envelope of a GraphQL response."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with the errors' envelope around it."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            deps: Deps = request.app.state.deps
            try:
                response = await inner(request)
            except Refusal as refusal:
                response = deps.graphql.refused(str(refusal), refusal.path, refusal.status)
            except DmarcworksError as error:
                response = deps.graphql.failed(error)
            return in_accepted_form(response, request.headers.getlist("accept"))

        return handler


routes = APIRouter(route_class=GraphqlRoute, tags=["graphql"])


@routes.post(PATH, response_class=Response, summary="Run a GraphQL query", operation_id="graphql")
async def query(request: Request, token: ReadToken, deps: Dependencies) -> Response:
    """Run a query over the token's account, or over those of its domains that the token is limited to."""
    body = await _json(request)
    answer = deps.graphql.query(body, token.account_id, key=token.id, domains=token.domains)
    return await while_connected(request, answer)


async def _json(request: Request) -> Mapping[str, Any]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limits.BODY_BYTES:
            raise Refusal(f"the body is longer than {limits.BODY_BYTES} bytes", status=413)
    return decoded(bytes(body))
