"""The small HTTP surface for machines that watch: is it alive, and does every store answer.

`/healthz` is 200 while the process runs. `/readyz` asks each store now: 200 when all answer, else 503 with the name and
reason of each that does not, as JSON. Also 503 while the inbox is full and mail is answered with 451. A certificate
that ends soon is told and changes no status: mail still comes in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from dmarcworks.errors import DmarcworksError

Check = Callable[[], Awaitable[None]]
Inbox = Callable[[], Awaitable[Mapping[str, object]]]


def router(
    checks: Mapping[str, Check],
    inbox: Inbox | None = None,
    certificate: Callable[[], Mapping[str, object]] | None = None,
    *,
    timeout: float = 3.0,
) -> APIRouter:
    """Routes for `/healthz` and `/readyz`; `checks` by the store's name, each raising when it is away.

    `inbox` tells the inbox's figures, its `state` "ok" unless it is full; `certificate` the end of the one in use.
    """
    routes = APIRouter()

    @routes.get("/healthz", include_in_schema=False)
    async def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @routes.get("/readyz", include_in_schema=False)
    async def readyz() -> JSONResponse:
        answers = dict(zip(checks, await asyncio.gather(*(_ask(check) for check in checks.values())), strict=True))
        well = all(answer == "ok" for answer in answers.values())
        body: dict[str, object] = {"status": "ok" if well else "unavailable", "stores": answers}
        if inbox is not None:
            body["inbox"] = told = await inbox()
            if well and told.get("state") != "ok":
                well, body["status"] = False, "full"
        if certificate is not None:
            body["certificate"] = certificate()
        return JSONResponse(body, status_code=200 if well else 503)

    async def _ask(check: Check) -> str:
        try:
            await asyncio.wait_for(check(), timeout)
        except TimeoutError:
            return f"no answer within {timeout:g} s"
        except DmarcworksError as error:
            return str(error)
        return "ok"

    return routes
