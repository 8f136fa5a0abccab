"""`/`: the account's domains with volume, pass rate and problems, and the form that adds one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from dmarcworks.analytics.questions import DomainVolume
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.dashboard import charts, format
from dmarcworks.dashboard.pages.route import GET, POST, Route
from dmarcworks.dashboard.period import STANDARD, period
from dmarcworks.dashboard.web import Site, Visit
from dmarcworks.errors import ConflictError, UsageError

PAGE = 100
# Problems are counted per domain among the newest so many; an account with more reads "or more".
PROBLEMS = 1000
ORDERS = ("name", "messages", "pass")


@dataclass(frozen=True, slots=True)
class Line:
    """A domain's line in the list."""

    domain: Domain
    volume: DomainVolume | None
    last: datetime | None
    problems: int
    spark: Markup


def routes(site: Site) -> list[Route]:
    """The pages of this module."""
    deps = site.deps

    async def show(visit: Visit, status: int = 200, wrong: str = "", typed: str = "") -> Response:
        account = visit.account_id
        days = period(STANDARD, None, None, deps.now().date())
        every = await deps.accounts.domains(account)
        wanted = visit.query("q").strip().lower()
        found = [domain for domain in every if wanted in domain.name]
        volumes = await deps.questions.domains(account, days.first, days.last) if found else {}
        order = visit.query("order") if visit.query("order") in ORDERS else "messages"
        ascending = visit.query("dir", "asc" if order == "name" else "desc") == "asc"
        found.sort(key=lambda domain: _key(order, domain, volumes.get(domain.id)), reverse=not ascending)
        page = visit.number("page", 1, 1, max(1, -(-len(found) // PAGE)))
        open_problems = await deps.problems.list(account, limit=PROBLEMS)
        counts = Counter(problem.domain_id for problem in open_problems)
        lines = []
        for domain in found[(page - 1) * PAGE : page * PAGE]:
            volume = volumes.get(domain.id)
            last = await deps.arrivals.last_report(account, domain.id)
            label = f"Messages per day, {format.day(days.first)} to {format.day(days.last)}"
            spark = charts.sparkline(volume.daily, days.first, days.last, label) if volume else Markup("")
            lines.append(Line(domain, volume, last, counts[domain.id], spark))
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
            more=len(open_problems) == PROBLEMS,
            wrong=wrong,
            typed=typed,
        )

    async def add(visit: Visit) -> Response:
        name = visit.form.get("name", "").strip()[:300]
        account = await deps.accounts.account(visit.account_id)
        if account is None:
            raise UsageError("the account of this login is gone")
        try:
            domain = await deps.accounts.add_domain(name, account.name)
        except UsageError as error:
            return await show(visit, 400, f"{error}.", name)
        except ConflictError:
            # Whose it is stays unsaid: it may be another account's.
            return await show(visit, 409, f"{name} is there already.", name)
        return RedirectResponse(f"/domains/{domain.name}", 303)

    async def index(visit: Visit) -> Response:
        return await show(visit)

    return [("/", GET, index, False), ("/domains", POST, add, False)]


def _key(order: str, domain: Domain, volume: DomainVolume | None) -> tuple[float, float, str]:
    if order == "name":
        return (0.0, 0.0, domain.name)
    if volume is None:
        return (-1.0, 0.0, domain.name)
    if order == "pass":
        return (volume.passed / volume.messages if volume.messages else -1.0, float(volume.messages), domain.name)
    return (float(volume.messages), 0.0, domain.name)
