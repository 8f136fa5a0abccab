"""`/sql`: an editor for one statement, its result as a table, a chart and CSV; saved and recent queries.

The query service is that of the SQL API: the same tenant isolation and bounds, for the account of the user who is
logged in. All of it works without scripts; with them Ctrl+Enter runs, a click on a name writes it, and the chart is
drawn.
"""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Path
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from dmarcworks.analytics.schema import QUERYABLE_TABLES
from dmarcworks.api.deps import Dependencies, Deps
from dmarcworks.api.disconnect import while_connected
from dmarcworks.catalogue.queries import LOG_TEXT, NAME_CHARACTERS
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.pages.sql_examples import EXAMPLES
from dmarcworks.dashboard.renderer import Html, Renderer
from dmarcworks.dashboard.sql_result import SHOWN, Result, cell, chart, csv_of, script_json
from dmarcworks.dashboard.visit import UserVisit, Visit
from dmarcworks.errors import BoundError, NotFoundError, QueryError, UsageError

FORMAT = "JSONCompact"
TEXT_CHARACTERS = 10_000
RECENT_SHOWN = 20
_SHOWN_ERRORS = (QueryError, BoundError, UsageError)

routes = APIRouter(route_class=PageRoute, include_in_schema=False)


@routes.get("/sql")
async def show(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """A saved or logged statement, or an example."""
    wanted = visit.query("saved")
    if wanted:
        saved = next((one for one in await deps.saved_queries.list(visit.account_id) if one.id == wanted), None)
        if saved is None:
            raise NotFoundError("There is no such query, or it belongs to another account.")
        return await _page(html, deps, visit, saved.text, name=saved.name)
    number = visit.query("asked")
    if number:
        valid = number.isascii() and number.isdigit() and len(number) <= 18
        line = await deps.query_log.line(visit.account_id, int(number)) if valid else None
        if line is None:
            raise NotFoundError("There is no such statement in the log, or it belongs to another account.")
        cut = f"Only the first {LOG_TEXT:,} characters of this statement were kept."
        return await _page(html, deps, visit, line.text, notice=cut if len(line.text) >= LOG_TEXT else "")
    example = next((one for one in EXAMPLES if one.key == visit.query("example")), EXAMPLES[0])
    return await _page(html, deps, visit, example.text)


@routes.post("/sql")
async def run(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """Run the statement; the page with its result."""
    text, name = _text(visit), visit.form.get("name", "")[:NAME_CHARACTERS]
    begun = time.perf_counter()
    try:
        result = await _result(deps, visit, text)
    except _SHOWN_ERRORS as error:
        return await _page(html, deps, visit, text, 422, wrong=str(error), name=name)
    drawn = chart(result)
    return await _page(
        html,
        deps,
        visit,
        text,
        result=result,
        ms=round((time.perf_counter() - begun) * 1000),
        drawn=drawn and Markup(script_json(drawn)),  # noqa: S704 - JSON with <, > and & as \u escapes
        name=name,
    )


@routes.post("/sql/csv")
async def download(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """Run the statement; its result as CSV."""
    text = _text(visit)
    try:
        result = await _result(deps, visit, text)
    except _SHOWN_ERRORS as error:
        return await _page(html, deps, visit, text, 422, wrong=str(error))
    headers = {"Content-Disposition": 'attachment; filename="result.csv"'}
    return Response(csv_of(result), media_type="text/csv; charset=utf-8", headers=headers)


@routes.post("/sql/saved")
async def save(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """Save the statement under a name."""
    text, name = _text(visit), visit.form.get("name", "")
    try:
        made = await deps.saved_queries.save(visit.account_id, name, text, visit.email)
    except (UsageError, BoundError) as error:
        return await _page(html, deps, visit, text, 400, wrong=f"Not saved: {error}.", name=name[:NAME_CHARACTERS])
    return RedirectResponse(f"/sql?saved={made}", 303)


@routes.post("/sql/saved/{id}/remove")
async def remove(saved_id: Annotated[str, Path(alias="id")], visit: UserVisit, deps: Dependencies) -> Response:
    """Remove a saved statement."""
    await deps.saved_queries.remove(visit.account_id, saved_id[:64])
    return RedirectResponse("/sql", 303)


async def _page(html: Renderer, deps: Deps, visit: Visit, text: str, status: int = 200, **values: Any) -> Response:
    given: dict[str, Any] = {"result": None, "wrong": "", "notice": "", "ms": 0, "drawn": None, "name": ""}
    return await html.page(
        visit,
        "sql.html",
        status,
        text=text,
        tables=QUERYABLE_TABLES.values(),
        examples=EXAMPLES,
        saved=await deps.saved_queries.list(visit.account_id),
        asked=await deps.query_log.last(visit.account_id, RECENT_SHOWN),
        cell=cell,
        max_characters=TEXT_CHARACTERS,
        max_name_characters=NAME_CHARACTERS,
        shown=SHOWN,
        **{**given, **values},
    )


async def _result(deps: Deps, visit: Visit, text: str) -> Result:
    running = deps.sql.query(text, visit.account_id, who=visit.email, source="page", format=FORMAT, forced=True)
    return Result.of((await while_connected(visit.request, running)).body)


def _text(visit: Visit) -> str:
    """The statement of the form, with one kind of line break; browsers send another."""
    return visit.form.get("text", "").replace("\r\n", "\n")[:TEXT_CHARACTERS]
