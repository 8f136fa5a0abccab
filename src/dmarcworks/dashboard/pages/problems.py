"""`/problems`: what could not be read or counted, why in words, and the bytes as they came."""

from __future__ import annotations

from starlette.responses import Response

from dmarcworks.catalogue.problems import ProblemRow
from dmarcworks.dashboard.pages.raw import download
from dmarcworks.dashboard.pages.route import GET, Route
from dmarcworks.dashboard.web import Site, Visit
from dmarcworks.errors import NotFoundError
from dmarcworks.reports.model import REASONS

PAGE = 100
# Reasons that the steps after reading give; those of reading are explained beside it.
STEPS = {
    "other_domain": "The report is about another domain than its address is for",
    "raw_missing": "The raw mail is gone from the archive",
    "gave_up": "Reading failed again and again",
    "failure_not_redacted": "The message in a failure report could not be removed, so it was not archived",
}


def reason_words(code: str) -> str:
    """The reason for a person; the code itself when nobody has explained it."""
    return str(REASONS.get(code) or STEPS.get(code) or code.replace("_", " ").capitalize())


def routes(site: Site) -> list[Route]:
    """The pages of this module."""
    deps = site.deps

    async def index(visit: Visit) -> Response:
        before = visit.number("before", 0, 0, 999_999_999) or None
        rows = await deps.problems.list(visit.account_id, limit=PAGE + 1, before=before)
        domains = {domain.id: domain.name for domain in await deps.accounts.domains(visit.account_id)}
        return await site.page(
            visit,
            "problems.html",
            rows=rows[:PAGE],
            after=rows[PAGE - 1].id if len(rows) > PAGE else None,
            first=before is None,
            domains=domains,
            words=reason_words,
        )

    async def raw(visit: Visit) -> Response:
        problem = await _problem(site, visit)
        # The key leads to the whole mail or to the part; its own ending tells which it is.
        name = problem.object_key if problem.object_key.endswith(".eml") else problem.file_name or problem.object_key
        return await download(deps.objects, problem.object_key, name)

    return [("/problems", GET, index, False), ("/problems/{id}/raw", GET, raw, False)]


async def _problem(site: Site, visit: Visit) -> ProblemRow:
    text = visit.request.path_params["id"]
    known = text.isascii() and text.isdigit() and len(text) < 10
    problem = await site.deps.problems.get(visit.account_id, int(text)) if known else None
    if problem is None:
        raise NotFoundError("There is no such problem, or it belongs to another account.")
    return problem
