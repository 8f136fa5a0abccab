"""/activity: the outcome of each mail that reached the SMTP listener, line by line and summed up by step of time.

A token sees its account's lines, or those of the domains that it is limited to. A wrong parameter is 400 with its name.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from dmarcworks.api.rest.activity_models import ActivityOut, ActivityPage, ActivitySummary
from dmarcworks.api.rest.deps import Reader
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.tags import answer
from dmarcworks.catalogue.activity import OUTCOMES
from dmarcworks.catalogue.tables import storable
from dmarcworks.errors import NotFoundError, UsageError

routes = APIRouter(tags=["activity"], route_class=Route)

LONGEST = timedelta(days=366)
STEPS = 2000
_TEXT_LENGTH = 200
_INTEGER = 2**62

Moment = Annotated[str, Query(max_length=64, description="A time like 2026-11-24T13:00:00Z, or a UTC day.")]
OutcomeName = Annotated[str, Query(max_length=64, description=f"Only this outcome: {', '.join(OUTCOMES)}.")]
Text = Annotated[
    str,
    Query(description=f"Only with this in sender, recipient, peer, subject, Message-ID; {_TEXT_LENGTH} characters."),
]
Before = Annotated[int, Query(le=_INTEGER, ge=0, description="`next` of the page before; 0 for the first page.")]
Size = Annotated[int, Query(description="Lines of a page, 1 to 1,000.")]
Step = Annotated[int, Query(description=f"Seconds of a step, at least 60; at most {STEPS:,} steps.")]
LineId = Annotated[int, Path(description="The line's number.")]


@routes.get(
    "/activity",
    operation_id="list_activity",
    response_model=ActivityPage,
    responses={400: {}},
    summary="The activity log, newest first",
)
async def lines(
    request: Request,
    caller: Reader,
    since: Moment = "",
    until: Moment = "",
    outcome: OutcomeName = "",
    q: Text = "",
    before: Before = 0,
    limit: Size = 100,
) -> Response:
    """A line per mail and recipient that was known; some seconds late."""
    if outcome and outcome not in OUTCOMES:
        raise UsageError(f"outcome is one of {', '.join(OUTCOMES)}")
    if not 1 <= limit <= 1000:
        raise UsageError("limit is 1 to 1000")
    rows = await caller.deps.routing.activity.lines(
        caller.account_id,
        since=moment(since, "since"),
        until=moment(until, "until"),
        outcome=outcome,
        text=storable(q[:_TEXT_LENGTH]),
        domain_ids=caller.token.domains,
        before=before or None,
        limit=limit,
    )
    next_ = rows[-1].id if len(rows) == limit else None
    return answer(request, ActivityPage(activity=[ActivityOut.of(line) for line in rows], next=next_))


@routes.get(
    "/activity/summary",
    operation_id="sum_activity",
    response_model=ActivitySummary,
    responses={400: {}},
    summary="Mails by outcome over time",
)
async def summary(
    request: Request, caller: Reader, since: Moment = "", until: Moment = "", step: Step = 3600
) -> Response:
    """By default the last 24 hours by the hour; at most 366 days."""
    last = moment(until, "until") or datetime.now(UTC)
    first = moment(since, "since") or _day_before(last)
    if not timedelta() < last - first <= LONGEST:
        raise UsageError("since must be before until, by at most 366 days")
    if not 60 <= step <= 366 * 86_400 or (last - first).total_seconds() / step > STEPS:
        raise UsageError("step is seconds, at least 60, and gives at most 2,000 steps")
    buckets = await caller.deps.routing.activity.summary(
        caller.account_id, first, last, step, domain_ids=caller.token.domains
    )
    return answer(request, ActivitySummary.of(first, last, step, buckets))


@routes.get(
    "/activity/{line_id}",
    operation_id="get_activity",
    response_model=ActivityOut,
    responses={404: {}},
    summary="One line of the activity log",
)
async def one(request: Request, caller: Reader, line_id: LineId) -> Response:
    """A mail, for one recipient."""
    number = max(0, min(line_id, _INTEGER))
    line = await caller.deps.routing.activity.line(caller.account_id, number, caller.token.domains)
    if line is None:
        raise NotFoundError("there is no such line in the activity log")
    return answer(request, ActivityOut.of(line))


def moment(text: str, name: str) -> datetime | None:
    """A time written 2026-11-24T13:00:00Z or 2026-11-24, in UTC; `UsageError` for anything else."""
    if not text:
        return None
    try:
        read = datetime.fromisoformat(text)
        return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    # The calendar ends at the years 1 and 9999.
    except (ValueError, OverflowError):
        raise UsageError(f"{name} is a time like 2026-11-24T13:00:00Z") from None


def _day_before(moment: datetime) -> datetime:
    try:
        return moment - timedelta(days=1)
    except OverflowError:
        raise UsageError("until is later than the second day of the calendar") from None
