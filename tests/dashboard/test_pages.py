"""What the pages say is what the stores hold, only for the account that asks, and strangers' text is only text."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from dmarcworks.catalogue.audit import Actor, acting
from tests.support.harness import Harness
from tests.support.pages import EVIL, HOST, TODAY, aggregate, record, text

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_domain_shows_the_figures_of_its_period_with_the_change(client: httpx.AsyncClient) -> None:
    """The last 30 days, today included: 28 days of 100 messages, 10 of each failing; before: 11 days."""
    page = await text(client, "/domains/example.com")
    assert "the last 30 days, 26 Oct 2026 to 24 Nov 2026 (UTC)" in page
    assert "Messages 2,800 the previous period has reports about only 11 days" in page
    assert "DMARC pass 90 % " not in page
    assert "DMARC pass 90.0 % −9.1 points" in page
    assert "Failing 280 the previous period has reports about only 11 days" in page
    assert "Sending addresses 2 the previous period has reports about only 11 days" in page
    assert "280 of 2,800 messages failed DMARC (10.0 %). It was 0.9 % in the previous period." in page
    assert "203.0.113.0/24 sent all of them." in page


async def test_the_front_page_has_the_same_numbers_as_the_domain(client: httpx.AsyncClient) -> None:
    """A domain's line covers the very days that its own page shows."""
    page = await text(client, "/")
    # Other tests may have put in reports of other kinds.
    others = r"(?:\d+ TLS reports?: [\d,]+ sessions, [\d,]+ failed )?(?:\d+ failure reports? )?"
    assert re.search(rf"example\.com unproven {others}2,800 90\.0 %", page)
    assert "2,800 messages in the last 30 days, 90.0 % passed DMARC (26 Oct 2026 to 24 Nov 2026, UTC)" in page
    assert "2 mails or files could not be parsed or counted." in page
    assert "other.example" not in page


async def test_days_and_until_choose_the_period(client: httpx.AsyncClient) -> None:
    """So many days up to today, or up to `until`; both stay in the links; `first` and `last` are days too."""
    assert "18 Nov 2026 to 24 Nov 2026" in await text(client, "/domains/example.com?days=7")
    assert "17 Nov 2026 to 24 Nov 2026" in await text(client, "/domains/example.com?days=8")
    assert "25 Nov 2025 to 24 Nov 2026" in await text(client, "/domains/example.com?days=365")
    assert " 1 Oct 2026 to 24 Nov 2026" in await text(client, "/domains/example.com?first=2026-10-01")
    assert " 1 Nov 2026 to 9 Nov 2026" in await text(client, "/domains/example.com?first=2026-11-01&last=2026-11-09")
    answer = await client.get("/domains/example.com?days=7&until=2026-11-12")
    assert "6 Nov 2026 to 12 Nov 2026" in answer.text
    assert "/domains/example.com/sources?days=7&amp;until=2026-11-12&amp;day=2026-11-09" in answer.text


@pytest.mark.parametrize("page", ["", "/live", "/sources", "/records"])
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("days=0", "days must be a number from 1 to 3,660, not &#39;0&#39;"),
        ("days=x", "days must be a number from 1 to 3,660, not &#39;x&#39;"),
        ("days=3661", "days must be a number from 1 to 3,660, not &#39;3661&#39;"),
        ("until=2026-13-01", "until must be a day like 2026-11-24, not &#39;2026-13-01&#39;"),
        ("first=20261101", "first must be a day like 2026-11-24, not &#39;20261101&#39;"),
        ("first=2026-11-02&last=2026-11-01", "the period ends before it begins: 2026-11-02 to 2026-11-01"),
        ("days=7&first=2026-11-02", "days and first exclude each other: give days with last, or first with last"),
        ("last=1969-12-31", "a period lies between 1970-01-01 and 9000-01-01"),
        ("first=2000-01-01", "a period has at most 3,660 days"),
    ],
)
async def test_an_invalid_range_is_refused(client: httpx.AsyncClient, page: str, query: str, words: str) -> None:
    """Never another range than the one that was asked for."""
    answer = await client.get(f"/domains/example.com{page}?{query}")
    assert answer.status_code == 400
    assert words in answer.text


async def test_a_day_without_a_report_is_a_gap_never_a_zero(client: httpx.AsyncClient) -> None:
    """10 November has no report: the table says so and the chart's data holds null."""
    answer = await client.get("/domains/example.com")
    assert "10 Nov 2026 – – – – – no report" in await text(client, "/domains/example.com")
    data = re.search(r'id="chart-data">(.*?)</script>', answer.text, re.S)
    assert data is not None
    import json

    chart = json.loads(data[1])
    gap = chart["days"].index("10 Nov 2026")
    assert chart["pass"][gap] is None
    assert chart["fail"][gap] is None
    assert sum(value or 0 for value in chart["pass"]) == 2520
    assert sum(value or 0 for value in chart["fail"]) == 280


