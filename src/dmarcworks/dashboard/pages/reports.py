"""Reports: of the account, of a domain, of a day; one report with its records; its file as it was received."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from dmarcworks.analytics.questions.all import RecordPage
from dmarcworks.analytics.questions.reports import TlsPage
from dmarcworks.analytics.schema import day_of
from dmarcworks.api.deps import Dependencies, Deps
from dmarcworks.catalogue.arrivals import ReportRow
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.pages.domain import OwnDomain
from dmarcworks.dashboard.pages.raw import download
from dmarcworks.dashboard.period import parse_day
from dmarcworks.dashboard.renderer import Html
from dmarcworks.dashboard.visit import UserVisit, Visit
from dmarcworks.errors import NotFoundError
from dmarcworks.reports.model import FailureReport, TlsReport

PAGE = 100

routes = APIRouter(route_class=PageRoute, include_in_schema=False)


async def _report(key: str, visit: UserVisit, deps: Dependencies) -> ReportRow:
    report = await deps.arrivals.report(visit.account_id, key)
    if report is None:
        raise NotFoundError("There is no such report, or it belongs to another account.")
    return report


OwnReport = Annotated[ReportRow, Depends(_report)]


@routes.get("/reports")
async def every(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """The reports of the account."""
    rows, after = await _page(deps, visit, None)
    domains = {domain.id: domain.name for domain in await deps.accounts.domains(visit.account_id)}
    return await html.page(
        visit,
        "reports.html",
        domain=None,
        day=None,
        rows=rows,
        after=after,
        domains=domains,
        before=None,
        later=None,
    )


@routes.get("/domains/{name}/reports")
async def of_domain(domain: OwnDomain, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """The reports of a domain, or of one of its days."""
    day = parse_day(visit.query("day"))
    rows, after = await _page(deps, visit, domain.id)
    return await html.page(
        visit,
        "reports.html",
        domain=domain,
        day=day,
        rows=rows,
        after=after,
        domains={},
        before=day - timedelta(days=1) if day and day.year > 1970 else None,
        later=day + timedelta(days=1) if day and day < deps.now().date() else None,
    )


@routes.get("/reports/{key}")
async def one(report: OwnReport, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """A report with its records."""
    page = visit.number("page", 1, 1, 100_000)
    listing: RecordPage | TlsPage = TlsPage((), 0)
    failure, policy = None, None
    day = day_of(report.begin)
    if report.kind == TlsReport.kind:
        listing = await deps.questions.tls_policies(
            report.account_id, report.domain_id, day, report.key, limit=PAGE, offset=(page - 1) * PAGE
        )
    elif report.kind == FailureReport.kind:
        failure = await deps.questions.failure(report.account_id, report.domain_id, day, report.key)
    else:
        policies = await deps.questions.published_policies(
            report.account_id, report.domain_id, day, day, report_key=report.key
        )
        policy = policies[0] if policies else None
        listing = await deps.questions.records(
            report.account_id,
            report_key=report.key,
            domain_id=report.domain_id,
            first=day,
            last=day,
            limit=PAGE,
            offset=(page - 1) * PAGE,
        )
    head = await deps.objects.head(report.object_key)
    return await html.page(
        visit,
        "report.html",
        report=report,
        domain=await deps.accounts.domain(visit.account_id, report.domain_id),
        listing=listing,
        failure=failure,
        policy=policy,
        page=page,
        pages=-(-listing.total // PAGE),
        head=head,
        proof=await deps.routing.proofs.proof(report.mail_id),
    )


@routes.get("/reports/{key}/raw")
async def raw(report: OwnReport, deps: Dependencies) -> Response:
    """Its file as it was received."""
    return await download(deps.objects, report.object_key, report.file_name or report.object_key)


async def _page(deps: Deps, visit: Visit, domain_id: str | None) -> tuple[list[ReportRow], str]:
    """A page of reports, newest first, and the cursor of the next page."""
    day = parse_day(visit.query("day")) if domain_id else None
    rows = await deps.arrivals.reports(
        visit.account_id, domain_id, day=day, limit=PAGE + 1, before=_mark(visit.query("before"))
    )
    if len(rows) <= PAGE:
        return rows, ""
    last = rows[PAGE - 1]
    return rows[:PAGE], f"{last.received.timestamp()!r}_{last.key}"


def _mark(text: str) -> tuple[datetime, str] | None:
    seconds, _, key = text.partition("_")
    try:
        return datetime.fromtimestamp(float(seconds), UTC), key
    except (ValueError, OverflowError, OSError):
        return None
