"""`/domains/{name}`: is all well, four figures, the chart, the sources, the reports by day. And its lists of sources
and records.

`/live` is the same page's content again when something new came in, 204 when not: the page asks it and never reloads.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from dmarcworks.catalogue import setup_records
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.problems import OTHER
from dmarcworks.dashboard import charts, format
from dmarcworks.dashboard.pages.route import GET, Route
from dmarcworks.dashboard.period import STANDARD, Period, parse_day, period
from dmarcworks.dashboard.verdict import verdict
from dmarcworks.dashboard.web import Site, Visit, url
from dmarcworks.errors import NotFoundError

TOP_SOURCES = 10
# Notices that a report was too large to be sent, the newest.
NOTICES = 3
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
# What a page has seen: nothing yet, or the newest report's key, marked while its figures are on their way.
NOTHING, ON_ITS_WAY = "nothing", "-on-its-way"


async def find(site: Site, visit: Visit) -> Domain:
    """The domain of the address, if it is the visitor's."""
    name = visit.request.path_params["name"]
    domain = await site.deps.accounts.domain(visit.account_id, name)
    if domain is None:
        raise NotFoundError(f"There is no domain {name[:253]}, or it belongs to another account.")
    return domain


async def period_of(site: Site, visit: Visit, domain: Domain) -> tuple[Period, date | None]:
    """The period that the visitor asks for, and the newest day that a report is about."""
    newest = await site.deps.arrivals.newest_day(domain.account_id, domain.id)
    days = visit.number("days", STANDARD, 1, 1000)
    return period(days, parse_day(visit.query("until")), newest, site.deps.now().date()), newest


