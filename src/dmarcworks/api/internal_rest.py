"""GET requests to /api/v1 for the operator's commands: any account by its id, under /internal/rest/.

Commands thus have the filters, the limits and the results of the REST API. The router that holds this lets only the
operator in.
"""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dmarcworks.catalogue.accounts import Token

__all__ = ["ACCOUNT_HEADER", "routes"]

ACCOUNT_HEADER = "X-Account"
# To be included behind the operator's secret; `app.state.rest` is the application of /api/v1.
routes = APIRouter()


class _Forwarded(Response):
    """The response of the REST API to the same request at another path, for an account."""

    def __init__(self, rest: ASGIApp, path: str, account_id: str) -> None:
        super().__init__()
        self._rest, self._path, self._account_id = rest, path, account_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        now = datetime.now(UTC)
        # Only GET comes here; some of it, such as the changes in a document, is for admins.
        token = Token("operator", self._account_id, "admin", "operator", now, now)
        changes = {"path": self._path, "raw_path": self._path.encode(), "root_path": "", "state": {"token": token}}
        await self._rest({**scope, **changes}, receive, send)


@routes.get("/rest/{path:path}")
async def forward(request: Request, path: str) -> Response:
    """A list or a value of the REST API."""
    return _Forwarded(request.app.state.rest, f"/{path}", request.headers.get(ACCOUNT_HEADER, ""))
