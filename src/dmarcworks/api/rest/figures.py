"""/domains/{domain}/…: the figures of a domain over days: totals, by day, by source address, by reporter."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from dmarcworks.analytics.period import range_of
from dmarcworks.api.rest.deps import Reader
from dmarcworks.api.rest.paging import Cursor, Limit, Page, after, mark
from dmarcworks.api.rest.params import Day, Days, DomainRef
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.tags import answer

routes = APIRouter(prefix="/domains/{domain}", tags=["figures"], route_class=Route)

_LARGEST_OFFSET = 1_000_000
Order = Annotated[Literal["messages", "passed", "source_ip", "last_day"], Query(description="Largest or latest first.")]


class FiguresOut(BaseModel):
    """The figures of a period."""

    first: date = Field(description="First day, UTC.", examples=["2026-10-26"])
    last: date = Field(description="Last day, UTC.", examples=["2026-11-24"])
    messages: int = Field(description="Messages that reports cover.", examples=[2900])
    passed: int = Field(description="Those that passed DMARC.", examples=[2610])
    failed: int = Field(description="Those that did not.", examples=[290])
    dkim_aligned: int = Field(description="Those with an aligned DKIM pass.", examples=[2500])
    spf_aligned: int = Field(description="Those with an aligned SPF pass.", examples=[2400])
    quarantined: int = Field(description="Those put aside.", examples=[0])
    rejected: int = Field(description="Those refused.", examples=[0])
    sources: int = Field(description="Addresses that sent.", examples=[12])
    reports: int = Field(description="Reports.", examples=[60])
    reporters: int = Field(description="Reporters.", examples=[4])


class DayOut(BaseModel):
    """A day's figures."""

    day: date = Field(description="UTC day of the reports' begin.", examples=["2026-11-23"])
    messages: int = Field(description="Messages.", examples=[100])
    passed: int = Field(description="Those that passed DMARC.", examples=[90])
    failed: int = Field(description="Those that did not.", examples=[10])
    quarantined: int = Field(description="Those put aside.", examples=[0])
    rejected: int = Field(description="Those refused.", examples=[0])
    reports: int = Field(description="Reports.", examples=[2])


class SourceOut(BaseModel):
    """What one address sent."""

    source_ip: str = Field(description="The address, as reported.", examples=["192.0.2.1"])
    messages: int = Field(description="Messages.", examples=[100])
    passed: int = Field(description="Those that passed DMARC.", examples=[90])
    dkim_aligned: int = Field(description="Those with an aligned DKIM pass.", examples=[80])
    spf_aligned: int = Field(description="Those with an aligned SPF pass.", examples=[70])
    quarantined: int = Field(description="Those put aside.", examples=[0])
    rejected: int = Field(description="Those refused.", examples=[0])
    reporters: int = Field(description="How many reporters covered it.", examples=[2])
    first_day: date = Field(description="First day seen in the period.", examples=["2026-10-30"])
    last_day: date = Field(description="Last day seen in the period.", examples=["2026-11-23"])


class ReporterOut(BaseModel):
    """The figures of one reporter."""

    org_name: str = Field(description="As it calls itself; empty when it does not.", examples=["google.com"])
    reports: int = Field(description="Reports.", examples=[30])
    messages: int = Field(description="Messages.", examples=[2000])
    passed: int = Field(description="Those that passed DMARC.", examples=[1900])


def period(first: Day = None, last: Day = None, days: Days = None) -> tuple[date, date]:
    """The days of the period; by default the last 30 up to and including today."""
    return range_of(days, first, last, datetime.now(UTC).date())


Span = Annotated[tuple[date, date], Depends(period)]


def _same(model: type[BaseModel], row: object) -> dict[str, Any]:
    return {name: getattr(row, name) for name in model.model_fields if hasattr(row, name)}


@routes.get(
    "/figures",
    operation_id="get_figures",
    response_model=FiguresOut,
    responses={400: {}, 404: {}},
    summary="A period's figures",
)
async def figures(request: Request, caller: Reader, domain: DomainRef, span: Span) -> Response:
    """Sums over a period; by default the last 30 days."""
    for_domain = await caller.domain(domain)
    row = await caller.deps.questions.figures(caller.account_id, for_domain.id, *span)
    return answer(request, FiguresOut(first=span[0], last=span[1], **_same(FiguresOut, row)))


@routes.get(
    "/days",
    operation_id="list_days",
    response_model=Page[DayOut],
    responses={400: {}, 404: {}},
    summary="Figures by day",
)
async def by_day(request: Request, caller: Reader, domain: DomainRef, span: Span) -> Response:
    """A line for each day with a report, in day order; by default the last 30 days."""
    for_domain = await caller.domain(domain)
    rows = await caller.deps.questions.volume_by_day(caller.account_id, for_domain.id, *span)
    return answer(request, Page[DayOut](items=[DayOut(**_same(DayOut, row)) for row in rows], next=None))


@routes.get(
    "/sources",
    operation_id="list_sources",
    response_model=Page[SourceOut],
    responses={400: {}, 404: {}},
    summary="Figures by source address",
)
async def sources(
    request: Request,
    caller: Reader,
    domain: DomainRef,
    span: Span,
    order: Order = "messages",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """The addresses that sent in the domain's name; by default in the last 30 days, most messages first."""
    for_domain = await caller.domain(domain)
    place = after("sources", cursor, int, str)
    offset = 0 if place is None or place[1] != order else min(max(0, place[0]), _LARGEST_OFFSET)
    page = await caller.deps.questions.sources(
        caller.account_id, for_domain.id, *span, limit=limit, offset=offset, order=order
    )
    next_ = mark("sources", offset + limit, order) if offset + limit < page.total else None
    return answer(request, Page[SourceOut](items=[SourceOut(**_same(SourceOut, row)) for row in page.rows], next=next_))


@routes.get(
    "/reporters",
    operation_id="list_reporters",
    response_model=Page[ReporterOut],
    responses={400: {}, 404: {}},
    summary="Figures by reporter",
)
async def reporters(
    request: Request,
    caller: Reader,
    domain: DomainRef,
    span: Span,
    limit: Limit = 100,
) -> Response:
    """The reporters of the most messages; by default in the last 30 days."""
    for_domain = await caller.domain(domain)
    rows = await caller.deps.questions.reporters(caller.account_id, for_domain.id, *span, limit=limit)
    items = [ReporterOut(**_same(ReporterOut, row)) for row in rows]
    return answer(request, Page[ReporterOut](items=items, next=None))
