"""/worker-queues: messages in the queues of users' workers, and dead-lettered ones. For the operator's admins."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from dmarcworks.api.rest.deps import Admin, Caller
from dmarcworks.api.rest.paging import Cursor, Page, after, mark
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.tags import answer
from dmarcworks.api.rest.worker_queue_models import DeadOut, LetterOut, QueueOut
from dmarcworks.errors import DeniedError

routes = APIRouter(prefix="/worker-queues", tags=["worker queues"], route_class=Route)

Number = Annotated[int, Path(ge=1, le=2**53 - 1, description="The message's number.")]
Queue = Annotated[str, Query(max_length=64, description="Only of this queue.")]
# Each is read with its body, of up to 128,000 bytes.
Most = Annotated[int, Query(ge=1, le=100, description="Items of a page, at most.")]
_LIST = "dead"


async def _operator(caller: Caller) -> None:
    caller.whole()
    if not await caller.deps.is_operator(caller.account_id):
        raise DeniedError("this concerns the whole system: it needs an admin token of the operator's account")


@routes.get("", operation_id="list_worker_queues", response_model=Page[QueueOut], summary="List the queues of workers")
async def index(request: Request, caller: Admin) -> Response:
    """Every queue that holds something, with how much is in which state."""
    await _operator(caller)
    queues = await caller.deps.dead_letters.stats()
    items = [QueueOut.of(name, stats) for name, stats in queues.items()]
    return answer(request, Page[QueueOut](items=items, next=None))


@routes.get(
    "/dead",
    operation_id="list_dead_letters",
    response_model=Page[DeadOut],
    responses={400: {}},
    summary="List dead-lettered messages",
)
async def dead(
    request: Request, caller: Admin, queue: Queue = "", limit: Most = 100, cursor: Cursor = None
) -> Response:
    """Dead-lettered messages, newest first, without their bodies. Requeued and discarded ones leave the list."""
    await _operator(caller)
    before = after(_LIST, cursor, float, int)
    messages = await caller.deps.dead_letters.dead(queue, limit=limit + 1, before=before and (before[0], before[1]))
    shown = messages[:limit]
    further = mark(_LIST, shown[-1].died.timestamp(), shown[-1].id) if len(messages) > limit else None
    return answer(request, Page[DeadOut](items=[DeadOut.of(message) for message in shown], next=further))


@routes.get(
    "/dead/{message}",
    operation_id="get_dead_letter",
    response_model=LetterOut,
    responses={404: {}},
    summary="Show a dead-lettered message",
)
async def show(request: Request, caller: Admin, message: Number) -> Response:
    """The message with its body."""
    await _operator(caller)
    dead_letter = await caller.deps.dead_letters.one(message)
    body = (
        base64.b64encode(dead_letter.body).decode()
        if dead_letter.type == "bytes"
        else dead_letter.body.decode("utf-8", "replace")
    )
    return answer(request, LetterOut(**DeadOut.of(dead_letter).model_dump(), body=body))


@routes.post(
    "/dead/{message}/retry",
    operation_id="retry_dead_letter",
    response_model=DeadOut,
    responses={404: {}},
    summary="Deliver a message again",
)
async def retry(request: Request, caller: Admin, message: Number) -> Response:
    """Requeue it with a fresh retry count; the response is the dead-lettered message."""
    await _operator(caller)
    return answer(request, DeadOut.of(await caller.deps.dead_letters.retry(message, account_id=caller.account_id)))


@routes.post(
    "/dead/{message}/discard",
    operation_id="discard_dead_letter",
    response_model=DeadOut,
    responses={404: {}},
    summary="Discard a message permanently",
)
async def discard(request: Request, caller: Admin, message: Number) -> Response:
    """Delete it permanently; the response is the deleted message."""
    await _operator(caller)
    return answer(request, DeadOut.of(await caller.deps.dead_letters.discard(message, account_id=caller.account_id)))
