"""The pages of senders: who sends, what each is to the owner, the fix to copy, the decision, and strangers' names."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pyarrow as pa
import pytest
import pytest_asyncio

from dmarcworks.analytics import schema
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.dashboard.sender_words import FixPiece, fix_pieces
from dmarcworks.reports.model import AggregateReport, DkimResult, Policy, Record, SpfResult
from tests.support.harness import Harness
from tests.support.pages import EVIL, NOW, TODAY, text

pytestmark = pytest.mark.asyncio(loop_scope="package")

OWNER = "senders@example.com"
BASE = "/domains/senders.example"
Sent = tuple[str, int, str, tuple[str, str] | None, str, dict[str, Any]]
ROWS: tuple[Sent, ...] = (
    # address, count, aligned, DKIM that passed, SPF domain that passed, enriched columns
    ("192.0.2.1", 900, "pass", ("senders.example", "google"), "senders.example", {}),
    ("192.0.2.2", 9, "fail", None, "", {"sender": "Zendesk", "sender_kind": "helpdesk", "sender_confidence": 0.9,
                                        "ptr": "out1.zendesk.com", "ptr_confirmed": True, "as_name": "Zendesk, Inc.",
                                        "asn": 21880, "country": "US", "ip_data": "ipinfo-lite 2026-11-20"}),
    ("192.0.2.3", 40, "fail", ("sendgrid.net", "s1"), "u1.sendgrid.net", {}),
    ("198.51.100.4", 5, "fail", (f"{EVIL}.example", EVIL), EVIL, {"ptr": EVIL, "as_name": EVIL, "country": "<b>"}),
    ("203.0.113.5", 3, "fail", None, "", {"sender": f"a/b?#%{EVIL}", "sender_kind": EVIL, "sender_confidence": 1.0}),
)  # fmt: skip


async def publish(harness: Harness, domain: Domain, back: int, rows: tuple[Sent, ...] = ROWS) -> None:
    """A report about a day with a record per row, their enriched columns filled."""
    day = TODAY - timedelta(days=back)
    begin = int(NOW.replace(hour=0).timestamp()) - back * 86_400
    records = tuple(
        Record(
            ip, count, "none", aligned, "fail", (), "senders.example", None, None,
            (DkimResult(*dkim, "pass", None),) if dkim else (),
            (SpfResult(spf, "mfrom", "pass", None),) if spf else (),
        )
        for ip, count, aligned, dkim, spf, _ in rows
    )  # fmt: skip
    policy = Policy(domain.name, "r", "r", "none", None, None, None, 100, None, None)
    report = AggregateReport(
        EVIL, "x@example.org", None, f"s{day}", begin, begin + 86_399, None, None, (), policy, records, ()
    )
    key = await harness.report(domain, report, publish=False)
    table = schema.rows(
        report, account_id=domain.account_id, domain_id=domain.id, domain=domain.name, received=NOW, report_key=key,
        object_key="",
    )  # fmt: skip
    for name in (
        "sender",
        "sender_kind",
        "sender_confidence",
        "ptr",
        "ptr_confirmed",
        "as_name",
        "asn",
        "country",
        "ip_data",
    ):
        values = pa.array([row[5].get(name) for row in rows], table.schema.field(name).type)
        table = table.set_column(table.schema.get_field_index(name), name, values)
    await harness.analytics.insert("dmarc_reports", table)
    await harness.arrivals.mark_published([key])


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def domain(harness: Harness) -> Domain:
    await harness.accounts.account_by_name("senders", create=True)
    await harness.accounts.add_user(OWNER, "senders")
    added = await harness.accounts.add_domain("senders.example", "senders")
    for back in (1, 2, 5):
        await publish(harness, added, back)
    return added


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def owner(harness: Harness, domain: Domain) -> AsyncIterator[httpx.AsyncClient]:
    async with await harness.logged_in(OWNER) as client:
        yield client


async def test_senders_are_listed_with_those_that_need_a_decision_first(owner: httpx.AsyncClient) -> None:
    page = await text(owner, f"{BASE}/senders")
    assert "5 senders · 26 Oct 2026 to 24 Nov 2026 (UTC)" in page
    assert "4 senders need your decision: 171 messages." in page
    assert "The largest is SendGrid, 120 messages, 0 % aligned." in page
    assert "Messages 2,871 of all senders DMARC pass 94.0 %" in page
    places = [page.index(name) for name in ("SendGrid transactional", "Zendesk helpdesk", "Signed by senders.example")]
    assert places == sorted(places)
    assert "not aligned yet needs your decision 120 0 % 0 % Fix it, if it is yours" in page
    assert "yours, aligned 2,700 100 % 0 % Nothing" in page
    only = await text(owner, f"{BASE}/senders?class=aligned")
    assert "Signed by senders.example, selector google" in only
    assert "SendGrid transactional" not in only
    assert "No sender is in this class." in await text(owner, f"{BASE}/senders?class=forwarder")
    assert "This page does not exist." in await text(owner, f"{BASE}/senders?page=2")
    answer = await owner.get(f"{BASE}/senders")
    assert answer.text.count('<svg class="volume"') == 5


async def test_the_page_of_the_domain_names_its_senders(owner: httpx.AsyncClient) -> None:
    page = await text(owner, BASE)
    assert "Who sends as senders.example 4 senders without your decision →" in page
    assert page.index("Signed by senders.example, selector google") < page.index("SendGrid transactional")


async def test_a_sender_has_a_page_with_its_evidence_and_fix(owner: httpx.AsyncClient) -> None:
    page = await text(owner, f"{BASE}/senders/dkim:sendgrid.net")
    assert "SendGrid not aligned yet transactional · seen 19 Nov 2026 to 23 Nov 2026 (UTC)" in page
    assert "The service is known, but its mail is not aligned yet. 0 of 120 messages are aligned (0 %)." in page
    assert "What to do:" in page
    assert "SendGrid: set-up guide" in page
    assert "Messages 120 4.2 % of the domain's DKIM aligned 0 % signs as sendgrid.net" in page
    assert "SPF aligned 0 % return path u1.sendgrid.net" in page
    assert "DKIM d=sendgrid.net passed" in page
    assert "grouped by the domain of its DKIM signature, which passed" in page
    assert "A decision records what you know. It changes no DNS and authorises no address." in page
    zendesk = await text(owner, f"{BASE}/senders/name:Zendesk")
    assert "192.0.2.2 out1.zendesk.com 27 AS21880 Zendesk, Inc. US" in zendesk
    assert "Why this name PTR zendesk.com is confirmed It is named from the stored evidence." in zendesk
    assert "Network and country: IP address data powered by IPinfo , Creative Commons" in zendesk
    for nothing in ("dkim:none.example", "nobody", "%0A"):
        assert (await owner.get(f"{BASE}/senders/{nothing}")).status_code == 404


async def test_a_sender_states_the_evidence_for_its_name(owner: httpx.AsyncClient, harness: Harness) -> None:
    """Evidence that is not the first of its rows, the domain's own signature, and an own name with its rule."""
    domain = await harness.accounts.add_domain("reasons.example", "senders")
    zendesk = {"sender": "Zendesk", "sender_kind": "helpdesk", "sender_confidence": 0.7, "ptr": "out1.zendesk.com",
               "ptr_confirmed": True}  # fmt: skip
    table = {"sender": "Somebody", "sender_kind": "crm", "sender_confidence": 0.4}
    claimed = {"sender": "Brevo", "sender_kind": "marketing", "sender_confidence": 0.5}
    rows: tuple[Sent, ...] = (
        ("192.0.2.1", 5, "fail", ("first.example", "s"), "", zendesk),
        ("192.0.2.2", 4, "fail", ("second.example", "s"), "", table),
        ("192.0.2.3", 3, "pass", ("reasons.example", "brevo1"), "", claimed),
        ("192.0.2.4", 2, "pass", ("reasons.example", "inv1"), "", {}),
        ("192.0.2.5", 1, "pass", ("reasons.example", "other"), "", {}),
    )
    await publish(harness, domain, 1, rows)
    rule = await harness.stores.senders.add_own_name(
        domain.account_id, "Invoices", "dkim", "reasons.example", selector="inv*"
    )
    base = "/domains/reasons.example/senders"
    assert "Why this name PTR out1.zendesk.com is confirmed It is named from" in await text(
        owner, f"{base}/name:Zendesk"
    )
    page = await text(owner, f"{base}/name:Somebody")
    assert "Somebody unknown CRM · seen" in page
    assert "Why this name Stored with its records: named by the file of base domains, or by evidence" in page
    page = await text(owner, f"{base}/name:Brevo")
    assert "marketing, by its selector only" in page
    assert "passed with the selector brevo1, which Brevo uses" in page
    assert "The name rests on a selector, which the sender chooses, so it may be wrong." in page
    page = await text(owner, f"{base}/name:Invoices")
    assert "You named it as a system of your own. 2 of 2 messages are aligned (100 %). Your decision" in page
    sentence = "You gave this name to messages with a DKIM signature of reasons.example and the selector inv*."
    assert f"Why this name {sentence} Results per reporter" in page
    page = await text(owner, f"{base}/self:other._domainkey.reasons.example")
    assert "Why this name DKIM d=reasons.example passed with the selector other It is grouped by" in page
    await harness.stores.senders.remove_own_name(domain.account_id, rule.id)


