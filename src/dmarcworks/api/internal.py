"""`/internal/`: what this machine's commands call on the running server, opened by the secret in `running.json`."""

from __future__ import annotations

import os

from fastapi import APIRouter, Depends

from dmarcworks.api import internal_rest
from dmarcworks.api.operator import operator
from dmarcworks.api.sql import internal_route
from dmarcworks.upkeep import jobs
from dmarcworks.upkeep.context import UpkeepContext

__all__ = ["internal_routes"]

routes = APIRouter()


def internal_routes(secret: str, house: UpkeepContext | None) -> APIRouter:
    """The routes; without a context of upkeep there are no jobs."""
    internal = APIRouter(prefix="/internal", include_in_schema=False, dependencies=[Depends(operator(secret))])
    internal.include_router(routes)
    internal.include_router(internal_route.routes)
    internal.include_router(internal_rest.routes)
    if house is not None:
        internal.include_router(jobs.router(house))
    return internal


@routes.get("/ping")
async def ping() -> dict[str, int]:
    """Whose server this is, for a command that found its address in running.json."""
    return {"pid": os.getpid()}