async def test_strangers_text_never_becomes_markup(client: httpx.AsyncClient) -> None:
    """A reporter called <script> shows as text on every page that names it."""
    for path in ("/domains/example.com", "/reports", "/problems", "/domains/example.com/records?source=203.0.113.66"):
        answer = await client.get(path)
        assert EVIL not in answer.text, path
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text, path


async def test_no_page_has_inline_style_or_script_and_all_have_strict_headers(client: httpx.AsyncClient) -> None:
    """The content policy allows neither, so neither may be needed."""
    for path in ("/", "/login", "/domains/example.com", "/reports", "/problems", "/password", "/nothing"):
        answer = await client.get(path)
        assert "style=" not in answer.text, path
        assert not re.search(r"<script(?![^>]*(src=|application/json))", answer.text), path
        assert not re.search(r"\son[a-z]+=", answer.text), path
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "style-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"


async def test_sources_are_sorted_filtered_and_paged_on_the_server(client: httpx.AsyncClient) -> None:
    """Order, result and day come from the address; a page that is not there says so."""
    page = await text(client, "/domains/example.com/sources?result=fail")
    assert "1 address with messages that failed" in page
    assert "203.0.113.66" in page
    assert "203.0.113.5 " not in page
    rising = await text(client, "/domains/example.com/sources?order=messages&dir=asc")
    assert rising.index("203.0.113.66") < rising.index("203.0.113.5 ")
    falling = await text(client, "/domains/example.com/sources")
    assert falling.index("203.0.113.5 ") < falling.index("203.0.113.66")
    assert "90 100 %" in await text(client, "/domains/example.com/sources?day=2026-11-20")
    assert "No address sent messages on that day." in await text(client, "/domains/example.com/sources?day=2026-11-10")
    assert "This page does not exist." in await text(client, "/domains/example.com/sources?page=9")
    assert "2 addresses" in await text(client, "/domains/example.com/sources?order=drop%20table&result=x&page=-1")


async def test_reports_of_a_day_lead_to_records_and_raw_file(client: httpx.AsyncClient) -> None:
    """From the day to the report, its records, its warning, and the archived bytes under a plain name."""
    answer = await client.get("/domains/example.com/reports?day=2026-11-23")
    key = re.search(r"/reports/([0-9a-f]{64})", answer.text)
    assert key is not None
    page = await text(client, f"/reports/{key[1]}")
    assert "100 messages in 2 records about example.com" in page
    assert "203.0.113.66 10 fail" in page
    assert "forwarded: &lt;script&gt;" in page
    assert "1 warning" in page
    raw = await client.get(f"/reports/{key[1]}/raw")
    assert raw.content.startswith(b"raw ")
    assert raw.headers["content-type"] == "application/octet-stream"
    assert raw.headers["x-content-type-options"] == "nosniff"
    assert raw.headers["content-disposition"] == 'attachment; filename="script_.xml.gz"'
    assert "No report about this day." in await text(client, "/domains/example.com/reports?day=2026-11-10")


async def test_problems_say_why_in_words_and_give_the_raw_mail(client: httpx.AsyncClient) -> None:
    """A known reason is explained, an unknown one shows its code; only the account's own are listed."""
    page = await text(client, "/problems")
    assert "The content is neither XML nor JSON line 1: &lt;script&gt;" in page
    assert "A reason from later" in page
    assert "The file or attachment is empty" not in page
    raw = await client.get("/problems/1/raw")
    assert raw.content == b"From: x\r\n\r\nraw mail"
    assert raw.headers["content-disposition"] == 'attachment; filename="mail.eml"'


async def test_another_accounts_things_are_not_found(harness: Harness, client: httpx.AsyncClient) -> None:
    """A neighbour's domain, report and problem answer 404, in the words of what never existed."""
    neighbour = await harness.accounts.user("b@example.org")
    assert neighbour is not None
    theirs = (await harness.arrivals.reports(neighbour.account_id))[0].key
    problem = (await harness.problems.list(neighbour.account_id))[0].id
    paths = [
        f"/domains/other.example{end}"
        for end in ("", "/live", "/setup", "/senders", "/senders/dkim:example.com", "/sources", "/records", "/reports")
    ]
    paths += [f"/reports/{theirs}", f"/reports/{theirs}/raw", f"/problems/{problem}/raw", "/problems/x/raw"]
    paths += [f"/problems/{problem}", f"/problems/{problem}/discard"]
    for path in paths:
        answer = await client.get(path)
        assert answer.status_code == 404, path
        assert "secret.org" not in answer.text
    assert "secret.org" not in await text(client, "/reports")
    assert (await client.get("/domains/example.com/records?source=198.51.100.9")).text.count("198.51.100.9") == 2


