"""`/domains/{name}`: is all well, four figures, the chart, the sources, the reports by day.

`/live` returns the page's content when something new came in, else 204; the page polls it and never reloads.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from dmarcworks.analytics.questions.all import Figures
from dmarcworks.api.deps import Dependencies, Deps
from dmarcworks.catalogue import setup_records
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.problems import OTHER
from dmarcworks.dashboard import charts, format
from dmarcworks.dashboard.links import url
from dmarcworks.dashboard.other_kinds import other_kinds
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.period import STANDARD, Period, period
from dmarcworks.dashboard.renderer import Html
from dmarcworks.dashboard.sender_bars import sender_bars
from dmarcworks.dashboard.sender_words import failing_of
from dmarcworks.dashboard.sql_result import script_json
from dmarcworks.dashboard.verdict import verdict
from dmarcworks.dashboard.visit import UserVisit, Visit
from dmarcworks.errors import NotFoundError
from dmarcworks.policy.setup.reader import record_tags_of
from dmarcworks.reports.model import FailureReport, TlsReport

TOP_SENDERS = 10
# Notices that a report was too large to be sent, the newest.
NOTICES = 3
OTHER_KINDS = (TlsReport.kind, FailureReport.kind)
# What a page has seen: nothing yet, with the time of the newest look at DNS; or the newest report's key, marked until
# its figures are published.
NOTHING, UNPUBLISHED = "nothing", "-on-its-way"


routes = APIRouter(route_class=PageRoute, include_in_schema=False)


async def _own_domain(name: str, visit: UserVisit, deps: Dependencies) -> Domain:
    domain = await deps.accounts.domain(visit.account_id, name)
    if domain is None:
        raise NotFoundError(f"There is no domain {name[:253]}, or it belongs to another account.")
    return domain


OwnDomain = Annotated[Domain, Depends(_own_domain)]
"""The domain in the path, when it is the visitor's."""


