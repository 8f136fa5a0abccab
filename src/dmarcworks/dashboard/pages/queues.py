"""`/queues`: what waits in the queues of users' workers, and what a person does with dead-lettered messages.

For the users of the operator's account only: the queues belong to the whole system, and their messages may hold any
account's mail. To others it is 403.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.responses import RedirectResponse, Response

from dmarcworks.api.deps import Dependencies
from dmarcworks.bindings.contracts import DeadLetter
from dmarcworks.catalogue.dead_letters import excerpt
from dmarcworks.dashboard.links import url
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.renderer import Html
from dmarcworks.dashboard.visit import UserVisit, Visit
from dmarcworks.errors import DeniedError, NotFoundError

PAGE = 100
QUEUE_NAME = 64
EXCERPT, WHOLE = 160, 16_000

routes = APIRouter(route_class=PageRoute, include_in_schema=False)


async def _operator(visit: UserVisit, deps: Dependencies) -> Visit:
    if not await deps.is_operator(visit.account_id):
        raise DeniedError("This page is for the operators of the system.")
    return visit


async def _number(visit: OperatorVisit, message: Annotated[str, Path(alias="id")]) -> int:
    if not (message.isascii() and message.isdigit() and len(message) < 19):
        raise NotFoundError("There is no such message.")
    return int(message)


OperatorVisit = Annotated[Visit, Depends(_operator)]
Number = Annotated[int, Depends(_number)]


@routes.get("/queues")
async def index(visit: OperatorVisit, deps: Dependencies, html: Html) -> Response:
    """The queues, and the messages that failed permanently."""
    queue = visit.query("queue")[:QUEUE_NAME]
    queues = await deps.dead_letters.stats()
    return await html.page(
        visit,
        "queues.html",
        queues=queues,
        queue=queue,
        rows=await deps.dead_letters.dead(queue, limit=PAGE),
        dead=sum(stats.dead for name, stats in queues.items() if queue in ("", name)),
        workers=deps.workers,
        body=_beginning,
        again=visit.number("again", -1, 0, 999_999_999),
        gone=visit.number("gone", -1, 0, 999_999_999),
    )


@routes.post("/queues/retry")
async def retry_all(visit: OperatorVisit, deps: Dependencies) -> Response:
    """Deliver all messages of a queue, or of every queue, again."""
    queue = visit.form.get("queue", "")[:QUEUE_NAME]
    done = await deps.dead_letters.retry_all(queue, account_id=visit.account_id)
    return RedirectResponse(url("/queues", queue=queue, again=done), 303)


@routes.get("/queues/discard")
async def confirm_all(visit: OperatorVisit, deps: Dependencies, html: Html) -> Response:
    """Confirm that they are all to be deleted."""
    queue = visit.query("queue")[:QUEUE_NAME]
    queues = await deps.dead_letters.stats()
    dead = sum(stats.dead for name, stats in queues.items() if queue in ("", name))
    return await html.page(visit, "queue_discard.html", queue=queue, dead=dead, message=None)


@routes.post("/queues/discard")
async def discard_all(visit: OperatorVisit, deps: Dependencies) -> Response:
    """Delete them all."""
    queue = visit.form.get("queue", "")[:QUEUE_NAME]
    done = await deps.dead_letters.discard_all(queue, account_id=visit.account_id)
    return RedirectResponse(url("/queues", queue=queue, gone=done), 303)


@routes.get("/queues/{id}")
async def show(number: Number, visit: OperatorVisit, deps: Dependencies, html: Html) -> Response:
    """A message with the beginning of its body."""
    message = await deps.dead_letters.one(number)
    text, cut = excerpt(message, WHOLE)
    return await html.page(visit, "queue_letter.html", message=message, body=text, cut=cut, workers=deps.workers)


@routes.get("/queues/{id}/raw")
async def raw(number: Number, deps: Dependencies) -> Response:
    """Its body as a download."""
    message = await deps.dead_letters.one(number)
    headers = {
        "Content-Disposition": f'attachment; filename="message-{message.id}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return Response(message.body, headers=headers, media_type="application/octet-stream")


@routes.post("/queues/{id}/retry")
async def retry(number: Number, visit: OperatorVisit, deps: Dependencies) -> Response:
    """Deliver it again."""
    await deps.dead_letters.retry(number, account_id=visit.account_id)
    return RedirectResponse(url("/queues", again=1), 303)


@routes.get("/queues/{id}/discard")
async def confirm(number: Number, visit: OperatorVisit, deps: Dependencies, html: Html) -> Response:
    """Confirm that it is to be deleted."""
    message = await deps.dead_letters.one(number)
    return await html.page(visit, "queue_discard.html", queue=message.queue, dead=1, message=message)


@routes.post("/queues/{id}/discard")
async def discard(number: Number, visit: OperatorVisit, deps: Dependencies) -> Response:
    """Delete it."""
    await deps.dead_letters.discard(number, account_id=visit.account_id)
    return RedirectResponse(url("/queues", gone=1), 303)


def _beginning(message: DeadLetter) -> str:
    text, more = excerpt(message, EXCERPT)
    return f"{text}…" if more else text
