"""`/static/{name}`: the style sheets and scripts of the pages."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dmarcworks.dashboard.renderer import Html

routes = APIRouter(include_in_schema=False)


@routes.api_route("/static/{name:path}", methods=["GET", "HEAD"])
async def serve(request: Request, name: str, html: Html) -> Response:
    """A file by its name."""
    return html.assets.response(request, name)
