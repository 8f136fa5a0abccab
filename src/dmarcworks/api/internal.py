"""`/internal/`: routes for commands on this machine, authenticated by the secret in `running.json`."""

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


def internal_routes(secret: str, context: UpkeepContext | None) -> APIRouter:
    """The routes; without an upkeep context there are no jobs."""
    internal = APIRouter(prefix="/internal", include_in_schema=False, dependencies=[Depends(operator(secret))])
    internal.include_router(routes)
    internal.include_router(internal_route.routes)
    internal.include_router(internal_rest.routes)
    if context is not None:
        internal.include_router(jobs.router(context))
    return internal


@routes.get("/ping")
async def ping() -> dict[str, int]:
    """Whose server this is, for a command that found its address in running.json."""
    return {"pid": os.getpid()}
