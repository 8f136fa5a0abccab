"""`/`: the account's domains with volume, pass rate and problems, and the form that adds one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from fastapi import APIRouter
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from dmarcworks.analytics.period import STANDARD, last_days
from dmarcworks.analytics.questions.all import DomainVolume
from dmarcworks.api.deps import Dependencies, Deps
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.dashboard import charts, format
from dmarcworks.dashboard.other_kinds import DomainSums, sums_by_domain
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.renderer import Html, Renderer
from dmarcworks.dashboard.visit import UserVisit, Visit
from dmarcworks.errors import ConflictError, UsageError

PAGE = 100
ORDERS = ("name", "messages", "pass")


@dataclass(frozen=True, slots=True)
class Window:
    """A domain's figures of the very days that its own page shows."""

    messages: int
    passed: int
    spark: Markup


@dataclass(frozen=True, slots=True)
class DomainLine:
    """A domain's line in the list."""

    domain: Domain
    volume: Window | None
    last: datetime | None
    problems: int
    others: DomainSums


routes = APIRouter(route_class=PageRoute, include_in_schema=False)


@routes.get("/")
async def index(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """The account's domains."""
    return await _page(html, deps, visit)


@routes.post("/domains")
async def add(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """Add a domain."""
    name = visit.form.get("name", "").strip()[:300]
    account = await deps.accounts.account(visit.account_id)
    if account is None:
        raise UsageError("the account of this login no longer exists")
    try:
        domain = await deps.accounts.add_domain(name, account.name)
    except UsageError as error:
        return await _page(html, deps, visit, 400, f"{error}.", name)
    except ConflictError as error:
        return await _page(html, deps, visit, 409, f"{error}.", name, claim=deps.claims.enabled)
    return RedirectResponse(f"/domains/{domain.name}", 303)


async def _page(
    html: Renderer,
    deps: Deps,
    visit: Visit,
    status: int = 200,
    wrong: str = "",
    typed: str = "",
    *,
    claim: bool = False,
) -> Response:
    account = visit.account_id
    every = await deps.accounts.domains(account)
    wanted = visit.query("q").strip().lower()
    matching = [domain for domain in every if wanted in domain.name]
    windows = await _windows(deps, account, deps.now().date()) if every else {}
    # Figures of a domain that was removed stay in the store, and out of this page.
    volumes = {domain.id: windows[domain.id] for domain in every if domain.id in windows}
    order = visit.query("order") if visit.query("order") in ORDERS else "messages"
    ascending = visit.query("dir", "asc" if order == "name" else "desc") == "asc"
    _sort(matching, volumes, order, ascending=ascending)
    page, pages = visit.number("page", 1, 1, max(1, -(-len(matching) // PAGE))), -(-len(matching) // PAGE)
    return await html.page(
        visit,
        "domains.html",
        status,
        lines=await _lines(deps, account, matching[(page - 1) * PAGE : page * PAGE], volumes),
        total=len(matching),
        every=len(every),
        messages=sum(volume.messages for volume in volumes.values()),
        passed=sum(volume.passed for volume in volumes.values()),
        page=page,
        pages=pages,
        order=order,
        ascending=ascending,
        q=visit.query("q"),
        wrong=wrong,
        typed=typed,
        claim=claim,
        claims=await deps.claims.list(account),
        notices=await deps.notices.list(account),
        unproven=sum(domain.proven is None for domain in every),
        span=last_days(STANDARD, deps.now().date()),
    )


def _sort(domains: list[Domain], volumes: dict[str, Window], order: str, *, ascending: bool) -> None:
    """Domains with equal figures are sorted by name; a domain without figures is last in either direction."""
    if order == "name":
        domains.sort(key=lambda domain: domain.name, reverse=not ascending)
        return
    sign = 1 if ascending else -1
    domains.sort(key=lambda domain: (domain.id not in volumes, sign * _rank(order, volumes.get(domain.id))))


async def _lines(deps: Deps, account: str, domains: list[Domain], volumes: dict[str, Window]) -> list[DomainLine]:
    counts = await deps.problems.counts(account)
    last = await deps.arrivals.last_reports(account, [domain.id for domain in domains])
    others = await sums_by_domain(deps.questions, account, *last_days(STANDARD, deps.now().date()))
    return [
        DomainLine(
            item, volumes.get(item.id), last.get(item.id), counts.get(item.id, 0), others.get(item.id, DomainSums())
        )
        for item in domains
    ]


async def _windows(deps: Deps, account: str, today: date) -> dict[str, Window]:
    """By domain id; a domain whose reports are all older is absent."""
    first, last = last_days(STANDARD, today)
    volumes = await deps.questions.domains(account, first, last)
    return {domain_id: _window(volume, first, last) for domain_id, volume in volumes.items()}


def _window(volume: DomainVolume, first: date, last: date) -> Window:
    label = f"Messages per day, {format.day(first)} to {format.day(last)}"
    return Window(volume.messages, volume.passed, charts.sparkline(volume.daily, first, last, label))


def _rank(order: str, volume: Window | None) -> float:
    if volume is None:
        return 0.0
    if order == "pass":
        return volume.passed / volume.messages if volume.messages else 0.0
    return float(volume.messages)
