"""`/`: the account's domains with volume, pass rate and problems, and the form that adds one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from dmarcworks.analytics.questions.all import DomainVolume
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.dashboard import charts, format
from dmarcworks.dashboard.pages.route import GET, POST, Route
from dmarcworks.dashboard.period import STANDARD, USUAL_DELAY, period
from dmarcworks.dashboard.web import Site, Visit
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


def routes(site: Site) -> list[Route]:
    """The pages of this module."""
    deps = site.deps

    async def show(visit: Visit, status: int = 200, wrong: str = "", typed: str = "") -> Response:
        account = visit.account_id
        today = deps.now().date()
        every = await deps.accounts.domains(account)
        wanted = visit.query("q").strip().lower()
        found = [domain for domain in every if wanted in domain.name]
        windows = await _windows(site, account, today) if every else {}
        # Figures of a domain that was removed stay in the store, and out of this page.
        volumes = {domain.id: windows[domain.id] for domain in every if domain.id in windows}
        order = visit.query("order") if visit.query("order") in ORDERS else "messages"
        ascending = visit.query("dir", "asc" if order == "name" else "desc") == "asc"
        # Names ascend among equals; what is not known yet stands last, whichever way the rest goes.
        sign = 1 if ascending else -1
        if order == "name":
            found.sort(key=lambda domain: domain.name, reverse=not ascending)
        else:
            found.sort(key=lambda domain: (domain.id not in volumes, sign * _rank(order, volumes.get(domain.id))))
        page = visit.number("page", 1, 1, max(1, -(-len(found) // PAGE)))
        counts = await deps.problems.counts(account)
        shown = found[(page - 1) * PAGE : page * PAGE]
        last = await deps.arrivals.last_reports(account, [domain.id for domain in shown])
        lines = [DomainLine(item, volumes.get(item.id), last.get(item.id), counts.get(item.id, 0)) for item in shown]
        return await site.page(
            visit,
            "domains.html",
            status,
            lines=lines,
            total=len(found),
            every=len(every),
            messages=sum(volume.messages for volume in volumes.values()),
            passed=sum(volume.passed for volume in volumes.values()),
            page=page,
            pages=-(-len(found) // PAGE),
            order=order,
            ascending=ascending,
            q=visit.query("q"),
            wrong=wrong,
            typed=typed,
        )

    async def add(visit: Visit) -> Response:
        name = visit.form.get("name", "").strip()[:300]
        account = await deps.accounts.account(visit.account_id)
        if account is None:
            raise UsageError("the account of this login no longer exists")
        try:
            domain = await deps.accounts.add_domain(name, account.name)
        except UsageError as error:
            return await show(visit, 400, f"{error}.", name)
        except ConflictError as error:
            return await show(visit, 409, f"{error}.", name)
        return RedirectResponse(f"/domains/{domain.name}", 303)

    async def index(visit: Visit) -> Response:
        return await show(visit)

    return [("/", GET, index, False), ("/domains", POST, add, False)]


async def _windows(site: Site, account: str, today: date) -> dict[str, Window]:
    """By domain id; a domain whose reports are all older is absent."""
    asked = await site.deps.questions.domains(
        account, today - timedelta(days=STANDARD + USUAL_DELAY), today + timedelta(days=1)
    )
    return {domain_id: window for domain_id, volume in asked.items() if (window := _window(volume, today))}


def _window(volume: DomainVolume, today: date) -> Window | None:
    days = period(STANDARD, None, volume.last_day, today)
    if days.until is not None:
        return None
    daily = [one for one in volume.daily if days.first <= one[0] <= days.last]
    label = f"Messages per day, {format.day(days.first)} to {format.day(days.last)}"
    return Window(
        messages=sum(messages for _, messages, _ in daily),
        passed=sum(passed for _, _, passed in daily),
        spark=charts.sparkline(daily, days.first, days.last, label),
    )


def _rank(order: str, volume: Window | None) -> float:
    if volume is None:
        return 0.0
    if order == "pass":
        return volume.passed / volume.messages if volume.messages else 0.0
    return float(volume.messages)
