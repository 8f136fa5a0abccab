"""`/domains/{name}/policy`: the policy in force, the next step with its conditions, and the replay of any policy.

The replay is a plain form whose fields are the tags. `/policy/csv` returns the same replay as a file, and
`/policy/changes` shows the changes of records to publish.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from dmarcworks.api.deps import Dependencies
from dmarcworks.api.rest.download import HEADERS
from dmarcworks.api.rest.policy_csv import replay_csv
from dmarcworks.dashboard.links import url
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.pages.domain import OwnDomain, requested_period, scope_of
from dmarcworks.dashboard.renderer import Html
from dmarcworks.dashboard.sender_words import fix_pieces
from dmarcworks.dashboard.visit import UserVisit, Visit
from dmarcworks.errors import BusyError, UsageError
from dmarcworks.policy.planner import PlanRequest
from dmarcworks.policy.tags import LEVELS, DomainPolicy, parse_policy

# Rows of each table; the file has all of them.
LISTED = 50
_MODES = {"r": "r: same organisation", "s": "s: same name"}

routes = APIRouter(route_class=PageRoute, include_in_schema=False)


@routes.get("/domains/{name}/policy")
async def policy(domain: OwnDomain, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """The plan of the domain, and what a policy would have done to its mail."""
    days, newest = await requested_period(deps, visit, domain)
    values: dict[str, Any] = {"advice": None, "conditions": (), "replayed": None, "wrong": ""}
    wanted: DomainPolicy | None = None
    if newest is not None:
        try:
            wanted = _wanted(visit)
        except UsageError as error:
            values["wrong"] = str(error)
        today, sources = deps.now().date(), 0 if values["wrong"] else LISTED
        study = await deps.policies.study(domain, days.first, days.last, today, sources=sources, wanted=wanted)
        advice, values["replayed"] = study.advice, study.replayed
        wanted = wanted or advice.next or (advice.in_force.policy if advice.in_force else DomainPolicy())
        values["advice"] = advice
        values["conditions"] = [(one, fix_pieces(one.message, domain.name)) for one in advice.because]
    scope = scope_of(days)
    return await html.page(
        visit,
        "policy.html",
        domain=domain,
        period=days,
        scope=scope,
        typed=_typed(visit, wanted or DomainPolicy()),
        levels={name: name for name in LEVELS},
        modes=_MODES,
        listed=LISTED,
        csv=url(f"/domains/{domain.name}/policy/csv", **_tags(wanted), **scope) if wanted else "",
        **values,
    )


# What a change is about, by its code.
TITLES = {
    "dmarc-first": "First DMARC record",
    "dmarc-repair": "Corrected DMARC record",
    "dmarc-rua": "Reports to this system",
    "policy-step": "Next step of the policy",
    "policy-relax": "Weaker policy",
    "spf-prune": "SPF without unused terms",
    "parked": "Parked domain",
}


@routes.get("/domains/{name}/policy/changes")
async def changes(domain: OwnDomain, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """The changes of records that are proposed. A page of its own, since DNS may take its time."""
    days, _ = await requested_period(deps, visit, domain)
    parked = visit.query("parked") == "1"
    plan, wrong = None, ""
    try:
        plan = await deps.planner.plan(PlanRequest(domain, days.first, days.last, deps.now().date(), parked=parked))
    except BusyError as error:
        wrong = f"The changes are not known yet: {error}."
    return await html.page(
        visit,
        "policy_changes.html",
        domain=domain,
        period=days,
        scope=scope_of(days),
        plan=plan,
        wrong=wrong,
        parked=parked,
        titles=TITLES,
    )


@routes.get("/domains/{name}/policy/csv")
async def policy_csv(domain: OwnDomain, visit: UserVisit, deps: Dependencies) -> Response:
    """The replay as a file."""
    wanted = _wanted(visit)
    if wanted is None:
        raise UsageError("the policy has no tag p; choose one on the policy page")
    days, _ = await requested_period(deps, visit, domain)
    replayed = await deps.policies.replay(domain, days.first, days.last, wanted)
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="policy-{domain.name}.csv"'}
    return Response(replay_csv(replayed), headers=headers, media_type="text/csv; charset=utf-8; header=present")


_FIELDS = ("p", "sp", "np", "adkim", "aspf", "t", "pct")


def _wanted(visit: Visit) -> DomainPolicy | None:
    """The policy of the form; None when it was not sent."""
    given = {name: visit.query(name).strip() for name in _FIELDS}
    if not any(given.values()):
        return None
    return parse_policy(",".join(f"{name}={value}" for name, value in given.items() if value))


def _typed(visit: Visit, policy: DomainPolicy) -> dict[str, str]:
    """What the form's fields show: what was sent, else the policy."""
    given = {name: visit.query(name).strip() for name in _FIELDS}
    return given if any(given.values()) else dict.fromkeys(_FIELDS, "") | dict(_pairs(policy))


def _tags(policy: DomainPolicy) -> dict[str, str]:
    return dict(_pairs(policy))


def _pairs(policy: DomainPolicy) -> Iterator[tuple[str, str]]:
    for piece in policy.text.split(","):
        name, _, value = piece.partition("=")
        yield name, value
