"""The pages of the changes to publish, with a name server on loopback, and of the document for auditors."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from dmarcworks.policy.dns_records.checker import RecordChecker
from dmarcworks.policy.planner import Planner
from tests.support.harness import Harness
from tests.support.mails import mail
from tests.support.outside import Names, answering
from tests.support.pages import EVIL, NOW, text
from tests.support.policy_reports import DOMAIN, report

pytestmark = pytest.mark.asyncio(loop_scope="package")

NAME = "changes.example"
OWNER = "changes@example.com"
BASE = f"/domains/{NAME}"
RECORD = "v=DMARC1; p=none; fo=1"
# RFC 7208 permits any visible character in an unknown modifier.
SPF = "v=spf1 ip4:192.0.2.0/24 ip4:203.0.113.0/24 note=<script>alert(1)</script> -all"


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def owner(harness: Harness) -> AsyncIterator[httpx.AsyncClient]:
    """Who has a domain with reports of 30 days; a reporter's name is markup."""
    await harness.accounts.account_by_name("changers", create=True)
    await harness.accounts.add_user(OWNER, "changers")
    domain = await harness.accounts.add_domain(NAME, "changers")
    midnight = int(NOW.replace(hour=0, minute=0, second=0, microsecond=0).timestamp())
    for back in range(1, 31):
        org = EVIL.replace("<", "&lt;") if back == 1 else "mail.example"
        body = report(midnight - back * 86_400, report_id=f"c{back}", org=org).replace(DOMAIN.encode(), NAME.encode())
        await harness.receive(domain, mail((f"c{back}.xml", body)))
    names = Names()
    names.add({(f"_dmarc.{NAME}", "TXT"): RECORD, (NAME, "TXT"): SPF, (NAME, "MX"): "10 mx.changes.example."})
    before = harness.app.state.deps
    with answering(names):
        checker = RecordChecker(names.server)
        planner = Planner(before.questions, before.senders, before.policies, checker)
        harness.app.state.deps = dataclasses.replace(before, planner=planner, check_records=checker)
        async with await harness.logged_in(OWNER) as client:
            yield client
        harness.app.state.deps = before


async def test_each_change_has_its_records_risk_and_way_back(owner: httpx.AsyncClient) -> None:
    page = await text(owner, f"{BASE}/policy/changes")
    assert f"Reports to this system: TXT record at _dmarc.{NAME} Before {RECORD} Change {RECORD}" in page
    assert "Risk None: how mail is treated does not change." in page
    assert f"To go back Publish the TXT record of before at _dmarc.{NAME} again. {RECORD} Copy" in page
    assert f"SPF without unused terms: TXT record at {NAME}" in page
    assert "Not proposed No change of the policy is proposed: Stay at p=none." in page
    assert "Use of the SPF record · 0 of 10 DNS look-ups" not in page
    html = (await owner.get(f"{BASE}/policy/changes")).text
    assert "<del> ip4:203.0.113.0/24</del>" in html
    assert EVIL not in html
    assert "note=&lt;script&gt;" in html
    assert f'<a href="{BASE}/policy/changes">Show the changes →</a>' in (await owner.get(f"{BASE}/policy")).text


async def test_a_parked_domain_is_shown_on_request(owner: httpx.AsyncClient) -> None:
    page = await text(owner, f"{BASE}/policy/changes?parked=1")
    assert page.count("Parked domain: ") == 4
    assert "the domain is in use. Publish these records only if that mail is to end." in page


async def test_the_document_is_a_page_and_two_files(owner: httpx.AsyncClient) -> None:
    page = await text(owner, f"{BASE}/evidence")
    assert "Messages in reports 29,000" in page
    assert "Messages at enforcement (p=quarantine or p=reject) 0 (0 %)" in page
    # The test's day is the 24th: the last 30 days are those from 26 October on, 29 of them with a report.
    assert "p=none" in page
    assert EVIL not in (await owner.get(f"{BASE}/evidence")).text
    answer = await owner.get(f"{BASE}/evidence/file?format=html&days=90")
    assert answer.headers["content-disposition"] == (f'attachment; filename="dmarc-{NAME}-2026-08-27-2026-11-24.html"')
    assert EVIL not in answer.text
    answer = await owner.get(f"{BASE}/evidence/file?format=pdf")
    assert (answer.status_code, answer.content[:5]) == (200, b"%PDF-")
    assert (await owner.get(f"{BASE}/evidence/file?format=doc")).status_code == 400


async def test_a_neighbour_sees_neither(client: httpx.AsyncClient, owner: httpx.AsyncClient) -> None:
    for path in ("/policy/changes", "/evidence", "/evidence/file?format=html"):
        assert (await client.get(f"{BASE}{path}")).status_code == 404
