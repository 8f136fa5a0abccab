"""`/problems`: what could not be read or counted, why in words, the bytes as they came, and what to do about it.

A problem's page describes it and offers three actions: reprocess it (after a fix), adopt its report (once the domain
that it is about was added), discard it (after a confirmation). The page waits while the mail is being reprocessed.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.responses import RedirectResponse, Response

from dmarcworks.api.deps import Dependencies, Deps
from dmarcworks.catalogue.audit import actor
from dmarcworks.catalogue.problems import ProblemRow
from dmarcworks.dashboard.links import url
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.pages.raw import download
from dmarcworks.dashboard.renderer import Html
from dmarcworks.dashboard.visit import UserVisit
from dmarcworks.errors import ConflictError, NotFoundError
from dmarcworks.reports.model import REASONS

PAGE = 100
REPORTS = 20
STATES = {
    "open": "Open",
    "retrying": "Being reprocessed",
    "closed": "Solved",
    "discarded": "Discarded",
    "other": "Other mail",
}
# Reasons of the steps after reading; `reports` explains those of reading.
STEPS = {
    "other_domain": "The report is about a domain other than that of its address",
    "other_policies": "Some policies of the TLS report are about another domain",
    "raw_missing": "The raw mail is no longer in the archive",
    "not_genuine": "The report mail does not pass DMARC, so somebody else may have sent it",
    "unverified": "Whether the report mail passes DMARC could not be determined, so somebody else may have sent it",
    "gave_up": "Parsing failed repeatedly",
    "reading_stopped": "Parsing exceeded its limit of processor time or memory and was stopped",
    "failure_not_redacted": "The message in a failure report could not be removed, so it was not archived",
}


def reason_words(code: str) -> str:
    """The reason for a person; the code itself when nobody has explained it."""
    return str(REASONS.get(code) or STEPS.get(code) or code.replace("_", " ").capitalize())


routes = APIRouter(route_class=PageRoute, include_in_schema=False)


async def _problem(problem_id: Annotated[str, Path(alias="id")], visit: UserVisit, deps: Dependencies) -> ProblemRow:
    valid = problem_id.isascii() and problem_id.isdigit() and len(problem_id) < 10
    problem = await deps.problems.get(visit.account_id, int(problem_id)) if valid else None
    if problem is None:
        raise NotFoundError("There is no such problem, or it belongs to another account.")
    return problem


OwnProblem = Annotated[ProblemRow, Depends(_problem)]


@routes.get("/problems")
async def index(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """The problems in a state, newest first."""
    before = visit.number("before", 0, 0, 999_999_999) or None
    state = visit.query("state", "open")
    state, reason = state if state in STATES else "open", visit.query("reason")[:64]
    rows = await deps.problems.list(visit.account_id, state, PAGE + 1, before, reason)
    domains = {domain.id: domain.name for domain in await deps.accounts.domains(visit.account_id)}
    return await html.page(
        visit,
        "problems.html",
        rows=rows[:PAGE],
        after=rows[PAGE - 1].id if len(rows) > PAGE else None,
        first=before is None,
        domains=domains,
        words=reason_words,
        state=state,
        states=STATES,
        reason=reason,
        reasons=await deps.problems.reasons(visit.account_id, state),
        queued=visit.number("queued", -1, 0, 999_999_999),
        skipped=visit.number("skipped", 0, 0, 999_999_999),
    )


@routes.post("/problems/retry")
async def retry_all(visit: UserVisit, deps: Dependencies) -> Response:
    """Reprocess the mail of all open problems."""
    reason = visit.form.get("reason", "")[:64]
    done = await deps.problem_actions.retry_all(visit.account_id, reason, actor().name)
    outcome = {"queued": done.mails, "skipped": len(done.skipped) or None}
    return RedirectResponse(url("/problems", reason=reason, **outcome), 303)


@routes.post("/problems/discard-other")
async def discard_other(visit: UserVisit, deps: Dependencies) -> Response:
    """Discard all other mail (of the reason)."""
    reason = visit.form.get("reason", "")[:64]
    await deps.problems.discard_other(visit.account_id, actor().name, reason)
    return RedirectResponse(url("/problems", state="other"), 303)


@routes.get("/problems/{id}")
async def show(problem: OwnProblem, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """A problem, and what can be done about it."""
    domain = await deps.accounts.domain(visit.account_id, problem.domain_id)
    reports = await deps.listing.of_mail(visit.account_id, problem.mail_id, REPORTS)
    return await html.page(
        visit,
        "problem.html",
        problem=problem,
        domain=domain,
        right=await deps.problem_actions.right_domain(problem),
        report=await _report(deps, problem),
        reports=reports,
        mail=await deps.arrivals.mail(visit.account_id, problem.mail_id),
        head=await deps.objects.head(problem.object_key),
        words=reason_words,
        states=STATES,
    )


@routes.post("/problems/{id}/retry")
async def retry(problem: OwnProblem, deps: Dependencies) -> Response:
    """Reprocess its mail."""
    await deps.problem_actions.retry(problem, actor().name)
    return RedirectResponse(f"/problems/{problem.id}", 303)


@routes.post("/problems/{id}/adopt")
async def adopt(problem: OwnProblem, deps: Dependencies) -> Response:
    """Count its report for the domain that the report is about."""
    await deps.problem_actions.adopt(problem, actor().name)
    return RedirectResponse(f"/problems/{problem.id}", 303)


@routes.get("/problems/{id}/discard")
async def confirm(problem: OwnProblem, visit: UserVisit, html: Html) -> Response:
    """Confirm that it is to be discarded."""
    return await html.page(visit, "problem_discard.html", problem=problem, words=reason_words)


@routes.post("/problems/{id}/discard")
async def discard(problem: OwnProblem, deps: Dependencies) -> Response:
    """Discard it."""
    if problem.state == "retrying":
        raise ConflictError("The mail is being reprocessed. Wait for the result.")
    await deps.problem_actions.discard(problem, actor().name)
    return RedirectResponse(f"/problems/{problem.id}", 303)


@routes.get("/problems/{id}/raw")
async def raw(problem: OwnProblem, deps: Dependencies) -> Response:
    """Its mail, or the part that it is about."""
    # The key leads to the whole mail or to the part; its ending shows which.
    name = problem.object_key if problem.object_key.endswith(".eml") else problem.file_name or problem.object_key
    return await download(deps.objects, problem.object_key, name)


async def _report(deps: Deps, problem: ProblemRow) -> object:
    """The report that the problem is about, when it is known."""
    if problem.report_key is None:
        return None
    return await deps.arrivals.report(problem.account_id, problem.report_key)
