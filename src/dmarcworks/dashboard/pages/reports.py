"""Reports: of the account, of a domain, of a day; one report with its records; its file as it was received."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from starlette.responses import Response

from dmarcworks.analytics.questions.all import RecordPage
from dmarcworks.analytics.questions.reports import TlsPage
from dmarcworks.analytics.schema import day_of
from dmarcworks.catalogue.arrivals import ReportRow
from dmarcworks.dashboard.pages.domain import find
from dmarcworks.dashboard.pages.raw import download
from dmarcworks.dashboard.pages.route import GET, Route
from dmarcworks.dashboard.period import parse_day
from dmarcworks.dashboard.web import Site, Visit
from dmarcworks.errors import NotFoundError
from dmarcworks.reports.model import FailureReport, TlsReport

PAGE = 100


def routes(site: Site) -> list[Route]:
    """The pages of this module."""
    deps = site.deps

    async def every(visit: Visit) -> Response:
        rows, after = await _page(site, visit, None)
        domains = {domain.id: domain.name for domain in await deps.accounts.domains(visit.account_id)}
        return await site.page(
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

    async def of_domain(visit: Visit) -> Response:
        domain = await find(site, visit)
        day = parse_day(visit.query("day"))
        rows, after = await _page(site, visit, domain.id)
        return await site.page(
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

    async def one(visit: Visit) -> Response:
        report = await _report(site, visit)
        page = visit.number("page", 1, 1, 100_000)
        found: RecordPage | TlsPage = TlsPage((), 0)
        failure = None
        day = day_of(report.begin)
        if report.kind == TlsReport.kind:
            found = await deps.questions.tls_policies(
                report.account_id, report.domain_id, day, report.key, limit=PAGE, offset=(page - 1) * PAGE
            )
        elif report.kind == FailureReport.kind:
            failure = await deps.questions.failure(report.account_id, report.domain_id, day, report.key)
        else:
            found = await deps.questions.records(
                report.account_id,
                report_key=report.key,
                domain_id=report.domain_id,
                first=day,
                last=day,
                limit=PAGE,
                offset=(page - 1) * PAGE,
            )
        head = await deps.objects.head(report.object_key)
        return await site.page(
            visit,
            "report.html",
            report=report,
            domain=await deps.accounts.domain(visit.account_id, report.domain_id),
            found=found,
            failure=failure,
            page=page,
            pages=-(-found.total // PAGE),
            head=head,
            proof=await deps.mailroom.proofs.proof(report.mail_id),
        )

    async def raw(visit: Visit) -> Response:
        report = await _report(site, visit)
        return await download(deps.objects, report.object_key, report.file_name or report.object_key)

    return [
        ("/reports", GET, every, False),
        ("/domains/{name}/reports", GET, of_domain, False),
        ("/reports/{key}", GET, one, False),
        ("/reports/{key}/raw", GET, raw, False),
    ]


async def _report(site: Site, visit: Visit) -> ReportRow:
    report = await site.deps.arrivals.report(visit.account_id, visit.request.path_params["key"])
    if report is None:
        raise NotFoundError("There is no such report, or it belongs to another account.")
    return report


async def _page(site: Site, visit: Visit, domain_id: str | None) -> tuple[list[ReportRow], str]:
    """A page of reports, newest first, and the mark from which the next goes on."""
    day = parse_day(visit.query("day")) if domain_id else None
    rows = await site.deps.arrivals.reports(
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