async def test_a_new_domain_shows_its_records_and_changes_live_when_the_first_report_comes(
    harness: Harness, client: httpx.AsyncClient
) -> None:
    """Empty says what to publish; /live is 204 until something came, then it is the page's content."""
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', (await client.get("/")).text)
    assert csrf is not None
    added = await client.post("/domains", data={"name": "New.Example.NET.", "csrf": csrf[1]})
    assert (added.status_code, added.headers["location"]) == (303, "/domains/new.example.net")
    domain = await harness.accounts.domain(None, "new.example.net")
    assert domain is not None
    answer = await client.get("/domains/new.example.net")
    assert "Waiting for the first report." in answer.text
    assert f"v=DMARC1; p=none; rua=mailto:{domain.rua}" in answer.text
    assert "_dmarc.new.example.net" in answer.text
    assert f"*._report._dmarc.{HOST}" in answer.text
    live = re.search(r'hx-get="([^"]+)"', answer.text)
    assert live is not None
    path = live[1].replace("&amp;", "&")
    assert (await client.get(path)).status_code == 204

    report = aggregate(TODAY - timedelta(days=1), "first.org", [record("192.0.2.7", 5, "pass")], "new.example.net")
    received = datetime.fromtimestamp(harness.clock(), UTC)
    key = await harness.report(domain, report, publish=False, received=received)
    noted = await client.get(path)
    assert noted.status_code == 200
    assert "A report was received and is being counted." in noted.text
    await harness.publish([(domain, report, key)])
    again = re.search(r'hx-get="([^"]+)"', noted.text)
    assert again is not None
    there = await client.get(again[1].replace("&amp;", "&"))
    assert there.status_code == 200
    assert "All 5 messages passed DMARC." in there.text
    assert there.text.startswith("<main")
    await harness.accounts.remove_domain(domain)


async def test_adding_says_what_is_wrong(client: httpx.AsyncClient) -> None:
    """A name that is none and a name that is taken come back with a sentence; whose it is stays unsaid."""
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', (await client.get("/")).text)
    assert csrf is not None
    wrong = await client.post("/domains", data={"name": "<b>", "csrf": csrf[1]})
    assert wrong.status_code == 400
    assert "is not a domain name; write it like example.com" in wrong.text
    taken = await client.post("/domains", data={"name": "other.example", "csrf": csrf[1]})
    assert taken.status_code == 409
    assert "other.example cannot be added: the name is in use or reserved on this server" in taken.text
    assert "neighbour" not in taken.text


async def test_old_reports_are_shown_with_their_days(harness: Harness, client: httpx.AsyncClient) -> None:
    """When all reports are old, the page shows the days up to the newest and says that it is silent since."""
    domain = await harness.accounts.add_domain("old.example")
    await harness.report(domain, aggregate(date(2019, 3, 4), None, [record("192.0.2.1", 3, "pass")], "old.example"))
    page = await text(client, "/domains/old.example")
    assert "3 Feb 2019 to 4 Mar 2019" in page
    assert "Showing the 30 days up to 4 Mar 2019" in page
    assert "The newest is about 4 Mar 2019." in page
    assert "Messages 3 none in the previous period" in page
    assert "no report about the last 30 days" in await text(client, "/")
    await harness.accounts.remove_domain(domain)


async def test_an_unknown_address_is_a_page_for_people_and_json_for_machines(client: httpx.AsyncClient) -> None:
    """404 in the look of the pages; under /api and its like the plain answer of machines."""
    answer = await client.get("/nothing")
    assert answer.status_code == 404
    assert "There is no such page, or it belongs to another account." in answer.text
    assert (await client.get("/api/v1/nothing")).json() == {"detail": "Not Found"}


async def test_an_error_of_a_store_shows_no_inner_text(harness: Harness, client: httpx.AsyncClient) -> None:
    """What went wrong inside stands in the log, not on the page."""
    found = await harness.arrivals.reports((await harness.accounts.account_by_name("default")).id, limit=1)
    await harness.objects.delete(found[0].object_key)
    answer = await client.get(f"/reports/{found[0].key}/raw")
    assert answer.status_code == 404
    assert "The archive no longer contains this file; its figures are kept." in answer.text


async def test_changes_are_shown_to_their_account_only(harness: Harness, client: httpx.AsyncClient) -> None:
    """Who changed what, a token by its name; a stranger's text is only text; the neighbour's changes are not there."""
    mine = await harness.accounts.account_by_name("default")
    theirs = await harness.accounts.account_by_name("neighbour")
    with acting(Actor("user", EVIL, "192.0.2.7")):
        secret, token = await harness.accounts.create_token(mine.id, "read", "nightly")
        await harness.accounts.create_token(theirs.id, "read", "not yours")
    with acting(Actor("token", token.id)):
        await harness.accounts.revoke_token(token.id)
    answer = await client.get("/audit")
    assert EVIL not in answer.text
    assert secret not in answer.text
    page = await text(client, "/audit")
    assert "Token revoked nightly" in page
    assert "Token created nightly &lt;script&gt;alert(1)&lt;/script&gt; user 192.0.2.7" in page
    rows = await harness.accounts.tokens(theirs.id)
    assert rows[0].id not in page
