"""The change plan, unused SPF terms and documents for auditors over REST, with a name server on loopback."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from dmarcworks.catalogue.audit import Actor, acting
from dmarcworks.enrich.senders.classify import OwnerDecision
from dmarcworks.wiring.http import http_app
from tests.support.harness import HOST, Harness, opened_harness
from tests.support.outside import Names, answering
from tests.support.policy_reports import DOMAIN, report

pytestmark = pytest.mark.asyncio(loop_scope="module")

RECORD = "v=DMARC1; p=none; fo=1"
HOSTILE = "&lt;b&gt;Größe&lt;/b&gt; \u202eevil\u202c " + "x" * 2_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def names() -> AsyncIterator[Names]:
    records = Names()
    records.add(
        {
            (f"_dmarc.{DOMAIN}", "TXT"): RECORD,
            (DOMAIN, "SOA"): "ns.policy.example. a.policy.example. 1 2 3 4 5",
            (DOMAIN, "TXT"): "v=spf1 ip4:192.0.2.0/28 include:spf.other.example -all",
            ("spf.other.example", "TXT"): "v=spf1 ip4:100.64.0.0/24 -all",
        }
    )
    with answering(records):
        yield records


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def harness(names: Names, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Harness]:
    """policy.example with reports of 28 days under p=none; one reporter's name is hostile."""
    async with opened_harness(tmp_path_factory.mktemp("plan") / "home", dns_server=names.server) as made:
        made.app = http_app(made.settings, made.stores, made.analytics, f"https://{HOST}")
        for name, account in ((DOMAIN, "mine"), ("their.example", "theirs")):
            await made.add_domain(name, account)
        mine = made.domains[DOMAIN].account_id
        for scope in ("read", "write", "admin"):
            made.secrets[scope], _ = await made.accounts.create_token(mine, scope, scope)
        today = int(time.time()) // 86_400 * 86_400
        for back in range(1, 29):
            org = HOSTILE if back == 1 else f"mail{back % 3}.example"
            body = report(today - back * 86_400, report_id=f"p{back}", org=org)
            await made.upload("write", DOMAIN, body, f"p{back}.xml")
        with acting(Actor("user", "owner@policy.example", "192.0.2.77")):
            await made.stores.senders.decide(
                made.domains[DOMAIN], "dkim:sendgrid.net", OwnerDecision.not_mine, note="<i>ours?</i>"
            )
        yield made


async def test_a_plan_has_each_change_whole(harness: Harness) -> None:
    plan = await harness.get("read", f"/domains/{DOMAIN}/policy/plan")
    assert list(plan) == ["domain", "changes", "notes", "spf"]
    rua = harness.domains[DOMAIN].rua
    appended = plan["changes"][0]
    assert appended == {
        "code": "dmarc-rua",
        "name": f"_dmarc.{DOMAIN}",
        "type": "TXT",
        "before": [RECORD],
        "after": f"{RECORD}; rua=mailto:{rua}",
        "difference": [
            {"text": RECORD, "state": "same"},
            {"text": f"; rua=mailto:{rua}", "state": "added"},
        ],
        "why": "Reports do not come here by this record: our address is not in its rua. All else in it stays as it is.",
        "risk": {
            "summary": "None: how mail is treated does not change. Reports may be sent to one more address.",
            "replayed": False,
            "messages": 0,
            "affected": 0,
            "yours_affected": 0,
            "senders": [],
            "more_senders": 0,
        },
        "back": f"Publish the TXT record of before at _dmarc.{DOMAIN} again.",
        "obstacle": "",
    }
    # The stranger below ghost.policy.example and the forwarder wait for a decision: no step is proposed.
    assert [one["code"] for one in plan["changes"]] == ["dmarc-rua", "spf-prune"]
    assert plan["changes"][1]["after"] == plan["spf"]["trimmed"] == "v=spf1 ip4:192.0.2.0/28 -all"
    assert plan["notes"][0].startswith("No change of the policy is proposed: Stay at p=none.")


async def test_unused_terms_by_period(harness: Harness) -> None:
    found = await harness.get("read", f"/domains/{DOMAIN}/spf-prune", params={"days": "30"})
    assert [(one["term"], one["state"], one["messages"], one["lookups"]) for one in found["terms"]] == [
        ("ip4:192.0.2.0/28", "used", 28 * 900, 0),
        ("include:spf.other.example", "unused", 0, 1),
        ("-all", "kept", 0, 0),
    ]
    assert (found["trimmed"], found["lookups"], found["saved"]) == ("v=spf1 ip4:192.0.2.0/28 -all", 1, 1)
    response = await harness.request("read", "GET", f"/domains/{DOMAIN}/spf-prune?days=3")
    assert response.status_code == 422


