"""Every page names its visitor, and only those in the list are open to all."""

from __future__ import annotations

import pytest
from fastapi import APIRouter
from starlette.responses import Response

from dmarcworks.api.deps import Dependencies
from dmarcworks.dashboard import pages
from dmarcworks.dashboard.page_route import PageRoute
from tests.support.harness import Harness

OPEN = {
    "GET /login",
    "POST /login",
    "GET /login/{secret}",
    "POST /login/{secret}",
    "GET /routing/verify/{secret}",
    "POST /routing/verify/{secret}",
}
FILLED = {"name": "example.com", "key": "x", "id": "1", "secret": "x", "sender": "dkim:x.example", "notice": "1"}


def routes() -> dict[str, PageRoute]:
    """Every page by method and path."""
    return {
        f"{method} {route.path}": route
        for module in pages.MODULES
        for route in module.routes.routes
        if isinstance(route, PageRoute)
        for method in sorted((route.methods or set()) - {"HEAD"})
    }


def test_a_page_without_a_visitor_is_refused() -> None:
    """When it is put on its router, not when somebody opens it."""
    router = APIRouter(route_class=PageRoute)

    async def page(deps: Dependencies) -> Response:
        return Response()

    with pytest.raises(TypeError, match=r"the page /secret names no visitor: give it a UserVisit, or an AnyVisit"):
        router.add_api_route("/secret", page)


def test_the_routes_are_those_of_the_product() -> None:
    """So that the test below sees them all."""
    assert len(routes()) == 84
    assert set(routes()) >= OPEN


@pytest.mark.asyncio(loop_scope="package")
@pytest.mark.parametrize("name", sorted(routes()))
async def test_only_listed_pages_are_open_to_all(harness: Harness, name: str) -> None:
    """All others lead a visitor without a session to the login."""
    method, path = name.split(" ")
    async with harness.client("192.0.2.222") as browser:
        answer = await browser.request(method, path.format_map(FILLED))
    to_login = answer.status_code == 303 and answer.headers["location"].startswith("/login")
    assert to_login == (name not in OPEN), answer.text
