"""The page of the policy: the plan with its conditions and fixes, and the replay with the figures of the file."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.support.harness import Harness
from tests.support.mails import mail
from tests.support.pages import NOW, text
from tests.support.policy_reports import DOMAIN, report

pytestmark = pytest.mark.asyncio(loop_scope="package")

OWNER = "policy@example.com"
BASE = f"/domains/{DOMAIN}/policy"


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def owner(harness: Harness) -> AsyncIterator[httpx.AsyncClient]:
    """Who has the domain, about which one report came: 1,000 messages of yesterday, 40 of which fail."""
    await harness.accounts.account_by_name("policies", create=True)
    await harness.accounts.add_user(OWNER, "policies")
    domain = await harness.accounts.add_domain(DOMAIN, "policies")
    begin = int(NOW.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()) - 86_400
    await harness.receive(domain, mail(("policy.xml", report(begin, policy="<p>quarantine</p>"))))
    async with await harness.logged_in(OWNER) as client:
        yield client


async def test_the_plan_has_its_conditions_with_what_to_do(owner: httpx.AsyncClient) -> None:
    """In one sentence first; a fix has its records as code, without the marks of the catalogue."""
    page = await text(owner, BASE)
    assert "in force: p=quarantine since 23 Nov 2026, from policy_published in the reports about 2026-11-23" in page
    assert page.count("Stay at p=quarantine.") == 1
    assert "p=quarantine (in force) → p=reject (next) Condition for p=reject State" in page
    assert "SendGrid: 25 of 25 messages would be affected. Decide whether it is yours." in page
    assert "`" not in page
    html = (await owner.get(BASE)).text
    assert '<tr><td class="text broad">SendGrid: 25 of 25 messages' in html


async def test_a_replay_has_the_figures_of_its_file(owner: httpx.AsyncClient) -> None:
    """By sender, address and day; the form keeps what was chosen."""
    query = "p=reject&sp=none&adkim=s"
    page = await text(owner, f"{BASE}?{query}")
    assert "p=reject,sp=none,adkim=s: 95 of 1,000 messages affected Download as CSV" in page
    assert "0 quarantined, 95 rejected. Of senders that are yours: 60 of 960." in page
    assert "23 Nov 2026 1,000 95 0 95" in page
    html = (await owner.get(f"{BASE}?{query}")).text
    assert '<option value="none" selected>none</option>' in html
    assert '<option value="s" selected>s: same name</option>' in html
    answer = await owner.get(f"{BASE}/csv?{query}")
    assert answer.headers["content-disposition"] == f'attachment; filename="policy-{DOMAIN}.csv"'
    rows = [row for row in csv.DictReader(io.StringIO(answer.text)) if row["by"] == "sender"]
    assert [(row["name"], row["affected"]) for row in rows if row["affected"] != "0"] == [
        ("Signed by mail.policy.example, selector sub", "60"),
        ("SendGrid", "25"),
        ("198.51.100.0/24", "10"),
    ]


async def test_a_policy_that_is_none_is_refused_in_words(owner: httpx.AsyncClient) -> None:
    page = await text(owner, f"{BASE}?p=reject&pct=200")
    assert "pct must be a whole number from 0 to 100, not &#39;200&#39;" in page
    assert "messages affected" not in page
    answer = await owner.get(f"{BASE}/csv")
    assert answer.status_code == 400
    assert "the policy has no tag p; choose one on the policy page" in answer.text
