"""`/sql`: an editor for one statement, its result as a table, a chart and CSV; saved queries, and what was asked last.

Asked is through the desk of the SQL API: the same walls and bounds, for the account of who is logged in. All of it
works without scripts; with them Ctrl+Enter runs, a click on a name writes it, and the chart is drawn.
"""

from __future__ import annotations

import time
from typing import Any

from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from dmarcworks.analytics.schema import ASKED
from dmarcworks.api.leaving import while_connected
from dmarcworks.catalogue.queries import LOG_TEXT, NAME_LETTERS
from dmarcworks.dashboard.pages.route import GET, POST, Route
from dmarcworks.dashboard.pages.sql_examples import EXAMPLES
from dmarcworks.dashboard.sql_result import SHOWN, Result, cell, chart, csv_of, script_json
from dmarcworks.dashboard.web import Site, Visit
from dmarcworks.errors import BoundError, NotFoundError, QueryError, UsageError

FORMAT = "JSONCompact"
TEXT_LETTERS = 10_000
ASKED_SHOWN = 20
_SAID = (QueryError, BoundError, UsageError)


def routes(site: Site) -> list[Route]:
    """The pages of this module."""
    deps = site.deps

    async def page(visit: Visit, text: str, status: int = 200, **values: Any) -> Response:
        given: dict[str, Any] = {"result": None, "wrong": "", "told": "", "ms": 0, "drawn": None, "name": ""}
        return await site.page(
            visit,
            "sql.html",
            status,
            text=text,
            tables=ASKED.values(),
            examples=EXAMPLES,
            saved=await deps.saved.list(visit.account_id),
            asked=await deps.queries.last(visit.account_id, ASKED_SHOWN),
            cell=cell,
            letters=TEXT_LETTERS,
            name_letters=NAME_LETTERS,
            shown=SHOWN,
            **{**given, **values},
        )

    async def ask(visit: Visit, text: str) -> Result:
        who = visit.user.email if visit.user else ""
        asked = deps.desk.ask(text, visit.account_id, who=who, source="page", format=FORMAT, forced=True)
        return Result.of((await while_connected(visit.request, asked)).body)

    async def show(visit: Visit) -> Response:
        wanted = visit.query("saved")
        if wanted:
            found = next((one for one in await deps.saved.list(visit.account_id) if one.id == wanted), None)
            if found is None:
                raise NotFoundError("There is no such query, or it belongs to another account.")
            return await page(visit, found.text, name=found.name)
        number = visit.query("asked")
        if number:
            known = number.isascii() and number.isdigit() and len(number) <= 18
            line = await deps.queries.line(visit.account_id, int(number)) if known else None
            if line is None:
                raise NotFoundError("There is no such statement in the log, or it belongs to another account.")
            cut = f"Only the first {LOG_TEXT:,} characters of this statement were kept."
            return await page(visit, line.text, told=cut if len(line.text) >= LOG_TEXT else "")
        example = next((one for one in EXAMPLES if one.key == visit.query("example")), EXAMPLES[0])
        return await page(visit, example.text)

    async def run(visit: Visit) -> Response:
        text, name = _text(visit), visit.form.get("name", "")[:NAME_LETTERS]
        begun = time.perf_counter()
        try:
            result = await ask(visit, text)
        except _SAID as error:
            return await page(visit, text, 422, wrong=str(error), name=name)
        drawn = chart(result)
        return await page(
            visit,
            text,
            result=result,
            ms=round((time.perf_counter() - begun) * 1000),
            drawn=drawn and Markup(script_json(drawn)),  # noqa: S704 - JSON with <, > and & as \u escapes
            name=name,
        )

    async def download(visit: Visit) -> Response:
        text = _text(visit)
        try:
            result = await ask(visit, text)
        except _SAID as error:
            return await page(visit, text, 422, wrong=str(error))
        headers = {"Content-Disposition": 'attachment; filename="result.csv"'}
        return Response(csv_of(result), media_type="text/csv; charset=utf-8", headers=headers)

    async def save(visit: Visit) -> Response:
        text, name = _text(visit), visit.form.get("name", "")
        try:
            made = await deps.saved.save(visit.account_id, name, text, visit.user.email if visit.user else "")
        except (UsageError, BoundError) as error:
            return await page(visit, text, 400, wrong=f"Not saved: {error}.", name=name[:NAME_LETTERS])
        return RedirectResponse(f"/sql?saved={made}", 303)

    async def remove(visit: Visit) -> Response:
        await deps.saved.remove(visit.account_id, visit.request.path_params["id"][:64])
        return RedirectResponse("/sql", 303)

    return [
        ("/sql", GET, show, False),
        ("/sql", POST, run, False),
        ("/sql/csv", POST, download, False),
        ("/sql/saved", POST, save, False),
        ("/sql/saved/{id}/remove", POST, remove, False),
    ]


def _text(visit: Visit) -> str:
    """The statement of the form, with one kind of line break; browsers send another."""
    return visit.form.get("text", "").replace("\r\n", "\n")[:TEXT_LETTERS]