async def test_a_parked_domain(harness: Harness) -> None:
    plan = await harness.get("read", f"/domains/{DOMAIN}/policy/plan", params={"parked": "true"})
    assert [(one["name"], one["type"]) for one in plan["changes"]] == [
        (DOMAIN, "MX"),
        (DOMAIN, "TXT"),
        (f"*._domainkey.{DOMAIN}", "TXT"),
        (f"_dmarc.{DOMAIN}", "TXT"),
    ]
    assert plan["changes"][1]["risk"]["affected"] == 28 * 40
    assert plan["notes"][-1].startswith(f"Senders that are yours sent {28 * 960:,} messages in this period")
    assert plan["spf"] is None


async def test_an_alias_and_a_zone_of_its_own(harness: Harness, names: Names) -> None:
    for name in ("alias.example", "zone.example"):
        await harness.accounts.add_domain(name, "mine")
    names.add(
        {
            ("_dmarc.alias.example", "CNAME"): "d.provider.example.",
            ("d.provider.example", "TXT"): RECORD,
            ("_dmarc.zone.example", "TXT"): RECORD,
            ("_dmarc.zone.example", "SOA"): "ns.provider.example. a.provider.example. 1 2 3 4 5",
            ("_dmarc.zone.example", "NS"): ["ns2.provider.example.", "ns1.provider.example."],
        }
    )
    plan = await harness.get("read", "/domains/alias.example/policy/plan")
    assert plan["changes"][0]["before"] == [RECORD]
    assert plan["changes"][0]["obstacle"].startswith("_dmarc.alias.example is an alias (CNAME) of d.provider.example:")
    plan = await harness.get("read", "/domains/zone.example/policy/plan")
    assert plan["changes"][0]["obstacle"] == (
        "_dmarc.zone.example is in _dmarc.zone.example, a zone of its own, served by ns1.provider.example,"
        " ns2.provider.example: change the record there."
    )


async def test_a_document_as_json(harness: Harness) -> None:
    found = await harness.get("admin", "/evidence", params={"domains": DOMAIN})
    (one,) = found["domains"]
    assert (one["messages"], one["passed"], one["failed"], one["enforced"]) == (28_000, 26_880, 1_120, 0)
    assert [(span["policy"], span["days"], span["reports"], span["others"]) for span in one["policies"]] == [
        ("p=none", 28, 28, 0)
    ]
    decided = next(row for row in one["senders"] if row["decision"])
    assert (decided["sender"], decided["decision"], decided["messages"]) == ("SendGrid", "not_mine", 28 * 25)
    # The uploads are changes of the account, those of the domain are its addition and the decision.
    assert [row["action"] for row in one["changes"] if not row["action"].startswith("report.")] == [
        "domain.add",
        "sender.decide",
    ]
    # Without scope admin the document has no names of people.
    found = await harness.get("read", "/evidence", params={"domains": DOMAIN})
    assert found["domains"][0]["changes"] is None
    assert (await harness.request("read", "GET", "/evidence?domains=their.example")).status_code == 404


async def test_a_document_shows_hostile_text_as_text(harness: Harness) -> None:
    response = await harness.request("admin", "GET", f"/evidence?domains={DOMAIN}&format=html")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-disposition"].startswith('attachment; filename="dmarc-')
    page = response.text
    assert "<b>Gr" not in page
    assert "&lt;b&gt;Größe&lt;/b&gt;" in page
    assert "\u202e" not in page
    assert "x" * 201 not in page
    assert "&lt;i&gt;ours?&lt;/i&gt;" in page
    assert "<td>owner@policy.example" not in page
    assert "<bdi>owner@policy.example</bdi> <small>user</small>" in page


async def test_a_document_as_pdf(harness: Harness) -> None:
    response = await harness.request("admin", "GET", f"/evidence?domains={DOMAIN}&format=pdf")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/pdf"
    assert response.content.startswith(b"%PDF-")
    assert response.content.rstrip().endswith(b"%%EOF")


async def test_without_the_package_pdf_is_refused_with_what_to_install(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    response = await harness.request("admin", "GET", f"/evidence?domains={DOMAIN}&format=pdf")
    assert response.status_code == 501
    assert "install the Python package weasyprint (the extra dmarcworks[pdf])" in response.json()["detail"]


async def test_a_domain_without_reports_has_an_empty_document(harness: Harness) -> None:
    await harness.accounts.add_domain("empty.example", "mine")
    found = await harness.get("admin", "/evidence", params={"domains": "empty.example"})
    (one,) = found["domains"]
    assert (one["messages"], one["policies"], one["senders"]) == (0, [], [])
    response = await harness.request("admin", "GET", "/evidence?domains=empty.example&format=html")
    assert "No report of the period states a policy of this very domain." in response.text
