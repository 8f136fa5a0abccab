"""/domains/{domain}/senders and /own-senders: who sends as a domain, decisions on it, and names of own systems.

A sender is named by its id, or by its name: then it is the largest of that name.
"""

from __future__ import annotations

import csv
import io
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from dmarcworks.analytics.sender_directory import DomainSender
from dmarcworks.analytics.sender_key import ID_CHARACTERS
from dmarcworks.api.rest.deps import Caller, Reader, Writer
from dmarcworks.api.rest.download import HEADERS
from dmarcworks.api.rest.figures import Span
from dmarcworks.api.rest.paging import Cursor, Limit, Page, after, mark
from dmarcworks.api.rest.params import DomainRef
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.sender_models import (
    DecisionIn,
    DecisionOut,
    OwnNameIn,
    OwnNameOut,
    SenderAddressOut,
    SenderDetailOut,
    SenderOut,
    address_out,
)
from dmarcworks.api.rest.tags import answer, require_match
from dmarcworks.api.spreadsheet import harmless
from dmarcworks.catalogue.senders import OwnName
from dmarcworks.enrich.senders.classify import OwnerDecision, SenderClass
from dmarcworks.errors import NotFoundError

routes = APIRouter(tags=["senders"], route_class=Route)

ADDRESSES = 100
_LARGEST_OFFSET = 1_000_000
SenderRef = Annotated[str, Path(max_length=ID_CHARACTERS, description="The sender's id, or its name.")]
Class = Annotated[SenderClass | None, Query(alias="class", description="Only senders of this class.")]
Decided = Annotated[
    Literal["mine", "not_mine", "forwarder", "ignore", "none"] | None,
    Query(description="Only senders with this decision; none: without one."),
]
Waiting = Annotated[bool, Query(description="Only senders that wait for a decision.")]
Text = Annotated[str, Query(max_length=200, description="Only senders with this in their name.")]
Order = Annotated[
    Literal["decision", "messages"],
    Query(description="decision: those that need one first, each part by messages; messages: by messages."),
]
Format = Annotated[Literal["json", "csv"], Query(description="csv: the page's senders as a file, for a spreadsheet.")]
OwnId = Annotated[int, Path(ge=0, le=2**31 - 1, description="The number of an own name.")]
_CSV = {"description": "The senders", "content": {"text/csv": {"schema": {"type": "string", "format": "binary"}}}}


