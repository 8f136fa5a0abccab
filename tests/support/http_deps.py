"""The HTTP handlers' collaborators with only those in place that a test's routes use."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from fastapi import APIRouter, FastAPI

from dmarcworks.api.deps import Deps


class Missing:
    """A collaborator that the test did not give; any use of it fails the test."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"this test gives no collaborator that has {name}")


def partial_deps(**given: Any) -> Deps:
    """The container of what is given, with the defaults of the settings."""
    unknown = set(given) - {field.name for field in fields(Deps)}
    assert not unknown, unknown
    missing = {field.name: Missing() for field in fields(Deps) if field.default is MISSING}
    return Deps(**{**missing, **given})


def app_with(*routers: APIRouter, **given: Any) -> FastAPI:
    """An application of these routes over the given collaborators."""
    app = FastAPI()
    app.state.deps = partial_deps(**given)
    for router in routers:
        app.include_router(router)
    return app
