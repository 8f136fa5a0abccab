"""`/internal/`: what this machine's commands call on the running server, opened by the secret in `running.json`."""

from __future__ import annotations

import os

from fastapi import APIRouter, Depends

from dmarcworks.api.operator import operator
from dmarcworks.api.sql import internal_route
from dmarcworks.api.sql.service import QueryService
from dmarcworks.catalogue.accounts import Accounts
from dmarcworks.upkeep import jobs
from dmarcworks.upkeep.context import UpkeepContext

__all__ = ["internal_routes"]


def internal_routes(secret: str, desk: QueryService, accounts: Accounts, house: UpkeepContext | None) -> APIRouter:
    """The routes; without a context of upkeep there are no jobs."""
    routes = APIRouter(prefix="/internal", include_in_schema=False, dependencies=[Depends(operator(secret))])
    routes.add_api_route("/ping", _pong)
    routes.include_router(internal_route.routes(desk, accounts))
    if house is not None:
        routes.include_router(jobs.router(house))
    return routes


async def _pong() -> dict[str, int]:
    """Whose server this is, for a command that found its address in running.json."""
    return {"pid": os.getpid()}