@routes.get(
    "/domains/{domain}/senders",
    operation_id="list_senders",
    response_model=Page[SenderOut],
    responses={200: _CSV, 400: {}, 404: {}},
    summary="List the senders of a domain",
)
async def senders(
    request: Request,
    caller: Reader,
    domain: DomainRef,
    span: Span,
    sender_class: Class = None,
    decision: Decided = None,
    needs_decision: Waiting = False,
    q: Text = "",
    order: Order = "decision",
    format: Format = "json",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Who sent in the domain's name, what each is to you, and what to do; by default in the last 30 days.

    The 2,000 largest senders are listed.
    """
    for_domain = await caller.domain(domain)
    place = after("senders", cursor, int, str)
    senders = await caller.deps.sender_directory.of_domain(for_domain, *span)
    wanted = q.strip().casefold()
    rows = [
        row
        for row in senders.rows
        if (sender_class is None or row.sender_class is sender_class)
        and (decision is None or decision == (row.decision.decision if row.decision else "none"))
        and (row.needs_decision or not needs_decision)
        and wanted in row.name.casefold()
    ]
    if order == "messages":
        rows.sort(key=lambda row: (-row.group.messages, row.id))
    offset = 0 if place is None or place[1] != order else min(max(0, place[0]), _LARGEST_OFFSET)
    page = rows[offset : offset + limit]
    next_ = mark("senders", offset + limit, order) if offset + limit < len(rows) else None
    if format == "csv":
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="senders-{for_domain.name}.csv"'}
        return Response(_as_csv(page), headers=headers, media_type="text/csv; charset=utf-8; header=present")
    return answer(request, Page[SenderOut](items=[SenderOut.of(row) for row in page], next=next_))


@routes.get(
    "/domains/{domain}/senders/{sender}",
    operation_id="get_sender",
    response_model=SenderDetailOut,
    responses={400: {}, 404: {}},
    summary="Show a sender",
)
async def sender(request: Request, caller: Reader, domain: DomainRef, sender: SenderRef, span: Span) -> Response:
    """A sender with its evidence, addresses, selectors, pairs of domains, results by reporter and failure reports."""
    for_domain = await caller.domain(domain)
    directory, questions = caller.deps.sender_directory, caller.deps.questions
    row = await directory.find(for_domain, *span, sender)
    key, rows = row.group.key, await directory.rows(for_domain, *span)
    detail = SenderDetailOut.detailed(
        row,
        (await directory.days(for_domain, *span, [key]))[key],
        (await questions.sender_addresses(rows, key, limit=ADDRESSES)).rows,
        await questions.sender_selectors(rows, key),
        await questions.sender_pairs(rows, key),
        await questions.sender_reporters(rows, key),
        await questions.sender_failures(rows, key),
    )
    return answer(request, detail)


@routes.get(
    "/domains/{domain}/senders/{sender}/addresses",
    operation_id="list_sender_addresses",
    response_model=Page[SenderAddressOut],
    responses={400: {}, 404: {}},
    summary="List the addresses of a sender",
)
async def addresses(
    request: Request,
    caller: Reader,
    domain: DomainRef,
    sender: SenderRef,
    span: Span,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """All addresses that the sender used in the period, most messages first."""
    for_domain = await caller.domain(domain)
    place = after("sender_addresses", cursor, int)
    offset = 0 if place is None else min(max(0, place[0]), _LARGEST_OFFSET)
    directory = caller.deps.sender_directory
    row = await directory.find(for_domain, *span, sender)
    rows = await directory.rows(for_domain, *span)
    page = await caller.deps.questions.sender_addresses(rows, row.group.key, limit=limit, offset=offset)
    next_ = mark("sender_addresses", offset + limit) if offset + limit < page.total else None
    return answer(request, Page[SenderAddressOut](items=[address_out(one) for one in page.rows], next=next_))


@routes.put(
    "/domains/{domain}/senders/{sender}/decision",
    operation_id="decide_sender",
    response_model=DecisionOut,
    responses={400: {}, 404: {}},
    summary="Decide what a sender is to you",
)
async def decide(
    request: Request, caller: Writer, domain: DomainRef, sender: SenderRef, span: Span, body: DecisionIn
) -> Response:
    """Record what you know about a sender, in place of an earlier decision.

    It changes no DNS and authorises no address.
    """
    for_domain = await caller.domain(domain)
    row = await caller.deps.sender_directory.find(for_domain, *span, sender)
    made = await caller.deps.senders.decide(for_domain, row.id, body.decision, name=body.name, note=body.note)
    return answer(request, DecisionOut.of(made))


@routes.delete(
    "/domains/{domain}/senders/{sender}/decision",
    operation_id="withdraw_sender_decision",
    status_code=204,
    responses={404: {}},
    summary="Withdraw a decision",
)
async def withdraw(request: Request, caller: Writer, domain: DomainRef, sender: SenderRef, span: Span) -> Response:
    """Remove the decision on a sender: its figures decide again."""
    for_domain = await caller.domain(domain)
    row = await caller.deps.sender_directory.find(for_domain, *span, sender)
    if row.decision is None:
        raise NotFoundError("there is no decision on this sender")
    require_match(request, DecisionOut.of(row.decision))
    await caller.deps.senders.withdraw(for_domain, row.decision.sender)
    return Response(status_code=204)


@routes.get(
    "/own-senders", operation_id="list_own_senders", response_model=Page[OwnNameOut], summary="List own senders"
)
async def own_names(request: Request, caller: Reader, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """The names that the account gives to its own systems, by name. They come before every other name."""
    caller.whole()
    place = after("own_senders", cursor, int)
    offset = 0 if place is None else min(max(0, place[0]), _LARGEST_OFFSET)
    own = await caller.deps.senders.own_names(caller.account_id)
    next_ = mark("own_senders", offset + limit) if offset + limit < len(own) else None
    items = [OwnNameOut.of(one) for one in own[offset : offset + limit]]
    return answer(request, Page[OwnNameOut](items=items, next=next_))


@routes.post(
    "/own-senders",
    operation_id="add_own_sender",
    status_code=201,
    response_model=OwnNameOut,
    responses={400: {}, 409: {}},
    summary="Name an own sender",
)
async def add_own_name(request: Request, caller: Writer, body: OwnNameIn) -> Response:
    """Give a name to messages by a block of addresses, a DKIM domain and selector, a return-path domain or a host."""
    caller.whole()
    made = OwnNameOut.of(
        await caller.deps.senders.add_own_name(caller.account_id, body.name, body.evidence, body.value, body.selector)
    )
    return answer(request, made, 201, {"Location": f"/api/v1/own-senders/{made.id}"})


@routes.get(
    "/own-senders/{own_id}",
    operation_id="get_own_sender",
    response_model=OwnNameOut,
    responses={404: {}},
    summary="Show an own sender",
)
async def own_name(request: Request, caller: Reader, own_id: OwnId) -> Response:
    """One of the account's own names."""
    caller.whole()
    return answer(request, OwnNameOut.of(await _own(caller, own_id)))


@routes.delete(
    "/own-senders/{own_id}",
    operation_id="remove_own_sender",
    status_code=204,
    responses={404: {}},
    summary="Remove an own sender",
)
async def remove_own_name(request: Request, caller: Writer, own_id: OwnId) -> Response:
    """Its messages have their former names again at once."""
    caller.whole()
    require_match(request, OwnNameOut.of(await _own(caller, own_id)))
    await caller.deps.senders.remove_own_name(caller.account_id, own_id)
    return Response(status_code=204)


async def _own(caller: Caller, own_id: int) -> OwnName:
    for one in await caller.deps.senders.own_names(caller.account_id):
        if one.id == own_id:
            return one
    raise NotFoundError("there is no such own name")


def _as_csv(rows: list[DomainSender]) -> str:
    """RFC 4180 with a head line; text that a spreadsheet would run is made harmless."""
    out = io.StringIO()
    columns = [name for name in SenderOut.model_fields if name not in ("decision", "sender_class")]
    writer = csv.writer(out)
    writer.writerow([*columns, "class", "decision"])
    for row in rows:
        values = SenderOut.values(row)
        cells = [values[name] for name in columns]
        decision = "" if row.decision is None else str(OwnerDecision(row.decision.decision))
        writer.writerow([_cell(value) for value in (*cells, str(row.sender_class), decision)])
    return out.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, list):
        value = " ".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else harmless(str(value)) if isinstance(value, str) else str(value)
