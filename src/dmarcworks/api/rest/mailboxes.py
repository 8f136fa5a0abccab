"""/mailboxes: mailboxes that reports are fetched from. For tokens of the whole account.

What holds a password (adding, changing, removing) needs the scope admin. A mailbox that is added here may be on public
addresses only, unless it is the operator's account: it must not lead into the operator's network.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from dmarcworks.api.rest.deps import Admin, Caller, Reader, Writer
from dmarcworks.api.rest.mailbox_models import (
    LeftMailOut,
    MailboxChangeIn,
    MailboxDomainIn,
    MailboxDomainMade,
    MailboxDomainOut,
    MailboxIn,
    MailboxOut,
    MailboxTestOut,
)
from dmarcworks.api.rest.paging import Cursor, Limit, Page, after, mark
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.tags import answer, require_match
from dmarcworks.catalogue.mailboxes import BY_WEB, MailboxRow
from dmarcworks.sources.contract import MailboxError

routes = APIRouter(tags=["mailboxes"], route_class=Route)

Ref = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", description="The mailbox's name or id.")]


@routes.get("/mailboxes", operation_id="list_mailboxes", response_model=Page[MailboxOut], summary="List mailboxes")
async def index(request: Request, caller: Reader, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """The account's mailboxes with their state, by name."""
    caller.whole()
    place = after("mailboxes", cursor, str)
    rows = await caller.deps.mailboxes.mailboxes(caller.account_id)
    rows = [row for row in rows if place is None or row.name > place[0]]
    next_ = mark("mailboxes", rows[limit - 1].name) if len(rows) > limit else None
    items = [await _shown(caller, row) for row in rows[:limit]]
    return answer(request, Page[MailboxOut](items=items, next=next_))


@routes.post(
    "/mailboxes",
    operation_id="add_mailbox",
    status_code=201,
    response_model=MailboxOut,
    responses={400: {}, 409: {}},
    summary="Add a mailbox",
)
async def add(request: Request, caller: Admin, body: MailboxIn) -> Response:
    """Reports are fetched from it from now on, unless it is added paused."""
    caller.whole()
    row = await caller.deps.mailboxes.add(
        caller.account_id,
        body.name,
        body.url,
        body.password.get_secret_value(),
        settle=body.settle,
        origin=BY_WEB,
        paused=body.paused,
    )
    return answer(request, await _shown(caller, row), 201, {"Location": f"/api/v1/mailboxes/{row.id}"})


@routes.get(
    "/mailboxes/{mailbox}",
    operation_id="get_mailbox",
    response_model=MailboxOut,
    responses={404: {}},
    summary="Show a mailbox",
)
async def show(request: Request, caller: Reader, mailbox: Ref) -> Response:
    """A mailbox with its state."""
    return answer(request, await _shown(caller, await _row(caller, mailbox)))


@routes.patch(
    "/mailboxes/{mailbox}",
    operation_id="change_mailbox",
    response_model=MailboxOut,
    responses={400: {}, 404: {}},
    summary="Pause a mailbox, or change its password",
)
async def change(request: Request, caller: Admin, mailbox: Ref, body: MailboxChangeIn) -> Response:
    """What is absent stays."""
    row = await _row(caller, mailbox)
    require_match(request, await _shown(caller, row))
    if body.password is not None:
        await caller.deps.mailboxes.set_password(row, body.password.get_secret_value())
    if body.paused is not None:
        await caller.deps.mailboxes.pause(row, body.paused)
    return answer(request, await _shown(caller, await _row(caller, row.id)))


@routes.delete(
    "/mailboxes/{mailbox}",
    operation_id="remove_mailbox",
    status_code=204,
    responses={404: {}, 409: {}},
    summary="Remove a mailbox",
)
async def remove(request: Request, caller: Admin, mailbox: Ref) -> Response:
    """It is forgotten with its password; its mail stays where it is, and accepted reports stay too."""
    row = await _row(caller, mailbox)
    require_match(request, await _shown(caller, row))
    await caller.deps.mailboxes.remove(row)
    return Response(status_code=204)


@routes.post(
    "/mailboxes/{mailbox}/test",
    operation_id="test_mailbox",
    response_model=MailboxTestOut,
    responses={404: {}},
    summary="Test a mailbox",
)
async def test(request: Request, caller: Writer, mailbox: Ref) -> Response:
    """Connect, log in and count what is there, changing nothing."""
    row = await _row(caller, mailbox)
    try:
        shown = MailboxTestOut.of(await caller.deps.mailboxes.look(row))
    except MailboxError as error:
        shown = MailboxTestOut(ok=False, error_code=error.code, error=str(error), notes=[], folders=[])
    return answer(request, shown)


@routes.post(
    "/mailboxes/{mailbox}/run",
    operation_id="run_mailbox",
    status_code=202,
    response_model=MailboxOut,
    responses={404: {}},
    summary="Fetch from a mailbox now",
)
async def run(request: Request, caller: Writer, mailbox: Ref) -> Response:
    """It is done when `last_run` is later than now."""
    row = await _row(caller, mailbox)
    await caller.deps.mailboxes.request_run(row)
    return answer(request, await _shown(caller, await _row(caller, row.id)), 202)


@routes.get(
    "/mailboxes/{mailbox}/left",
    operation_id="list_left_mail",
    response_model=Page[LeftMailOut],
    responses={400: {}, 404: {}},
    summary="List mail that was left alone",
)
async def left(request: Request, caller: Reader, mailbox: Ref, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Mail without a report, newest first; the newest 1,000 are listed."""
    row = await _row(caller, mailbox)
    place = after("left_mail", cursor, int)
    rows = await caller.deps.mailboxes.left(row, limit + 1, None if place is None else place[0])
    next_ = mark("left_mail", rows[limit - 1][0]) if len(rows) > limit else None
    return answer(request, Page[LeftMailOut](items=[LeftMailOut.of(one) for _, one in rows[:limit]], next=next_))


@routes.get(
    "/mailbox-domains",
    operation_id="list_mailbox_domains",
    response_model=Page[MailboxDomainOut],
    summary="List unknown domains",
)
async def domains(request: Request, caller: Reader) -> Response:
    """Domains that reports from mailboxes are about and that the account does not have, most reports first."""
    caller.whole()
    rows = await caller.deps.mailboxes.unknown_domains(caller.account_id)
    return answer(request, Page[MailboxDomainOut](items=[MailboxDomainOut.of(row) for row in rows], next=None))


@routes.post(
    "/mailbox-domains",
    operation_id="add_mailbox_domain",
    status_code=201,
    response_model=MailboxDomainMade,
    responses={400: {}, 409: {}},
    summary="Add an unknown domain",
)
async def add_domain(request: Request, caller: Writer, body: MailboxDomainIn) -> Response:
    """The domain is added, and the reports about it that wait are counted."""
    caller.whole()
    domain, reports = await caller.deps.mailboxes.add_domain(caller.account_id, body.name, caller.name)
    made = MailboxDomainMade(domain_id=domain.id, name=domain.name, rua=domain.rua, reports=reports)
    return answer(request, made, 201, {"Location": f"/api/v1/domains/{domain.id}"})


async def _row(caller: Caller, mailbox: str) -> MailboxRow:
    caller.whole()
    return await caller.deps.mailboxes.get(caller.account_id, mailbox)


async def _shown(caller: Caller, row: MailboxRow) -> MailboxOut:
    return MailboxOut.of(row, await caller.deps.mailboxes.folders(row))
