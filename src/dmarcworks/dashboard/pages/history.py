"""`/domains/{name}/history`: what stopped and why, what changed in DNS above the chart, and what reporters saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from functools import partial

from fastapi import APIRouter
from starlette.responses import Response

from dmarcworks.api.deps import Dependencies
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.dns_schedule import CheckPart
from dmarcworks.dashboard import charts
from dmarcworks.dashboard.links import url
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.pages.domain import OwnDomain, requested_period, scope_of
from dmarcworks.dashboard.period import Period
from dmarcworks.dashboard.record_words import record_kind
from dmarcworks.dashboard.renderer import Html
from dmarcworks.dashboard.visit import UserVisit
from dmarcworks.policy.history import RecordEvent

# Changes and reporters on the page; REST and the command list all.
LISTED = 100

routes = APIRouter(route_class=PageRoute, include_in_schema=False)


@routes.get("/domains/{name}/history")
async def history(domain: OwnDomain, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """The history of the domain's records in a period that ends today or with the newest report, if that is later."""
    days, newest = await requested_period(deps, visit, domain)
    today = deps.now().date()
    # A record may have changed after the newest report: without a wish the period ends today.
    last = days.last if visit.query("last") or visit.query("until") else max(days.last, today)
    past = await deps.records.history(domain, days.first, last)
    volumes = await deps.questions.volume_by_day(domain.account_id, domain.id, days.first, last)
    series = charts.bars(volumes, (), days.first, last)
    status = await deps.dns_schedule.status(domain.account_id, domain.id)
    return await html.page(
        visit,
        "history.html",
        domain=domain,
        period=days,
        last=last,
        newest=newest,
        past=past,
        events=[event for event in past.events if not event.first][:LISTED],
        first_seen=first_seen(past.events),
        listed=LISTED,
        seen=past.seen[:LISTED],
        reporters=list(past.reporters.items())[:LISTED],
        silence=await deps.records.silence(domain, today),
        chart=charts.chart_svg(series, partial(_link, domain, days), _marks(past.events)) if volumes else "",
        record_kind=record_kind,
        checked=status[CheckPart.dmarc].checked if CheckPart.dmarc in status else None,
        scope=scope_of(days),
    )


def first_seen(events: Sequence[RecordEvent]) -> list[tuple[date, str]]:
    """The days on which records were seen for the first time, the newest first, each with how many of which kind."""
    days: dict[date, Counter[str]] = {}
    for event in reversed(events):
        if event.first:
            days.setdefault(event.at.date(), Counter())[record_kind(event.kind)] += 1
    return [
        (day, ", ".join(_counted(kind, count) for kind, count in kinds.items()))
        for day, kinds in reversed(days.items())
    ]


def _counted(kind: str, count: int) -> str:
    return kind if count == 1 else f"{kind} ({count})"


def _marks(events: Sequence[RecordEvent]) -> dict[date, str]:
    """The days with changes, each with what changed; a first sight is no change."""
    marks: dict[date, list[str]] = {}
    for event in reversed(events):
        if not event.first:
            marks.setdefault(event.at.date(), []).append(f"{record_kind(event.kind)} {event.what}")
    return {day: ", ".join(dict.fromkeys(words)) for day, words in marks.items()}


def _link(domain: Domain, days: Period, day: date) -> str:
    return url(f"/domains/{domain.name}/sources", **scope_of(days, day))
