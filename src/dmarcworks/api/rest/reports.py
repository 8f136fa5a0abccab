"""/reports: the received reports, by filter; one report with its content; its file as it was received."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from dmarcworks.analytics.schema import day_of
from dmarcworks.api.rest.deps import Caller, Reader
from dmarcworks.api.rest.download import download
from dmarcworks.api.rest.models import ReportOut
from dmarcworks.api.rest.paging import Cursor, Limit, Page, after, mark
from dmarcworks.api.rest.params import Day, DomainFilter, Key, days
from dmarcworks.api.rest.report_models import FailureOut, RecordOut, ReportWhole, TlsPolicyOut
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.tags import answer
from dmarcworks.catalogue.arrivals import ReportRow
from dmarcworks.catalogue.listing import ReportFilter
from dmarcworks.errors import NotFoundError
from dmarcworks.reports.model import AggregateReport, FailureReport, TlsReport

routes = APIRouter(prefix="/reports", tags=["reports"], route_class=Route)

FIRST_ROWS = 100
_LARGEST_OFFSET = 1_000_000

Kind = Annotated[Literal["aggregate", "tls", "failure"] | None, Query(description="Only this kind.")]
State = Annotated[Literal["counted", "foreign", "kept"] | None, Query(description="Only in this state.")]
Text = Annotated[str | None, Query(max_length=500)]


@routes.get(
    "",
    operation_id="list_reports",
    response_model=Page[ReportOut],
    responses={400: {}, 404: {}},
    summary="List reports",
)
async def index(
    request: Request,
    caller: Reader,
    domain: DomainFilter = None,
    kind: Kind = None,
    state: State = None,
    first: Day = None,
    last: Day = None,
    org_name: Text = None,
    report_id: Text = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Reports within the token's reach, newest first. `first` and `last` are days of the report's begin."""
    days(first, last)
    rows = await caller.deps.listing.reports(
        caller.account_id,
        ReportFilter(
            domain_ids=await caller.domain_ids(domain),
            kind=kind or "",
            state=state or "",
            org_name=org_name or "",
            report_id=report_id or "",
            first=first,
            last=last,
        ),
        limit=limit + 1,
        before=after("reports", cursor, float, str),
    )
    end = rows[limit - 1] if len(rows) > limit else None
    next_ = None if end is None else mark("reports", end.received.timestamp(), end.key)
    return answer(request, Page[ReportOut](items=[ReportOut.of(row) for row in rows[:limit]], next=next_))


async def _report(caller: Caller, key: str) -> ReportRow:
    report = await caller.deps.arrivals.report(caller.account_id, key)
    if report is None or not caller.token.sees(report.domain_id):
        raise NotFoundError("there is no such report")
    return report


@routes.get(
    "/{report}",
    operation_id="get_report",
    response_model=ReportWhole,
    responses={404: {}},
    summary="Show a report",
)
async def show(request: Request, caller: Reader, report: Key) -> Response:
    """A report with its content: the first 100 records or policies, or a failure report's fields."""
    row = await _report(caller, report)
    records: list[RecordOut] = []
    policies: list[TlsPolicyOut] = []
    failure, total = None, 0
    if row.kind == AggregateReport.kind:
        records, total = await _records(caller, row, FIRST_ROWS, 0)
    elif row.kind == TlsReport.kind:
        policies, total = await _policies(caller, row, FIRST_ROWS, 0)
    elif row.kind == FailureReport.kind:
        failure_row = await caller.deps.questions.failure(row.account_id, row.domain_id, day_of(row.begin), row.key)
        failure, total = (None, 0) if failure_row is None else (FailureOut.of(failure_row), 1)
    whole = ReportWhole(
        **dict(ReportOut.of(row)),
        duplicates=row.duplicates,
        archived=await caller.deps.objects.head(row.object_key) is not None,
        rows=records,
        policies=policies,
        failure=failure,
        rows_total=total,
    )
    return answer(request, whole)


@routes.get(
    "/{report}/records",
    operation_id="list_report_records",
    response_model=Page[RecordOut],
    responses={400: {}, 404: {}},
    summary="List a report's records",
)
async def records(request: Request, caller: Reader, report: Key, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """The records of an aggregate report in its own order; other kinds have none."""
    row = await _report(caller, report)
    offset = _offset("records", cursor)
    rows, total = await _records(caller, row, limit, offset) if row.kind == AggregateReport.kind else ([], 0)
    next_ = mark("records", offset + limit) if offset + limit < total else None
    return answer(request, Page[RecordOut](items=rows, next=next_))


@routes.get(
    "/{report}/policies",
    operation_id="list_report_policies",
    response_model=Page[TlsPolicyOut],
    responses={400: {}, 404: {}},
    summary="List a TLS report's policies",
)
async def policies(
    request: Request, caller: Reader, report: Key, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """The policies of a TLS report in its own order; other kinds have none."""
    row = await _report(caller, report)
    offset = _offset("policies", cursor)
    rows, total = await _policies(caller, row, limit, offset) if row.kind == TlsReport.kind else ([], 0)
    next_ = mark("policies", offset + limit) if offset + limit < total else None
    return answer(request, Page[TlsPolicyOut](items=rows, next=next_))


@routes.get(
    "/{report}/raw",
    operation_id="get_report_raw",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
        404: {},
    },
    summary="Download a report",
)
async def raw(request: Request, caller: Reader, report: Key) -> Response:
    """The report's file as it was received, still compressed."""
    row = await _report(caller, report)
    return await download(request, caller.deps.objects, row.object_key, row.file_name or row.object_key)


def _offset(kind: str, cursor: str | None) -> int:
    place = after(kind, cursor, int)
    return 0 if place is None else min(max(0, place[0]), _LARGEST_OFFSET)


async def _records(caller: Caller, row: ReportRow, limit: int, offset: int) -> tuple[list[RecordOut], int]:
    day: date = day_of(row.begin)
    page = await caller.deps.questions.records(
        row.account_id, report_key=row.key, domain_id=row.domain_id, first=day, last=day, limit=limit, offset=offset
    )
    return [RecordOut.of(record) for record in page.rows], page.total


async def _policies(caller: Caller, row: ReportRow, limit: int, offset: int) -> tuple[list[TlsPolicyOut], int]:
    page = await caller.deps.questions.tls_policies(
        row.account_id, row.domain_id, day_of(row.begin), row.key, limit=limit, offset=offset
    )
    return [TlsPolicyOut.of(policy) for policy in page.rows], page.total
