"""`/api/v1/activity`: the activity log and its summary as JSON, for the token's own account
or the domains that it is limited to.

`GET /api/v1/activity` lists lines, newest first; `GET /api/v1/activity/summary` counts mails by outcome per step;
`GET /api/v1/activity/{id}` is one line. Times are ISO 8601, UTC. A wrong parameter is 400 with its name.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request

from dmarcworks.api import auth
from dmarcworks.catalogue.accounts import Accounts
from dmarcworks.catalogue.activity import OUTCOMES, Activity, Line
from dmarcworks.errors import NotFoundError, UsageError

LONGEST = timedelta(days=366)


def router(activity: Activity, accounts: Accounts) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api/v1/activity", tags=["activity"])

    @routes.get("", summary="The activity log, newest first")
    async def lines(
        request: Request,
        since: str = "",
        until: str = "",
        outcome: str = "",
        q: str = "",
        before: int = 0,
        limit: int = 100,
    ) -> dict[str, Any]:
        token = await auth.token(request, accounts)
        if outcome and outcome not in OUTCOMES:
            raise UsageError(f"outcome is one of {', '.join(OUTCOMES)}")
        if not 1 <= limit <= 1000:
            raise UsageError("limit is 1 to 1000")
        found = await activity.lines(
            token.account_id,
            since=moment(since, "since"),
            until=moment(until, "until"),
            outcome=outcome,
            text=q[:200],
            domain_ids=token.domains,
            before=before or None,
            limit=limit,
        )
        return {"activity": [told(line) for line in found], "next": found[-1].id if len(found) == limit else None}

    @routes.get("/summary", summary="Mails by outcome over time")
    async def summary(request: Request, since: str = "", until: str = "", step: int = 3600) -> dict[str, Any]:
        token = await auth.token(request, accounts)
        last = moment(until, "until") or datetime.now(UTC)
        first = moment(since, "since") or last - timedelta(days=1)
        if not timedelta() < last - first <= LONGEST:
            raise UsageError("since lies before until, at most 366 days")
        if not 60 <= step <= 366 * 86_400 or (last - first).total_seconds() / step > 2000:
            raise UsageError("step is seconds, at least 60, and gives at most 2,000 steps")
        buckets = await activity.summary(token.account_id, first, last, step, domain_ids=token.domains)
        total = {name: sum(bucket.outcomes.get(name, 0) for bucket in buckets) for name in OUTCOMES}
        return {
            "since": first.isoformat(),
            "until": last.isoformat(),
            "step": step,
            "received": sum(total.values()),
            **total,
            "series": [
                {
                    "start": bucket.start.isoformat(),
                    "received": bucket.received,
                    **{name: bucket.outcomes.get(name, 0) for name in OUTCOMES},
                }
                for bucket in buckets
            ],
        }

    @routes.get("/{line_id}", summary="One line of the activity log")
    async def one(request: Request, line_id: int) -> dict[str, Any]:
        token = await auth.token(request, accounts)
        line = await activity.line(token.account_id, min(line_id, 2**62), token.domains)
        if line is None:
            raise NotFoundError("there is no such line in the activity log")
        return told(line)

    return routes


def told(line: Line) -> dict[str, Any]:
    """A line as JSON tells it."""
    return {**asdict(line), "time": line.time.isoformat()}


def moment(text: str, name: str) -> datetime | None:
    """A time written 2026-11-24T13:00:00Z or 2026-11-24; `UsageError` for anything else."""
    if not text:
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{name} is a time like 2026-11-24T13:00:00Z") from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)
