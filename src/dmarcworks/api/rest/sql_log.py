"""/sql/log: the account's SQL queries, newest first. For admins of the whole account."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from dmarcworks.api.rest.deps import Admin
from dmarcworks.api.rest.models import AskedOut
from dmarcworks.api.rest.paging import Cursor, Limit, Page, after, mark
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.tags import answer

routes = APIRouter(tags=["sql"], route_class=Route)


@routes.get(
    "/sql/log",
    operation_id="list_sql_log",
    response_model=Page[AskedOut],
    responses={400: {}},
    summary="List SQL statements",
)
async def index(request: Request, caller: Admin, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Every query by a token, on the SQL page or by the command, refused ones too; some seconds late."""
    caller.whole()
    place = after("sql-log", cursor, int)
    before = None if place is None else place[0]
    rows = await caller.deps.query_log.list(caller.account_id, limit=min(limit + 1, 1000), before=before)
    next_ = mark("sql-log", rows[limit - 1].id) if len(rows) > limit else None
    return answer(request, Page[AskedOut](items=[AskedOut.of(row) for row in rows[:limit]], next=next_))
