"""`/queues`: what waits in the queues of users' workers, and what a person does about what was given up.

For the users of the operator's account only: the queues belong to the whole system, and their messages may hold any
account's mail. To others it is 403.
"""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from dmarcworks.bindings.contracts import DeadLetter
from dmarcworks.catalogue.dead_letters import excerpt
from dmarcworks.dashboard.pages.route import GET, POST, Route
from dmarcworks.dashboard.web import Handler, Site, Visit, url
from dmarcworks.errors import DeniedError, NotFoundError

PAGE = 100
QUEUE_NAME = 64
EXCERPT, WHOLE = 160, 16_000


def _beginning(letter: DeadLetter) -> str:
    text, more = excerpt(letter, EXCERPT)
    return f"{text}…" if more else text


def routes(site: Site) -> list[Route]:
    """The pages of this module."""
    deps = site.deps
    letters = deps.letters

    def operators(page: Handler) -> Handler:
        async def guarded(visit: Visit) -> Response:
            if not await deps.operates(visit.account_id):
                raise DeniedError("This page is for the operators of the system.")
            return await page(visit)

        return guarded

    async def index(visit: Visit) -> Response:
        queue = visit.query("queue")[:QUEUE_NAME]
        queues = await letters.stats()
        return await site.page(
            visit,
            "queues.html",
            queues=queues,
            queue=queue,
            rows=await letters.dead(queue, limit=PAGE),
            dead=sum(found.dead for name, found in queues.items() if queue in ("", name)),
            workers=deps.workers,
            body=_beginning,
            again=visit.number("again", -1, 0, 999_999_999),
            gone=visit.number("gone", -1, 0, 999_999_999),
        )

    async def retry_all(visit: Visit) -> Response:
        queue = visit.form.get("queue", "")[:QUEUE_NAME]
        done = await letters.retry_all(queue, account_id=visit.account_id)
        return RedirectResponse(url("/queues", queue=queue, again=done), 303)

    async def ask_all(visit: Visit) -> Response:
        queue = visit.query("queue")[:QUEUE_NAME]
        queues = await letters.stats()
        dead = sum(found.dead for name, found in queues.items() if queue in ("", name))
        return await site.page(visit, "queue_discard.html", queue=queue, dead=dead, letter=None)

    async def discard_all(visit: Visit) -> Response:
        queue = visit.form.get("queue", "")[:QUEUE_NAME]
        done = await letters.discard_all(queue, account_id=visit.account_id)
        return RedirectResponse(url("/queues", queue=queue, gone=done), 303)

    async def show(visit: Visit) -> Response:
        letter = await letters.one(_number(visit))
        text, cut = excerpt(letter, WHOLE)
        return await site.page(visit, "queue_letter.html", letter=letter, body=text, cut=cut, workers=deps.workers)

    async def raw(visit: Visit) -> Response:
        letter = await letters.one(_number(visit))
        headers = {
            "Content-Disposition": f'attachment; filename="message-{letter.id}"',
            "Content-Security-Policy": "sandbox; default-src 'none'",
        }
        return Response(letter.body, headers=headers, media_type="application/octet-stream")

    async def retry(visit: Visit) -> Response:
        await letters.retry(_number(visit), account_id=visit.account_id)
        return RedirectResponse(url("/queues", again=1), 303)

    async def ask(visit: Visit) -> Response:
        letter = await letters.one(_number(visit))
        return await site.page(visit, "queue_discard.html", queue=letter.queue, dead=1, letter=letter)

    async def discard(visit: Visit) -> Response:
        await letters.discard(_number(visit), account_id=visit.account_id)
        return RedirectResponse(url("/queues", gone=1), 303)

    pages: list[Route] = [
        ("/queues", GET, index, False),
        ("/queues/retry", POST, retry_all, False),
        ("/queues/discard", GET, ask_all, False),
        ("/queues/discard", POST, discard_all, False),
        ("/queues/{id}", GET, show, False),
        ("/queues/{id}/raw", GET, raw, False),
        ("/queues/{id}/retry", POST, retry, False),
        ("/queues/{id}/discard", GET, ask, False),
        ("/queues/{id}/discard", POST, discard, False),
    ]
    return [(path, methods, operators(page), public) for path, methods, page, public in pages]


def _number(visit: Visit) -> int:
    text = visit.request.path_params["id"]
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NotFoundError("There is no such message.")
    return int(text)
