"""/audit: who changed what in the account, newest first. For admins of the whole account."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dmarcworks.api.rest.deps import Admin
from dmarcworks.api.rest.models import AuditOut
from dmarcworks.api.rest.paging import Cursor, Limit, Page, after, mark
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.tags import answer

routes = APIRouter(tags=["audit"], route_class=Route)

Action = Annotated[
    str | None,
    Query(pattern=r"^[a-z._-]{1,64}$", description="Only this action (`domain.add`) or kind (`domain`)."),
]


@routes.get(
    "/audit", operation_id="list_audit", response_model=Page[AuditOut], responses={400: {}}, summary="List changes"
)
async def index(
    request: Request, caller: Admin, action: Action = None, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """Every change of domains, users, tokens and problems, with who made it and from where."""
    caller.whole()
    place = after("audit", cursor, int)
    before = None if place is None else place[0]
    rows = await caller.deps.audit.list(caller.account_id, action=action, limit=min(limit + 1, 1000), before=before)
    next_ = mark("audit", rows[limit - 1].id) if len(rows) > limit else None
    return answer(request, Page[AuditOut](items=[AuditOut.of(row) for row in rows[:limit]], next=next_))
