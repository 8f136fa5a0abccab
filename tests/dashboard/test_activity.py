"""Promise of the mail page: what came in, what became of it, exactly, and only to the account that it came for."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import pytest_asyncio

from dmarcworks.catalogue.activity import ActivityLine, Bucket
from dmarcworks.dashboard import mail_timeline
from tests.support.harness import Harness
from tests.support.pages import EVIL, NOW

pytestmark = pytest.mark.asyncio(loop_scope="package")


def line(account_id: str, minutes: float, outcome: str, **fields: str) -> ActivityLine:
    return ActivityLine(
        time=NOW - timedelta(minutes=minutes),
        sender=fields.get("sender", "noreply@google.com"),
        recipient="0f@reports.example.net",
        peer="192.0.2.9",
        size=2048,
        rule="rua address",
        action="worker dmarc",
        outcome=outcome,
        status={"rejected": "550", "failed": "451"}.get(outcome, "250"),
        account_id=account_id,
        subject=fields.get("subject", "Report domain: example.com"),
        error=fields.get("error", ""),
        tls="TLSv1.3",
        dmarc="pass",
    )


@pytest_asyncio.fixture(loop_scope="package", scope="module")
async def filled(harness: Harness) -> Harness:
    mine = (await harness.accounts.account_by_name("default")).id
    other = (await harness.accounts.account_by_name("neighbour")).id
    activity = harness.routing.activity
    for minutes, outcome in ((5, "handled"), (6, "handled"), (7, "forwarded"), (8, "dropped"), (90, "handled")):
        activity.note(line(mine, minutes, outcome))
    activity.note(line(mine, 9, "rejected", error=f"No {EVIL}", subject=EVIL, sender=f"{EVIL}@x.example"))
    activity.note(line(mine, 10, "failed", error="ValueError('bug')"))
    activity.note(line(other, 5, "handled", subject="the neighbour's"))
    await activity.flush()
    return harness


def figures(text: str) -> list[str]:
    return re.findall(r"<b>([\d,]+)</b>", text)


@pytest.mark.parametrize(
    ("query", "counted", "listed"),
    [
        ("", ["7", "1", "1", "1"], 7),
        ("?span=30m", ["6", "1", "1", "1"], 6),
        ("?span=30m&outcome=handled", ["6", "1", "1", "1"], 2),
        ("?q=x.example", ["7", "1", "1", "1"], 1),
        ("?q=nobody", ["7", "1", "1", "1"], 0),
        ("?since=2026-11-24T12:54:00Z&until=2026-11-24T12:55:00Z", ["1", "0", "0", "0"], 1),
        ("?span=&outcome=nonsense&since=&until=&before=-1", ["7", "1", "1", "1"], 7),
    ],
)
async def test_figures_and_list_agree_with_the_log(
    filled: Harness, client: httpx.AsyncClient, query: str, counted: list[str], listed: int
) -> None:
    """Each figure counts its outcome in the period; the list shows its lines; odd parameters mean the default."""
    page = await client.get(f"/activity{query}")
    assert page.status_code == 200
    assert figures(page.text) == counted
    assert page.text.count('class="row" href="/activity/') == listed
    assert "the neighbour" not in page.text
    assert EVIL not in page.text


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("span=3d", "span must be one of 30m, 6h, 24h, 7d, 30d"),
        ("since=x&until=2026-11-24T12:55:00Z", "since must be a time like 2026-11-24T12:00:00Z, not &#39;x&#39;"),
        ("until=2026-11-24T12:55:00Z", "since must be a time like 2026-11-24T12:00:00Z, not &#39;&#39;"),
        (
            "since=2026-11-24T12:55:00Z&until=2026-11-24T12:54:00Z",
            "since must be earlier than until, by at most 366 days",
        ),
    ],
)
async def test_an_invalid_range_is_refused(client: httpx.AsyncClient, query: str, text: str) -> None:
    """Never another range than the one that was asked for."""
    page = await client.get(f"/activity?{query}")
    assert page.status_code == 400
    assert text in page.text


async def test_a_line_tells_all_of_a_mail(harness: Harness, filled: Harness, client: httpx.AsyncClient) -> None:
    """The detail says answer, reason and checks, with strangers' text as text; a neighbour's line is not there."""
    mine, other = [(await harness.accounts.account_by_name(name)).id for name in ("default", "neighbour")]
    (rejected,) = await harness.routing.activity.lines(mine, outcome="rejected")
    (theirs,) = await harness.routing.activity.lines(other)
    page = await client.get(f"/activity/{rejected.id}")
    assert page.status_code == 200
    assert re.findall(r"<td[^>]*>(?:<[^>]+>)*550\b", page.text)[1:] == []
    for text in ("550", "TLSv1.3", "No &lt;script&gt;", "The mail was rejected.", "192.0.2.9", "2.0 kB"):
        assert text in page.text
    assert EVIL not in page.text
    assert [(await client.get(f"/activity/{wrong}")).status_code for wrong in (theirs.id, "99999", "x", "9" * 30)] == [
        404
    ] * 4


async def test_an_empty_log_says_what_will_be_here(harness: Harness) -> None:
    """Somebody without a mail sees a sentence and a way on, no zeros."""
    await harness.accounts.add_user("c@example.org", "empty")
    async with await harness.logged_in("c@example.org") as browser:
        page = await browser.get("/activity")
    assert "No mail received yet." in page.text
    assert figures(page.text) == []


@pytest.mark.parametrize(
    ("length", "step"),
    [
        (timedelta(minutes=1), 60),
        (timedelta(hours=1), 600),
        (timedelta(days=1), 1800),
        (timedelta(days=31), 172_800),
        (timedelta(days=366), 13 * 86_400),
    ],
)
async def test_a_range_has_few_bars(length: timedelta, step: int) -> None:
    """However long, about thirty to fifty of them."""
    assert mail_timeline.step_for(length) == step


async def test_bars_are_links_with_their_numbers() -> None:
    """Height says the count, the title the words, nothing stands where nothing came."""
    start = datetime(2026, 11, 24, tzinfo=UTC)
    buckets = [Bucket(start, {}), Bucket(start + timedelta(hours=1), {"handled": 3, "replied": 1, "failed": 4})]
    both = str(mail_timeline.bars(buckets, 3600, lambda bucket: f"/x?a={bucket.start:%H}&b=<"))
    svg, slim, _ = both.split("</svg>")
    assert re.findall(r'text-anchor="(?:end|middle)">([^<]*)</text>', slim) == [
        "0",
        "2",
        "4",
        "6",
        "8",
        "00:00",
        "01:00",
    ]
    assert svg.count("<a ") == 1
    assert '<a href="/x?a=01&amp;b=&lt;"><title>01:00, 24 Nov: 8 mails: 4 accepted, 4 deferred</title>' in svg
    assert re.findall(r'class="(pass|fail)" x="[\d.]+" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', svg) == [
        ("pass", "112.0", "104.0"),
        ("fail", "8.0", "104.0"),
    ]