def routes(site: Site) -> list[Route]:
    """The pages of this module."""
    deps = site.deps

    async def overview(visit: Visit) -> Response:
        domain = await find(site, visit)
        values = await _overview(site, visit, domain, await _seen(site, domain))
        return await site.page(visit, "domain.html", **values)

    async def live(visit: Visit) -> Response:
        domain = await find(site, visit)
        seen = await _seen(site, domain)
        if seen == visit.query("seen"):
            return Response(status_code=204)
        values = await _overview(site, visit, domain, seen)
        return HTMLResponse(site.render(visit, "_domain.html", **values))

    async def setup(visit: Visit) -> Response:
        domain = await find(site, visit)
        return await site.page(
            visit, "setup.html", domain=domain, records=setup_records.records(domain.name, domain.rua, deps.hostname)
        )

    async def sources(visit: Visit) -> Response:
        domain = await find(site, visit)
        days, _ = await period_of(site, visit, domain)
        order = visit.query("order") if visit.query("order") in ORDERS else "messages"
        ascending = visit.query("dir", "asc" if order == "source_ip" else "desc") == "asc"
        result = visit.query("result") if visit.query("result") in RESULTS else None
        day = parse_day(visit.query("day"))
        first, last = (day, day) if day else (days.first, days.last)
        page = visit.number("page", 1, 1, 1_000_000)
        found = await deps.questions.sources(
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
        return await site.page(
            visit,
            "sources.html",
            domain=domain,
            period=days,
            day=day,
            result=result,
            results=RESULTS,
            found=found,
            page=page,
            pages=-(-found.total // PAGE),
            order=order,
            ascending=ascending,
            scope=_scope(days, day),
        )

    async def records(visit: Visit) -> Response:
        domain = await find(site, visit)
        days, _ = await period_of(site, visit, domain)
        day = parse_day(visit.query("day"))
        source = visit.query("source")
        page = visit.number("page", 1, 1, 1_000_000)
        found = await deps.questions.records(
            domain.account_id,
            domain_id=domain.id,
            source_ip=source or None,
            first=day or days.first,
            last=day or days.last,
            limit=PAGE,
            offset=(page - 1) * PAGE,
        )
        return await site.page(
            visit,
            "records.html",
            domain=domain,
            period=days,
            day=day,
            source=source,
            found=found,
            page=page,
            pages=-(-found.total // PAGE),
            scope=_scope(days, day),
        )

    return [
        ("/domains/{name}", GET, overview, False),
        ("/domains/{name}/live", GET, live, False),
        ("/domains/{name}/setup", GET, setup, False),
        ("/domains/{name}/sources", GET, sources, False),
        ("/domains/{name}/records", GET, records, False),
    ]


def _scope(days: Period, day: date | None = None) -> dict[str, Any]:
    """The query that keeps a link inside the period that is looked at."""
    scope: dict[str, Any] = {"days": None if days.days == STANDARD else days.days, "until": days.until}
    return scope | ({"day": day} if day else {})


async def _seen(site: Site, domain: Domain) -> str:
    """What changes when a report comes in, and again when its figures are there."""
    # Asked once a second by every page that waits: a domain without reports costs one look into its own index.
    if await site.deps.arrivals.last_report(domain.account_id, domain.id) is None:
        return NOTHING
    rows = await site.deps.arrivals.reports(domain.account_id, domain.id, limit=1)
    return f"{rows[0].key[:16]}{'' if rows[0].published else ON_ITS_WAY}" if rows else NOTHING


async def _overview(site: Site, visit: Visit, domain: Domain, seen: str) -> dict[str, Any]:
    deps, account = site.deps, domain.account_id
    records = setup_records.records(domain.name, domain.rua, deps.hostname)
    last_report = await deps.arrivals.last_report(account, domain.id)
    days, newest = await period_of(site, visit, domain)
    notices = await deps.problems.list(account, OTHER, NOTICES, reason="report_too_large", domain_id=domain.id)
    values: dict[str, Any] = {
        "domain": domain,
        "notices": notices,
        "records": records,
        "seen": seen,
        "soon": seen == NOTHING or seen.endswith(ON_ITS_WAY),
        "last_report": last_report,
        "period": days,
        "newest": newest,
        "scope": _scope(days),
        "days_asked": visit.number("days", STANDARD, 1, 1000),
        "until_asked": visit.query("until"),
    }
    if last_report is None:
        return values | {"state": "waiting"}
    if newest is None:
        return values | {"state": "uncounted"}
    before = days.before
    base = f"/domains/{domain.name}"
    now = await deps.questions.figures(account, domain.id, days.first, days.last)
    if not now.messages and seen.endswith(ON_ITS_WAY):
        return values | {"state": "counting"}
    then = await deps.questions.figures(account, domain.id, before.first, before.last)
    volumes = await deps.questions.volume_by_day(account, domain.id, days.first, days.last)
    earlier = await deps.questions.volume_by_day(account, domain.id, before.first, before.last)
    top = await deps.questions.sources(account, domain.id, days.first, days.last, limit=TOP_SOURCES)
    failing = await deps.questions.sources(account, domain.id, days.first, days.last, limit=1, result="fail")
    known = (len(volumes), len(earlier))
    long = await deps.arrivals.long_reports(account, domain.id, days.first, days.last)
    series = charts.bars(volumes, earlier, days.first, days.last, long)

    def link(day: date) -> str:
        return url(f"{base}/sources", **_scope(days, day))

    data = json.dumps(charts.chart_data(series, link))
    for sign, escaped in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        data = data.replace(sign, escaped)
    return values | {
        "state": "figures",
        "now_figures": now,
        "before_figures": then,
        "messages_change": format.change(now.messages, then.messages, known),
        "pass_change": format.points((now.passed, now.messages), (then.passed, then.messages)),
        "fail_change": format.change(now.failed, then.failed, known),
        "sources_change": format.change(now.sources, then.sources, known),
        "verdict": verdict(
            now,
            then,
            failing.rows[0] if failing.rows else None,
            newest if days.until is None or days.last == newest else None,
            deps.now().date(),
        ),
        "series": series,
        "chart": charts.chart_svg(series, link),
        "chart_data": Markup(data),  # noqa: S704  # JSON with <, > and & as \\u escapes: no markup can be in it
        "sources": top,
        "report_days": await deps.arrivals.days(account, domain.id, days.first, days.last),
        "reporters": await deps.questions.reporters(account, domain.id, days.first, days.last),
    }
