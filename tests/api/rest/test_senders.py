"""Senders over REST: the list with filters, one sender, decisions and own names, each seen by its own account only."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from tests.support.harness import Harness
from tests.support.rest import BEGIN
from tests.support.sender_reports import report

pytestmark = pytest.mark.asyncio(loop_scope="package")

PERIOD = {"first": "2026-11-20", "last": "2026-11-25"}


@pytest.fixture(scope="module")
def path() -> str:
    return "/domains/senders.example/senders"


async def test_senders_of_a_domain(harness: Harness, path: str) -> None:
    """In one story, since each step builds on the one before: list, filter, decide, name, withdraw."""
    await harness.stores.accounts.add_domain("senders.example", "mine")
    await harness.upload("write", "senders.example", report(), "services.xml")
    listed = await harness.get("read", path, params=PERIOD)
    assert [(row["id"], row["name"], row["sender"], row["kind"], row["messages"]) for row in listed["items"]] == [
        ("name:SendGrid", "SendGrid", "SendGrid", "transactional", 40),
        ("block:192.0.2.0", "192.0.2.0/24", "", "", 20),
        ("envelope~PGI-LmV4YW1wbGU", "<b>.example", "", "", 10),
        ("dkim~PWNtZHx4LmV4YW1wbGU", "=cmd|x.example", "", "", 5),
        ("self:own._domainkey.senders.example", "Signed by senders.example, selector own", "", "", 30),
    ]
    assert [(row["class"], row["needs_decision"], row["open"]) for row in listed["items"]] == [
        ("unaligned", True, True),
        *[("unknown", True, True)] * 3,
        ("aligned", False, False),
    ]
    sendgrid = listed["items"][0]
    assert sendgrid["fix"].startswith("In the SendGrid console")
    assert sendgrid["setup"].startswith("https://")
    assert sendgrid["because"][0] == "The service is known, but its mail is not aligned yet."
    totals = await harness.get("read", "/domains/senders.example/figures", params=PERIOD)
    assert sum(row["messages"] for row in listed["items"]) == totals["messages"] == 105

    async def names(**query: str) -> list[str]:
        return [row["name"] for row in (await harness.get("read", path, params={**PERIOD, **query}))["items"]]

    assert await names(order="messages", limit="2") == ["SendGrid", "Signed by senders.example, selector own"]
    assert await names(**{"class": "aligned"}) == ["Signed by senders.example, selector own"]
    assert await names(q="sendg") == ["SendGrid"]
    assert len(await names(needs_decision="true")) == 4
    assert len(await names(decision="none")) == 5
    assert await names(decision="mine") == []
    first = await harness.get("read", path, params={**PERIOD, "limit": 3})
    second = await harness.get("read", path, params={**PERIOD, "limit": 3, "cursor": first["next"]})
    assert first["items"] + second["items"] == listed["items"]
    assert second["next"] is None
    assert (await harness.request("read", "GET", path, params={**PERIOD, "class": "nonsense"})).status_code == 422

    answer = await harness.request("read", "GET", path, params={**PERIOD, "format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(line["name"], line["messages"], line["class"]) for line in lines] == [
        ("SendGrid", "40", "unaligned"),
        ("192.0.2.0/24", "20", "unknown"),
        ("<b>.example", "10", "unknown"),
        ("'=cmd|x.example", "5", "unknown"),
        ("Signed by senders.example, selector own", "30", "aligned"),
    ]
    await _one(harness, path)
    await _decisions(harness, path)
    await _own_names(harness, path)


async def _one(harness: Harness, path: str) -> None:
    one = await harness.get("read", f"{path}/name:SendGrid", params=PERIOD)
    assert one == await harness.get("read", f"{path}/sendgrid", params=PERIOD)
    assert (one["messages"], one["dispositions"], one["reasons"]) == (40, {"none": 40}, {})
    assert one["named_because"] == ["DKIM d=sendgrid.net passed"]
    assert one["days"] == [{"day": "2026-11-23", "messages": 40, "passed": 0}]
    assert [(row["domain"], row["selector"], row["valid"]) for row in one["selectors"]] == [("sendgrid.net", "s1", 40)]
    assert [(row["source_ip"], row["spf_valid"]) for row in one["addresses"]] == [("192.0.2.10", 40)]
    assert [(row["envelope_from"], row["header_from"]) for row in one["pairs"]] == [
        ("b.sendgrid.net", "senders.example")
    ]
    assert [(row["org_name"], row["messages"]) for row in one["results"]] == [("mail.example", 40)]
    assert one["failures"] == []
    addresses = await harness.get("read", f"{path}/name:SendGrid/addresses", params=PERIOD)
    assert addresses == {"items": one["addresses"], "next": None}
    hostile = await harness.get("read", f"{path}/envelope~PGI-LmV4YW1wbGU", params=PERIOD)
    assert hostile["name"] == "<b>.example"
    for nothing in ("dkim:none.example", "nobody", "name~%00", "x" * 1700, "%0A"):
        answer = await harness.request("read", "GET", f"{path}/{nothing}", params=PERIOD)
        assert (answer.status_code, answer.json()["detail"]) == (404, "there is no such sender in this period")


async def _decisions(harness: Harness, path: str) -> None:
    decision = f"{path}/name:SendGrid/decision"
    body = {"decision": "mine", "name": "Newsletter", "note": "since May"}
    refused = await harness.request("read", "PUT", decision, params=PERIOD, json=body)
    assert refused.status_code == 403
    made = await harness.request("write", "PUT", decision, params=PERIOD, json=body)
    assert made.status_code == 200
    told = {name: made.json()[name] for name in (*body, "sender", "decided_by")}
    assert told == {**body, "sender": "name:SendGrid", "decided_by": told["decided_by"]}
    one = await harness.get("read", f"{path}/Newsletter", params=PERIOD)
    assert one["decision"] == made.json()
    # It is theirs, but not aligned: it stays open until newer reports show the alignment.
    assert (one["name"], one["sender"], one["class"], one["needs_decision"], one["open"]) == (
        "Newsletter", "SendGrid", "unaligned", False, True,
    )  # fmt: skip
    assert one["fix"].startswith("In the SendGrid console")
    for wrong in ({"decision": "maybe"}, {"decision": "mine", "name": "x" * 101}, {}):
        assert (await harness.request("write", "PUT", decision, params=PERIOD, json=wrong)).status_code == 422
    assert (
        await harness.request("write", "PUT", decision, params=PERIOD, json={**body, "name": "a\nb"})
    ).status_code == 400
    missing = await harness.request("write", "PUT", f"{path}/nobody/decision", params=PERIOD, json=body)
    assert missing.status_code == 404
    for who in ("theirs", "limited", "limited admin"):
        assert (await harness.request(who, "PUT", decision, params=PERIOD, json=body)).status_code == 404
        assert (await harness.request(who, "DELETE", decision, params=PERIOD)).status_code == 404
    assert (await harness.request("write", "DELETE", decision, params=PERIOD)).status_code == 204
    assert (await harness.request("write", "DELETE", decision, params=PERIOD)).status_code == 404
    assert (await harness.get("read", f"{path}/sendgrid", params=PERIOD))["decision"] is None


async def _own_names(harness: Harness, path: str) -> None:
    body: dict[str, Any] = {"name": "Billing", "evidence": "block", "value": "192.0.2.77"}
    assert (await harness.request("read", "POST", "/own-senders", json=body)).status_code == 403
    assert (await harness.request("limited", "POST", "/own-senders", json=body)).status_code == 403
    made = await harness.request("write", "POST", "/own-senders", json=body)
    assert made.status_code == 201
    own = made.json()
    assert (own["name"], own["value"], own["selector"]) == ("Billing", "192.0.2.77/32", "")
    assert (await harness.request("write", "POST", "/own-senders", json=body)).status_code == 409
    assert (await harness.request("write", "POST", "/own-senders", json={**body, "value": "x"})).status_code == 400
    assert await harness.get("read", "/own-senders") == {"items": [own], "next": None}
    assert await harness.get("theirs", "/own-senders") == {"items": [], "next": None}
    one = await harness.get("read", f"{path}/Billing", params=PERIOD)
    assert (one["id"], one["kind"], one["class"], one["messages"]) == ("name:Billing", "own", "unaligned", 20)
    where = f"/own-senders/{own['id']}"
    assert made.headers["location"] == f"/api/v1{where}"
    assert (await harness.request("theirs", "GET", where)).status_code == 404
    assert (await harness.request("theirs", "DELETE", where)).status_code == 404
    assert await harness.get("read", where) == own
    assert (await harness.request("write", "DELETE", where, headers={"If-Match": '"x"'})).status_code == 412
    assert (await harness.request("write", "DELETE", where)).status_code == 204
    assert (await harness.request("write", "DELETE", where)).status_code == 404
    assert (await harness.request("read", "GET", f"{path}/Billing", params=PERIOD)).status_code == 404


async def test_a_decision_closes_when_newer_reports_show_the_alignment(harness: Harness) -> None:
    """The old messages of the period are still not aligned: the days after the decision count."""
    await harness.stores.accounts.add_domain("fixed.example", "mine")
    path, period = "/domains/fixed.example/senders", {"first": "2026-11-20", "last": "2027-01-20"}
    old = report("old").replace(b"senders.example", b"fixed.example")
    await harness.upload("write", "fixed.example", old, "old.xml")
    body = {"decision": "mine"}
    assert (
        await harness.request("write", "PUT", f"{path}/name:SendGrid/decision", params=period, json=body)
    ).status_code == 200
    assert (await harness.get("read", f"{path}/SendGrid", params=period))["open"] is True
    fixed = report("new", BEGIN + 50 * 86_400).replace(b"senders.example", b"fixed.example")
    fixed = fixed.replace(b"<dkim>fail</dkim>", b"<dkim>pass</dkim>", 1)
    await harness.upload("write", "fixed.example", fixed, "new.xml")
    one = await harness.get("read", f"{path}/SendGrid", params=period)
    assert (one["messages"], one["passed"], one["class"], one["open"], one["fix"]) == (80, 40, "aligned", False, None)