@routes.get("/domains/{name}")
async def overview(domain: OwnDomain, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """How the domain is doing."""
    values = await _overview(deps, visit, domain, await _seen(deps, domain))
    return await html.page(visit, "domain.html", **values)


@routes.get("/domains/{name}/live")
async def live(domain: OwnDomain, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """The content of its page again when something is new, else 204."""
    seen = await _seen(deps, domain)
    if seen == visit.query("seen"):
        return Response(status_code=204)
    values = await _overview(deps, visit, domain, seen)
    return HTMLResponse(html.render(visit, "_domain.html", **values))


async def records_of(deps: Deps, domain: Domain, newest: date | None) -> dict[str, Any]:
    """The set-up with the records to publish, which keep the policy in force: publishing them does not weaken it."""
    return {
        "setup": await deps.setups.of(domain),
        "setup_checks": deps.setup_checks,
        "policy_tags": record_tags_of(await deps.setups.in_force(domain, newest) if newest else None),
        "ruf": setup_records.failure_tag(domain.rua),
        "earlier_records": setup_records.earlier_records(domain.rua, domain.earlier),
    }


def scope_of(days: Period, day: date | None = None) -> dict[str, Any]:
    """The query that keeps a link inside the selected period."""
    scope: dict[str, Any] = {"days": None if days.days == STANDARD else days.days, "until": days.until}
    return scope | ({"day": day} if day else {})


async def _seen(deps: Deps, domain: Domain) -> str:
    """What changes when a report comes in, and again when its figures are there."""
    # Every page that waits polls this once a second: a domain without reports costs two index look-ups.
    if await deps.arrivals.last_report(domain.account_id, domain.id) is None:
        checked, _ = await deps.setups.checked(domain)
        return NOTHING if checked is None else f"{NOTHING}-{checked:%Y%m%d%H%M%S%f}"
    rows = await deps.arrivals.reports(domain.account_id, domain.id, limit=1)
    return f"{rows[0].key[:16]}{'' if rows[0].published else UNPUBLISHED}" if rows else NOTHING


async def requested_period(deps: Deps, visit: Visit, domain: Domain) -> tuple[Period, date | None]:
    """The period that the visitor requests, and the newest day that a report is about."""
    newest = await deps.arrivals.newest_day(domain.account_id, domain.id)
    if newest is None:
        # Without aggregate reports the other kinds decide what there is to see.
        others = await deps.arrivals.newest_day(domain.account_id, domain.id, OTHER_KINDS)
        return period(visit.query, others, deps.now().date()), None
    return period(visit.query, newest, deps.now().date()), newest


async def _overview(deps: Deps, visit: Visit, domain: Domain, seen: str) -> dict[str, Any]:
    account = domain.account_id
    last_report = await deps.arrivals.last_report(account, domain.id)
    days, newest = await requested_period(deps, visit, domain)
    notices = await deps.problems.list(account, OTHER, NOTICES, reason="report_too_large", domain_id=domain.id)
    values: dict[str, Any] = {
        "domain": domain,
        "notices": notices,
        "seen": seen,
        "soon": seen.startswith(NOTHING) or seen.endswith(UNPUBLISHED),
        "last_report": last_report,
        "period": days,
        "newest": newest,
        "scope": scope_of(days),
        "asked": {name: visit.query(name) for name in ("days", "first", "last", "until")},
        "standard": STANDARD,
    }
    if last_report is None:
        return values | {"state": "waiting"} | await records_of(deps, domain, newest)
    values["others"] = await other_kinds(deps.questions, domain.account_id, domain.id, days.first, days.last)
    if newest is None:
        state = "others" if await _any_others(deps, domain) else "uncounted"
        return values | {"state": state} | await records_of(deps, domain, newest)
    current = await deps.questions.figures(domain.account_id, domain.id, days.first, days.last)
    if not current.messages and seen.endswith(UNPUBLISHED):
        return values | {"state": "counting"}
    return values | await _figures(deps, domain, days, newest, current)


async def _any_others(deps: Deps, domain: Domain) -> bool:
    return await deps.arrivals.newest_day(domain.account_id, domain.id, OTHER_KINDS) is not None


async def _figures(deps: Deps, domain: Domain, days: Period, newest: date, current: Figures) -> dict[str, Any]:
    """The figures of the period and of the one before, and the verdict on them."""
    account, before, comparable = domain.account_id, days.before, days.compared(newest)
    previous = await deps.questions.figures(account, domain.id, comparable.first, comparable.last)
    volumes = await deps.questions.volume_by_day(account, domain.id, days.first, days.last)
    earlier = await deps.questions.volume_by_day(account, domain.id, before.first, before.last)
    senders = await deps.sender_directory.of_domain(domain, days.first, days.last)
    top = sorted(senders.rows, key=lambda row: (-row.group.messages, row.id))[:TOP_SENDERS]
    force = await deps.policies.in_force(domain, newest, newest)
    days_with_reports = (len(volumes), len(earlier))
    long = await deps.arrivals.long_reports(account, domain.id, days.first, days.last)
    return {
        "state": "figures",
        "now_figures": current,
        "before_figures": previous,
        "messages_change": format.change(current.messages, previous.messages, days_with_reports),
        "pass_change": format.points((current.passed, current.messages), (previous.passed, previous.messages)),
        "fail_change": format.change(current.failed, previous.failed, days_with_reports),
        "sources_change": format.change(current.sources, previous.sources, days_with_reports),
        "verdict": verdict(
            current,
            previous,
            failing_of(senders, max(volumes, key=lambda volume: volume.failed) if volumes else None),
            newest if days.until is None or days.moved else None,
            deps.now().date(),
            force.policy if force else None,
        ),
        **_chart(domain, days, charts.bars(volumes, earlier, days.first, days.last, long)),
        "senders": senders,
        "rows": top,
        "bars": await sender_bars(deps, domain, days, top),
        "report_days": await deps.arrivals.days(account, domain.id, days.first, days.last),
        "reporters": await deps.questions.reporters(account, domain.id, days.first, days.last),
    }


def _chart(domain: Domain, days: Period, series: Sequence[charts.DayBar]) -> dict[str, Any]:
    """The chart as a picture and as data for the browser; each bar links to the sources of its day."""

    def link(day: date) -> str:
        return url(f"/domains/{domain.name}/sources", **scope_of(days, day))

    data = script_json(charts.chart_data(series, link))
    return {
        "series": series,
        "chart": charts.chart_svg(series, link),
        "chart_data": Markup(data),  # noqa: S704 - JSON with <, > and & as \\u escapes: no markup can be in it
    }
