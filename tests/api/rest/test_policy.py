"""Policies over REST: advice, replay, the file, and what is refused."""

from __future__ import annotations

import csv
import io

import pytest

from tests.support.harness import Harness
from tests.support.policy_reports import DOMAIN, report
from tests.support.rest import BEGIN

pytestmark = pytest.mark.asyncio(loop_scope="package")

PERIOD = {"first": "2026-11-20", "last": "2026-11-25"}
PATH = f"/domains/{DOMAIN}/policy"


async def test_a_policy_is_replayed(harness: Harness) -> None:
    await harness.stores.accounts.add_domain(DOMAIN, "mine")
    published = "<adkim>r</adkim><p>quarantine</p><sp>quarantine</sp><pct>100</pct>"
    await harness.upload("write", DOMAIN, report(BEGIN, policy=published), "policy.xml")
    replayed = await harness.get("read", f"{PATH}/replay", params={**PERIOD, "if": "p=reject,sp=none,adkim=s"})
    assert [replayed[name] for name in ("domain", "from", "to", "messages", "affected", "rejected")] == [
        DOMAIN, "2026-11-20", "2026-11-25", 1000, 95, 95,
    ]  # fmt: skip
    assert [(one["class"], one["messages"], one["affected"]) for one in replayed["classes"]] == [
        ("aligned", 960, 60),
        ("forwarder", 10, 10),
        ("unaligned", 25, 25),
        ("unknown", 5, 0),
    ]
    assert replayed["yours"] == {"messages": 960, "affected": 60, "quarantined": 0, "rejected": 60}
    assert replayed["dispositions"] == {"none": 95}
    assert (replayed["senders_total"], replayed["sources_total"], len(replayed["sources"])) == (5, 3, 3)
    short = await harness.get("read", f"{PATH}/replay", params={**PERIOD, "if": "p=reject", "limit": 1})
    assert (len(short["senders"]), len(short["sources"]), short["affected"]) == (1, 1, 40)
    answer = await harness.request(
        "read", "GET", f"{PATH}/replay", params={**PERIOD, "if": "p=reject", "format": "csv"}
    )
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["by"], row["name"], row["affected"]) for row in rows][:3] == [
        ("sender", "SendGrid", "25"),
        ("sender", "198.51.100.0/24", "10"),
        ("sender", "'=cmd.example", "5"),
    ]
    advice = await harness.get("read", PATH, params=PERIOD)
    assert (advice["policy"]["p"], advice["policy"]["sp"], advice["since"]) == (
        "quarantine",
        "quarantine",
        "2026-11-23",
    )
    assert advice["source"] == "policy_published in the reports about 2026-11-23 from mail.example"
    assert (advice["next"], advice["ready"], advice["stay"]) == ("p=reject", False, True)
    assert [step["policy"] for step in advice["plan"]] == ["p=quarantine", "p=reject"]


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ({"if": "p=rejct"}, 400, "p must be none, quarantine or reject, not 'rejct'"),
        ({}, 400, "the policy has no tag p; write it like p=reject,sp=none"),
        ({"if": "p=reject", "policy": "x"}, 400, "policy"),
        ({"if": "p=reject", "limit": "0"}, 422, "limit"),
        ({"if": "p=reject", "days": "2", "first": "2026-11-01"}, 400, "days and first exclude each other"),
    ],
)
async def test_what_is_refused(harness: Harness, query: dict[str, str], status: int, text: str) -> None:
    answer = await harness.request("read", "GET", "/domains/one.example/policy/replay", params=query)
    assert (answer.status_code, text in answer.text) == (status, True), answer.text


async def test_another_accounts_domain_is_not_there(harness: Harness) -> None:
    for path in ("policy", "policy/replay?if=p=none"):
        assert (await harness.request("theirs", "GET", f"/domains/one.example/{path}")).status_code == 404
