"""`/domains/{name}/sources` and `/records`: the addresses that send as a domain, and the records of its reports."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from dmarcworks.analytics.questions.all import SourcePage
from dmarcworks.api.deps import Dependencies
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.pages.domain import OwnDomain, requested_period, scope_of
from dmarcworks.dashboard.period import parse_day
from dmarcworks.dashboard.renderer import Html
from dmarcworks.dashboard.visit import UserVisit

PAGE = 100
RESULTS = {
    "pass": "that passed",
    "fail": "that failed",
    "quarantine": "that were quarantined",
    "reject": "that were rejected",
}
ORDERS = (
    "source_ip",
    "messages",
    "failed",
    "dkim_aligned",
    "spf_aligned",
    "quarantined",
    "rejected",
    "reporters",
    "last_day",
)

routes = APIRouter(route_class=PageRoute, include_in_schema=False)


@routes.get("/domains/{name}/sources")
async def sources(domain: OwnDomain, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """The addresses that send as the domain."""
    days, _ = await requested_period(deps, visit, domain)
    order = visit.query("order") if visit.query("order") in ORDERS else "messages"
    ascending = visit.query("dir", "asc" if order == "source_ip" else "desc") == "asc"
    result = visit.query("result") if visit.query("result") in RESULTS else None
    day = parse_day(visit.query("day"))
    first, last = (day, day) if day else (days.first, days.last)
    page = visit.number("page", 1, 1, 1_000_000)
    listing = await deps.questions.sources(
        domain.account_id,
        domain.id,
        first,
        last,
        limit=PAGE,
        offset=(page - 1) * PAGE,
        order=order,
        descending=not ascending,
        result=result,
    )
    # With a result the count is that of such messages; the verdict on an address is about all its messages.
    matching = {row.source_ip: row.messages for row in listing.rows}
    if result and listing.rows:
        whole = await deps.questions.sources(
            domain.account_id, domain.id, first, last, limit=PAGE, addresses=list(matching)
        )
        by_address = {row.source_ip: row for row in whole.rows}
        listing = SourcePage(tuple(by_address[address] for address in matching if address in by_address), listing.total)
    return await html.page(
        visit,
        "sources.html",
        matching=matching,
        domain=domain,
        period=days,
        day=day,
        result=result,
        results=RESULTS,
        listing=listing,
        page=page,
        pages=-(-listing.total // PAGE),
        order=order,
        ascending=ascending,
        scope=scope_of(days, day),
    )


@routes.get("/domains/{name}/records")
async def records(domain: OwnDomain, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """The reports' records, of one source or of all."""
    days, _ = await requested_period(deps, visit, domain)
    day = parse_day(visit.query("day"))
    source = visit.query("source")
    page = visit.number("page", 1, 1, 1_000_000)
    listing = await deps.questions.records(
        domain.account_id,
        domain_id=domain.id,
        source_ip=source or None,
        first=day or days.first,
        last=day or days.last,
        limit=PAGE,
        offset=(page - 1) * PAGE,
    )
    return await html.page(
        visit,
        "records.html",
        domain=domain,
        period=days,
        day=day,
        source=source,
        listing=listing,
        page=page,
        pages=-(-listing.total // PAGE),
        scope=scope_of(days, day),
    )
