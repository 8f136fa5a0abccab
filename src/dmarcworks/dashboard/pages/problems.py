"""`/problems`: what could not be read or counted, why in words, the bytes as they came, and what to do about it.

A problem's page tells what it is and offers three ways on: read it again (after a mend), adopt its report (once the
domain that it is about was added), let it go (asked for once more). While its mail is being read the page waits.
"""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from dmarcworks.catalogue.audit import actor
from dmarcworks.catalogue.problems import ProblemRow
from dmarcworks.dashboard.pages.raw import download
from dmarcworks.dashboard.pages.route import GET, POST, Route
from dmarcworks.dashboard.web import Site, Visit, url
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
# Reasons that the steps after reading give; those of reading are explained beside it.
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


def routes(site: Site) -> list[Route]:
    """The pages of this module."""
    deps = site.deps

    async def index(visit: Visit) -> Response:
        before = visit.number("before", 0, 0, 999_999_999) or None
        state = visit.query("state", "open")
        state, reason = state if state in STATES else "open", visit.query("reason")[:64]
        rows = await deps.problems.list(visit.account_id, state, PAGE + 1, before, reason)
        domains = {domain.id: domain.name for domain in await deps.accounts.domains(visit.account_id)}
        return await site.page(
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

    async def retry_all(visit: Visit) -> Response:
        reason = visit.form.get("reason", "")[:64]
        done = await deps.mending.retry_all(visit.account_id, reason, actor().name)
        told = {"queued": done.mails, "skipped": len(done.skipped) or None}
        return RedirectResponse(url("/problems", reason=reason, **told), 303)

    async def discard_other(visit: Visit) -> Response:
        reason = visit.form.get("reason", "")[:64]
        await deps.problems.discard_other(visit.account_id, actor().name, reason)
        return RedirectResponse("/problems?state=other", 303)

    async def show(visit: Visit) -> Response:
        problem = await _problem(site, visit)
        domain = await deps.accounts.domain(visit.account_id, problem.domain_id)
        found = await deps.listing.of_mail(visit.account_id, problem.mail_id, REPORTS)
        return await site.page(
            visit,
            "problem.html",
            problem=problem,
            domain=domain,
            right=await deps.mending.right_domain(problem),
            report=await _report(site, problem),
            found=found,
            mail=await deps.arrivals.mail(visit.account_id, problem.mail_id),
            head=await deps.objects.head(problem.object_key),
            words=reason_words,
            states=STATES,
        )

    async def retry(visit: Visit) -> Response:
        problem = await _problem(site, visit)
        await deps.mending.retry(problem, actor().name)
        return RedirectResponse(f"/problems/{problem.id}", 303)

    async def adopt(visit: Visit) -> Response:
        problem = await _problem(site, visit)
        await deps.mending.adopt(problem, actor().name)
        return RedirectResponse(f"/problems/{problem.id}", 303)

    async def ask(visit: Visit) -> Response:
        return await site.page(visit, "problem_discard.html", problem=await _problem(site, visit), words=reason_words)

    async def discard(visit: Visit) -> Response:
        problem = await _problem(site, visit)
        if problem.state == "retrying":
            raise ConflictError("The mail is being reprocessed. Wait for the result.")
        await deps.mending.discard(problem, actor().name)
        return RedirectResponse(f"/problems/{problem.id}", 303)

    async def raw(visit: Visit) -> Response:
        problem = await _problem(site, visit)
        # The key leads to the whole mail or to the part; its own ending tells which it is.
        name = problem.object_key if problem.object_key.endswith(".eml") else problem.file_name or problem.object_key
        return await download(deps.objects, problem.object_key, name)

    return [
        ("/problems", GET, index, False),
        ("/problems/retry", POST, retry_all, False),
        ("/problems/discard-other", POST, discard_other, False),
        ("/problems/{id}", GET, show, False),
        ("/problems/{id}/raw", GET, raw, False),
        ("/problems/{id}/retry", POST, retry, False),
        ("/problems/{id}/adopt", POST, adopt, False),
        ("/problems/{id}/discard", GET, ask, False),
        ("/problems/{id}/discard", POST, discard, False),
    ]


async def _report(site: Site, problem: ProblemRow) -> object:
    """The report that the problem is about, when it is known."""
    if problem.report_key is None:
        return None
    return await site.deps.arrivals.report(problem.account_id, problem.report_key)


async def _problem(site: Site, visit: Visit) -> ProblemRow:
    text = visit.request.path_params["id"]
    known = text.isascii() and text.isdigit() and len(text) < 10
    problem = await site.deps.problems.get(visit.account_id, int(text)) if known else None
    if problem is None:
        raise NotFoundError("There is no such problem, or it belongs to another account.")
    return problem
