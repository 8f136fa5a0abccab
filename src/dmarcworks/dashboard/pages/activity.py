"""`/activity`: what became of the mails at the front door, over time and one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from dmarcworks.catalogue.activity import OUTCOMES
from dmarcworks.dashboard import mail_timeline
from dmarcworks.dashboard.pages.route import GET, Route
from dmarcworks.dashboard.web import Site, Visit, url
from dmarcworks.errors import NotFoundError

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


def routes(site: Site) -> list[Route]:
    """The pages of this module."""
    deps = site.deps
    activity = deps.mailroom.activity

    async def index(visit: Visit) -> Response:
        first, last, step, span = _range(visit, deps.now())
        outcome = visit.query("outcome")
        outcome = outcome if outcome in OUTCOMES else ""
        text, before = visit.query("q"), visit.number("before", 0, 0, 999_999_999) or None
        buckets = await activity.summary(visit.account_id, first, last, step)
        rows = await activity.lines(
            visit.account_id, since=first, until=last, outcome=outcome, text=text, before=before, limit=PAGE + 1
        )
        scope: dict[str, Any] = {"span": span} if span else {"since": _text(first), "until": _text(last)}
        return await site.page(
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
            operates=await deps.operates(visit.account_id),
            ever=bool(rows) or bool(await activity.lines(visit.account_id, limit=1)),
        )

    async def one(visit: Visit) -> Response:
        text = visit.request.path_params["id"]
        known = text.isascii() and text.isdigit() and len(text) < 19
        line = await activity.line(visit.account_id, int(text)) if known else None
        if line is None:
            raise NotFoundError("There is no such log line, or it belongs to another account.")
        return await site.page(visit, "activity_line.html", line=line, words=WORDS)

    return [("/activity", GET, index, False), ("/activity/{id}", GET, one, False)]


def _range(visit: Visit, now: datetime) -> tuple[datetime, datetime, int, str]:
    """First and last moment, seconds per bar, and the preset's key ("" for a range of one's own)."""
    first, last = _moment(visit.query("since")), _moment(visit.query("until"))
    if first and last and timedelta() < last - first <= _LONGEST:
        return first, last, mail_timeline.step_for(last - first), ""
    wanted = visit.query("span", STANDARD)
    span = next((span for span in mail_timeline.SPANS if span.key == wanted), None)
    span = span or next(span for span in mail_timeline.SPANS if span.key == STANDARD)
    # Steps begin on the round minute, hour or day; the last one is under way.
    end = datetime.fromtimestamp((int(now.timestamp()) // span.step + 1) * span.step, UTC)
    return end - span.length, end, span.step, span.key


def _link(start: datetime, step: int) -> str:
    return url("/activity", since=_text(start), until=_text(start + timedelta(seconds=step)))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> datetime | None:
    try:
        read = datetime.fromisoformat(text) if len(text) == 20 else None
        # A year that no arithmetic holds is no time either.
        return read.astimezone(UTC) if read is not None and 1971 < read.year < 9000 else None
    except ValueError:
        return None
