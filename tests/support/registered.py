"""The routes that an application has, below mounts and included routers too."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount, Route


def walk(routes: list[BaseRoute], prefix: str = "") -> Iterator[tuple[str, BaseRoute]]:
    """Every route by "METHOD /path", below mounts too."""
    for route in routes:
        included = getattr(route, "original_router", None)  # FastAPI keeps a router that was included as one
        if included is not None:
            yield from walk(included.routes, prefix + getattr(route, "include_context").prefix)  # noqa: B009
            continue
        if isinstance(route, Mount):
            inner = getattr(route.app, "routes", None)
            if inner:
                yield from walk(inner, prefix + route.path)
            continue
        assert isinstance(route, Route | APIRoute), route
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield f"{method} {prefix}{route.path}", route
