"""The jobs by name, one at a time: started by a command in its own process, or over /internal/ in the server's.

In: a name and its parameters as JSON. Out: events. A job that fails ends with an `error` event, since a stream that has
begun cannot change its status; `ConflictError` when another job runs.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from dmarcworks.errors import ConflictError, DmarcworksError, NotFoundError, UsageError
from dmarcworks.upkeep.backup.create import backup
from dmarcworks.upkeep.backup.restore import restore
from dmarcworks.upkeep.context import Event, Events, UpkeepContext
from dmarcworks.upkeep.refresh import refresh_due, refresh_senders
from dmarcworks.upkeep.replay.catalogue import recatalogue
from dmarcworks.upkeep.replay.rebuild import drop_old, replay, swap_back
from dmarcworks.upkeep.retention.run import retain
from dmarcworks.upkeep.verify.check import verify

__all__ = ["JOBS", "router", "run"]

log = structlog.get_logger("dmarcworks.upkeep")

JOBS: Mapping[str, Callable[..., Events]] = {
    "verify": verify,
    "replay": replay,
    "replay-back": swap_back,
    "replay-drop": drop_old,
    "catalogue": recatalogue,
    "retention": retain,
    "backup": backup,
    "restore": restore,
    "senders-refresh": refresh_senders,
    "senders-refresh-due": refresh_due,
}


async def run(context: UpkeepContext, name: str, parameters: Mapping[str, Any]) -> AsyncIterator[Event]:
    """The job's events."""
    if context.busy.locked():
        raise ConflictError("another job of upkeep runs in this system; try again when it has ended")
    async with context.busy:
        log.info("upkeep begins", job=name)
        async for event in JOBS[name](context, **parameters):
            if event["event"] == "result":
                log.info("upkeep ends", job=name)
            yield event


def router(context: UpkeepContext) -> APIRouter:
    """`POST /upkeep/{job}` with the parameters as JSON; the events as JSON lines. For the operator only."""
    routes = APIRouter()

    @routes.post("/upkeep/{job}")
    async def begin(job: str, request: Request) -> StreamingResponse:
        """Run a job and stream its events; it ends when the client disconnects."""
        if job not in JOBS:
            raise NotFoundError(f"there is no job {job!r}")
        parameters = await request.json()
        if not isinstance(parameters, dict):
            raise UsageError("the parameters of a job are a JSON object")
        return StreamingResponse(_lines(context, job, parameters), media_type="application/x-ndjson")

    return routes


async def _lines(context: UpkeepContext, name: str, parameters: Mapping[str, Any]) -> AsyncIterator[bytes]:
    try:
        async for event in run(context, name, parameters):
            yield json.dumps(event, default=str).encode() + b"\n"
    except DmarcworksError as error:
        yield json.dumps({"event": "error", "kind": type(error).__name__, "message": str(error)}).encode() + b"\n"
    # The stream has begun, so its status is sent: the error is its last line, and is logged here.
    except Exception as error:
        log.exception("upkeep failed", job=name)
        text = f"the job failed: {type(error).__name__}: {error!s:.300}"
        yield json.dumps({"event": "error", "kind": "DmarcworksError", "message": text}).encode() + b"\n"
