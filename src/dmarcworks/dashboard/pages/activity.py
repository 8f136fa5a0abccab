"""`/activity`: the outcome of each mail that reached the SMTP listener, over time and one by one."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.responses import Response

from dmarcworks.api.deps import Dependencies
from dmarcworks.catalogue.activity import OUTCOMES
from dmarcworks.dashboard import mail_timeline
from dmarcworks.dashboard.links import url
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.renderer import Html
from dmarcworks.dashboard.visit import UserVisit, Visit
from dmarcworks.errors import NotFoundError, UsageError

PAGE = 100
STANDARD = "24h"
WORDS = {
    "handled": "accepted",
    "replied": "replied",
    "forwarded": "forwarded",
    "dropped": "dropped",
    "rejected": "rejected",
    "failed": "deferred",
}
_LONGEST = timedelta(days=366)

routes = APIRouter(route_class=PageRoute, include_in_schema=False)


@routes.get("/activity")
async def index(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """Mails over time by outcome, and the newest lines of the log."""
    first, last, step, span = _range(visit, deps.now())
    outcome = visit.query("outcome")
    outcome = outcome if outcome in OUTCOMES else ""
    text, before = visit.query("q"), visit.number("before", 0, 0, 999_999_999) or None
    activity = deps.routing.activity
    buckets = await activity.summary(visit.account_id, first, last, step)
    rows = await activity.lines(
        visit.account_id, since=first, until=last, outcome=outcome, text=text, before=before, limit=PAGE + 1
    )
    scope: dict[str, Any] = {"span": span} if span else {"since": _text(first), "until": _text(last)}
    return await html.page(
        visit,
        "activity.html",
        total={name: sum(bucket.outcomes.get(name, 0) for bucket in buckets) for name in OUTCOMES},
        received=sum(bucket.received for bucket in buckets),
        buckets=[bucket for bucket in buckets if bucket.received],
        chart=mail_timeline.bars(buckets, step, lambda bucket: _link(bucket.start, step)),
        stack=mail_timeline.STACK,
        spans=mail_timeline.SPANS,
        span=span,
        scope=scope,
        first=first,
        last=last,
        rows=rows[:PAGE],
        after=rows[PAGE - 1].id if len(rows) > PAGE else None,
        outcome=outcome,
        q=text,
        words=WORDS,
        operates=await deps.is_operator(visit.account_id),
        ever=bool(rows) or bool(await activity.lines(visit.account_id, limit=1)),
    )


@routes.get("/activity/{id}")
async def show(line_id: Annotated[str, Path(alias="id")], visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """A line of the log."""
    valid = line_id.isascii() and line_id.isdigit() and len(line_id) < 19
    line = await deps.routing.activity.line(visit.account_id, int(line_id)) if valid else None
    if line is None:
        raise NotFoundError("There is no such log line, or it belongs to another account.")
    return await html.page(visit, "activity_line.html", line=line, words=WORDS)


def _range(visit: Visit, now: datetime) -> tuple[datetime, datetime, int, str]:
    """First and last moment, seconds per bar, and the preset's key ("" for a range of one's own)."""
    if visit.query("since") or visit.query("until"):
        first, last = _moment(visit.query("since"), "since"), _moment(visit.query("until"), "until")
        if not timedelta() < last - first <= _LONGEST:
            raise UsageError("since must be earlier than until, by at most 366 days")
        return first, last, mail_timeline.step_for(last - first), ""
    wanted = visit.query("span") or STANDARD
    span = next((span for span in mail_timeline.SPANS if span.key == wanted), None)
    if span is None:
        raise UsageError(f"span must be one of {', '.join(span.key for span in mail_timeline.SPANS)}")
    # Steps begin on the round minute, hour or day; the last one is under way.
    end = datetime.fromtimestamp((int(now.timestamp()) // span.step + 1) * span.step, UTC)
    return end - span.length, end, span.step, span.key


def _link(start: datetime, step: int) -> str:
    return url("/activity", since=_text(start), until=_text(start + timedelta(seconds=step)))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str, name: str) -> datetime:
    with suppress(ValueError):
        read = datetime.fromisoformat(text) if len(text) == 20 else None
        # A year that no arithmetic holds is no time either.
        if read is not None and 1971 < read.year < 9000:
            return read.astimezone(UTC)
    raise UsageError(f"{name} must be a time like 2026-11-24T12:00:00Z, not {text[:40]!r}")