async def test_names_of_strangers_are_only_text(owner: httpx.AsyncClient) -> None:
    """On every page, and in every link: the page of a hostile name opens and shows it as text."""
    answer = await owner.get(f"{BASE}/senders")
    paths = set(re.findall(r'href="(/domains/senders\.example/senders/[^"?]+)"', answer.text))
    assert len(paths) == 5
    for path in (f"{BASE}/senders", BASE, *paths):
        page = await owner.get(path)
        assert page.status_code == 200, path
        assert EVIL not in page.text
    pages = [(await owner.get(path)).text for path in paths]
    assert any("a/b?#%&lt;script&gt;" in page for page in pages)


async def test_the_owner_decides(owner: httpx.AsyncClient, harness: Harness, domain: Domain) -> None:
    path = f"{BASE}/senders/dkim:sendgrid.net"
    csrf = re.search(r'name="csrf" value="([^"]+)"', (await owner.get(path)).text)
    assert csrf
    form = {"csrf": csrf[1], "decision": "mine", "name": f"News {EVIL}", "note": f"ours {EVIL}"}
    assert (await owner.post(f"{path}/decision", data={**form, "csrf": "x"})).status_code == 403
    assert (await owner.post(f"{path}/decision", data={**form, "decision": "perhaps"})).status_code == 400
    assert (await owner.post(f"{BASE}/senders/dkim:no.example/decision", data=form)).status_code == 404
    answer = await owner.post(f"{path}/decision", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    answer = await owner.get(path)
    assert EVIL not in answer.text
    assert 'value="mine" aria-pressed="true"' in answer.text
    page = await text(owner, path)
    assert "This stays open until newer reports show the alignment." in page
    assert "SendGrid, transactional · seen" in page
    assert f"Made by {OWNER}" in page
    assert "3 senders need your decision" in await text(owner, f"{BASE}/senders")
    assert "1 fix of your own senders is still open." in await text(owner, f"{BASE}/senders")
    decisions = await harness.stores.senders.decisions(domain.account_id, domain.id)
    assert decisions["dkim:sendgrid.net"].note == f"ours {EVIL}"
    async with await harness.logged_in("a@example.com") as stranger:
        assert (await stranger.get(path)).status_code == 404
        theirs = re.search(r'name="csrf" value="([^"]+)"', (await stranger.get("/")).text)
        assert theirs
        refused = await stranger.post(f"{path}/decision", data={**form, "csrf": theirs[1]})
        assert refused.status_code == 404
    assert (await owner.post(f"{path}/decision", data={**form, "decision": "none"})).status_code == 303
    assert await harness.stores.senders.decisions(domain.account_id, domain.id) == {}


async def test_kinds_are_shown_as_people_write_them(owner: httpx.AsyncClient, harness: Harness) -> None:
    """In the list of senders, and on the page of a sender."""
    added = await harness.accounts.add_domain("kinds.example", "senders")
    kinds = {"HubSpot": "crm", "Personio": "hr", "Little ISP": "isp", "Yahoo": "mailbox_provider"}
    columns = [{"sender": name, "sender_kind": kind, "sender_confidence": 0.9} for name, kind in kinds.items()]
    await publish(harness, added, 1, tuple(("192.0.2.9", 9, "fail", None, "", one) for one in columns))
    page = await text(owner, "/domains/kinds.example/senders")
    for shown in ("HubSpot CRM", "Personio HR", "Little ISP ISP", "Yahoo mailbox provider"):
        assert shown in page
    assert "HubSpot not aligned yet CRM · seen" in await text(owner, "/domains/kinds.example/senders/name:HubSpot")


async def test_a_domain_without_reports_says_what_to_do(owner: httpx.AsyncClient, harness: Harness) -> None:
    await harness.accounts.add_domain("empty-senders.example", "senders")
    page = await text(owner, "/domains/empty-senders.example/senders")
    assert "No report is about these days." in page
    assert "Records to publish →" in page


async def test_a_fix_is_cut_into_text_and_records_to_copy() -> None:
    fix = "Publish s1._domainkey.DOMAIN as a CNAME and add `include:x.example` to the SPF record of DOMAIN."
    assert fix_pieces(fix, "example.com") == (
        FixPiece("Publish ", False),
        FixPiece("s1._domainkey.example.com", True),
        FixPiece(" as a CNAME and add ", False),
        FixPiece("include:x.example", True),
        FixPiece(" to the SPF record of example.com.", False),
    )
    assert fix_pieces("", "example.com") == ()
