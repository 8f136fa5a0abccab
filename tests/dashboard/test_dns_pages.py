"""The pages of a domain's DNS records and of their history: what checks stored, and a check by request."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
import pytest_asyncio

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.wiring.dns_checks import dns_schedule
from tests.support.dns_fill import check_over_days, published
from tests.support.harness import Harness
from tests.support.pages import NOW, TODAY, aggregate, record, text

pytestmark = pytest.mark.asyncio(loop_scope="package")

OWNER, NAME = "dns@example.com", "dns-pages.example"
HOSTILE = "</pre><script>alert(1)</script>"


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def domain(harness: Harness) -> Domain:
    """Its policy became stricter; then the authorisation of its reports was lost, and they stopped."""
    await harness.accounts.account_by_name("dns pages", create=True)
    await harness.accounts.add_user(OWNER, "dns pages")
    domain = await harness.accounts.add_domain(NAME, "dns pages")
    await harness.accounts.add_domain("new.example", "dns pages")
    for back in range(9, 15):
        rows = [record("192.0.2.1", 5, "pass")]
        await harness.report(domain, aggregate(TODAY - timedelta(days=back), "google.com", rows, NAME))
    zone, host = published(NAME, domain.rua), domain.rua.partition("@")[2]
    stricter = {(f"_dmarc.{NAME}", "TXT"): [f'"v=DMARC1; p=reject; rua=mailto:{domain.rua}"']}
    lost: dict[tuple[str, str], list[str]] = {
        (f"{NAME}._report._dmarc.{host}", "TXT"): [],
        (f"_smtp._tls.{NAME}", "TXT"): [f'"v=TLSRPTv1; {HOSTILE}"'],
    }
    await check_over_days(harness.stores.database, domain, NOW, {12: zone, 10: stricter, 8.5: lost})
    return domain


@pytest_asyncio.fixture(loop_scope="package")
async def owner(harness: Harness, domain: Domain) -> AsyncIterator[httpx.AsyncClient]:
    async with await harness.logged_in(OWNER) as client:
        yield client


async def test_the_stored_report_card_lists_findings_by_severity(owner: httpx.AsyncClient, domain: Domain) -> None:
    page = await text(owner, f"/domains/{NAME}/dns")
    assert f"DMARC policy: p=reject, from the record of {NAME}." in page
    assert "checked 8 days ago (resolver: system)" in page
    places = [
        page.index(f" {heading} ") for heading in ("Errors", "Warnings", "Notices", "Good", "Records as published")
    ]
    assert places == sorted(places)
    host = domain.rua.partition("@")[2]
    assert f"To do: {NAME}._report._dmarc.{host} TXT &#34;v=DMARC1&#34; Copy" in page
    assert "dmarc-reports-not-authorised · RFC 9990" in page
    assert "SPF look-ups: 2 of 10" in page
    html = (await owner.get(f"/domains/{NAME}/dns")).text
    assert HOSTILE not in html
    assert "&lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in html


async def test_a_check_is_requested_and_the_page_does_not_wait_for_it(
    harness: Harness, owner: httpx.AsyncClient, domain: Domain
) -> None:
    html = (await owner.get("/domains/new.example/dns")).text
    assert "Not checked yet." in html
    csrf = re.search(r'name="csrf" value="([^"]+)"', html)
    assert csrf is not None
    form = {"csrf": csrf[1], "selectors": "s1, s2"}
    answer = await owner.post("/domains/new.example/dns/check", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/domains/new.example/dns")
    html = (await owner.get("/domains/new.example/dns")).text
    assert "A check is requested." in html
    assert '<meta http-equiv="refresh" content="5">' in html
    new = await harness.accounts.domain(domain.account_id, "new.example")
    assert new is not None
    (check,) = await dns_schedule(harness.settings, harness.stores).claim(10, 600, only_requested=True)
    assert (check.domain, check.selectors) == ("new.example", ("s1", "s2"))
    await dns_schedule(harness.settings, harness.stores).release([check])
    wrong = await owner.post("/domains/new.example/dns/check", data={"csrf": csrf[1], "selectors": "a_b!"})
    assert wrong.status_code == 400
    assert "is not a DKIM selector" in wrong.text
    assert (await owner.post("/domains/new.example/dns/check", data={"selectors": ""})).status_code == 403


async def test_the_history_marks_what_changed_and_names_the_cause(owner: httpx.AsyncClient, domain: Domain) -> None:
    page = await text(owner, f"/domains/{NAME}/history")
    assert "No report since 15 Nov 2026." in page
    host = domain.rua.partition("@")[2]
    name = f"{NAME}._report._dmarc.{host}"
    assert f"Cause: the authorisation at {name} was gone from" in page
    assert "DMARC changed" in page
    # What is seen for the first time is no change: a line for the day, without the records.
    assert page.count("First seen on ") == 1
    kinds = "DMARC, Authorisation of reports, SPF, Included SPF, DKIM key, MX, TLS-RPT"
    assert f"First seen on 12 Nov 2026: {kinds}. Show the records" in page
    assert "Authorisation of reports removed" in page
    assert "p=none 10 Nov 2026 15 Nov 2026 6 google.com" in page
    html = (await owner.get(f"/domains/{NAME}/history")).text
    assert "p=<del>none</del>" in html
    assert "p=<ins>reject</ins>" in html
    assert HOSTILE not in html
    assert '<g class="mark"><title>14 Nov 2026: DMARC changed</title>' in html
    assert "The records have not been checked yet." in await text(owner, "/domains/new.example/history")


async def test_another_account_sees_neither(harness: Harness, domain: Domain) -> None:
    async with await harness.logged_in("a@example.com") as stranger:
        for path in ("dns", "history"):
            assert (await stranger.get(f"/domains/{NAME}/{path}")).status_code == 404
