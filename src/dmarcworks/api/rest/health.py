"""The HTTP routes for monitoring: is the process alive, and does every store answer.

`/healthz` is 200 while the process runs. `/readyz` queries each store now: 200 when all answer, else 503 with the name
and reason of each that does not, as JSON. Also 503 while the inbox is full and mail is answered with 451. A certificate
that expires soon is reported and changes no status: mail is still accepted. So are mailboxes that cannot be read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from dmarcworks.api.monitored import Check, Monitored
from dmarcworks.errors import DmarcworksError

__all__ = ["routes"]

routes = APIRouter(include_in_schema=False)


@routes.get("/healthz")
async def healthz() -> JSONResponse:
    """The process runs."""
    return JSONResponse({"status": "ok"})


@routes.get("/readyz")
async def readyz(monitored: Monitored) -> JSONResponse:
    """Whether every store answers, and mail is accepted."""
    checks = monitored.checks
    answers = await asyncio.gather(*(_checked(check, monitored.seconds) for check in checks.values()))
    well = all(answer == "ok" for answer in answers)
    body: dict[str, object] = {
        "status": "ok" if well else "unavailable",
        "stores": dict(zip(checks, answers, strict=True)),
    }
    if monitored.inbox is not None:
        body["inbox"] = inbox = await monitored.inbox()
        if well and inbox.get("state") != "ok":
            well, body["status"] = False, "full"
    if monitored.certificate is not None:
        body["certificate"] = monitored.certificate()
    if monitored.mailboxes is not None and well:
        body["mailboxes"] = await _mailboxes(monitored.mailboxes, monitored.seconds)
    return JSONResponse(body, status_code=200 if well else 503)


async def _mailboxes(
    conditions: Callable[[], Awaitable[tuple[Mapping[str, int], int]]], seconds: float
) -> dict[str, object]:
    """A warning while mailboxes fail: mail by SMTP is accepted, so that the status stays."""
    try:
        counts, waiting = await asyncio.wait_for(conditions(), seconds)
    except (TimeoutError, DmarcworksError):
        return {"state": "unknown: the database does not answer"}
    total, failing = sum(counts.values()), counts.get("failing", 0)
    state = f"warning: {failing} of {total} mailboxes fail" if failing else "ok"
    return {"state": state, "mailboxes": total, "failing": failing, "waiting": waiting}


async def _checked(check: Check, seconds: float) -> str:
    try:
        await asyncio.wait_for(check(), seconds)
    except TimeoutError:
        return f"no answer within {seconds:g} s"
    except DmarcworksError as error:
        return str(error)
    return "ok"
