"""`/domains/{name}/senders` and `/domains/{name}/senders/{sender}`: who sends as a domain, and one of them in detail.

A decision is a form of the sender's page. It records what the owner knows; it changes no DNS and authorises no address.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from dmarcworks.analytics.questions.all import DayVolume, SenderDay
from dmarcworks.analytics.sender_directory import DomainSender
from dmarcworks.analytics.sender_key import SenderKey
from dmarcworks.api.deps import Dependencies, Deps
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.senders import OwnerDecision
from dmarcworks.dashboard import charts
from dmarcworks.dashboard.links import sender_path, url
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.pages.domain import OwnDomain, requested_period, scope_of
from dmarcworks.dashboard.period import Period
from dmarcworks.dashboard.renderer import Html
from dmarcworks.dashboard.sender_bars import sender_bars
from dmarcworks.dashboard.sender_words import CLASSES, DECISIONS, fix_pieces, senders_verdict
from dmarcworks.dashboard.visit import UserVisit
from dmarcworks.enrich.network.credits import credits_of
from dmarcworks.enrich.senders.classify import SenderClass
from dmarcworks.errors import NotFoundError, UsageError

PAGE = 50
ADDRESSES = 20

routes = APIRouter(route_class=PageRoute, include_in_schema=False)


@routes.get("/domains/{name}/senders")
async def senders(domain: OwnDomain, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """Who sends as the domain: those that need a decision first, each part by volume."""
    days, _ = await requested_period(deps, visit, domain)
    listed = await deps.sender_directory.of_domain(domain, days.first, days.last)
    shown = visit.query("class") if visit.query("class") in tuple(SenderClass) else ""
    rows = [row for row in listed.rows if not shown or row.sender_class == shown]
    page = visit.number("page", 1, 1, 1_000_000)
    part = rows[(page - 1) * PAGE : page * PAGE]
    return await html.page(
        visit,
        "senders.html",
        domain=domain,
        period=days,
        listed=listed,
        totals=await deps.questions.figures(domain.account_id, domain.id, days.first, days.last),
        verdict=senders_verdict(domain.name, listed),
        shown=shown,
        classes={name: words for name, (words, _) in CLASSES.items()},
        rows=part,
        total=len(rows),
        bars=await sender_bars(deps, domain, days, part),
        page=page,
        pages=-(-len(rows) // PAGE),
        scope=scope_of(days),
    )


@routes.get("/domains/{name}/senders/{sender}")
async def sender(sender: str, domain: OwnDomain, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """One sender: its name and why, the fix, figures, addresses, selectors, pairs, reporters and failure reports."""
    days, _ = await requested_period(deps, visit, domain)
    row = await _sender(deps, domain, days, sender)
    key, rows = row.group.key, await deps.sender_directory.rows(domain, days.first, days.last)
    totals = await deps.questions.figures(domain.account_id, domain.id, days.first, days.last)
    page = visit.number("page", 1, 1, 1_000_000)
    listed = await deps.questions.sender_addresses(rows, key, limit=ADDRESSES, offset=(page - 1) * ADDRESSES)
    series = _series((await deps.sender_directory.days(domain, days.first, days.last, [key]))[key], days)
    fix = row.classification.fix
    return await html.page(
        visit,
        "sender.html",
        domain=domain,
        period=days,
        row=row,
        totals=totals,
        fix=fix_pieces(fix, domain.name) if fix else (),
        decisions=DECISIONS,
        series=series,
        chart=charts.chart_svg(series, partial(_records_link, domain, days)),
        addresses=listed,
        credits=credits_of(one.ip_data for one in listed.rows),
        page=page,
        pages=-(-listed.total // ADDRESSES),
        selectors=await deps.questions.sender_selectors(rows, key, limit=20),
        pairs=await deps.questions.sender_pairs(rows, key, limit=20),
        reporters=await deps.questions.sender_reporters(rows, key, limit=20),
        failures=await deps.questions.sender_failures(rows, key),
        scope=scope_of(days),
        here=sender_path(domain.name, row.id),
    )


@routes.post("/domains/{name}/senders/{sender}/decision")
async def decide(sender: str, domain: OwnDomain, visit: UserVisit, deps: Dependencies) -> Response:
    """Record or withdraw the owner's decision, and show the sender again."""
    days, _ = await requested_period(deps, visit, domain)
    row = await _sender(deps, domain, days, sender)
    decision = visit.form.get("decision", "")
    if decision == "none":
        if row.decision is not None:
            await deps.senders.withdraw(domain, row.decision.sender)
    elif decision in tuple(OwnerDecision):
        name, note = visit.form.get("name", ""), visit.form.get("note", "")
        await deps.senders.decide(domain, row.id, OwnerDecision(decision), name=name, note=note)
    else:
        raise UsageError("Choose a decision: mine, not mine, forwarder or ignore.")
    return RedirectResponse(url(sender_path(domain.name, row.id), **scope_of(days)), 303)


async def _sender(deps: Deps, domain: Domain, days: Period, sender: str) -> DomainSender:
    row = await deps.sender_directory.one(domain, days.first, days.last, SenderKey.parse(sender))
    if row is None:
        raise NotFoundError(f"No report about {domain.name} in these days shows this sender.")
    return row


def _series(daily: Sequence[SenderDay], days: Period) -> tuple[charts.DayBar, ...]:
    volumes = [DayVolume(one.day, one.messages, one.passed, one.failed, 0, 0, 0) for one in daily]
    return charts.bars(volumes, (), days.first, days.last)


def _records_link(domain: Domain, days: Period, day: date) -> str:
    return url(f"/domains/{domain.name}/records", **scope_of(days, day))
