"""Scheduled checks over a real DNS server, as REST shows them: stored checks, history and silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest_asyncio

from dmarcworks.catalogue.dns_history import DnsHistory
from dmarcworks.catalogue.dns_states import ObservedRecords, RecordKind
from dmarcworks.process.metrics import Metrics
from dmarcworks.upkeep.dns_checks import RecordChecks
from dmarcworks.wiring.dns_checks import record_checks
from dmarcworks.wiring.http import http_app
from tests.support.catalogue import Clock
from tests.support.dns_server import dns_server
from tests.support.harness import HOST, Harness, opened_harness
from tests.support.rest import aggregate

NONE, REJECT = "v=DMARC1; p=none; rua=mailto:d@one.example", "v=DMARC1; p=reject; rua=mailto:d@one.example"


def published() -> dict[tuple[str, str], list[str]]:
    return {
        ("_dmarc.one.example", "TXT"): [f'"{NONE}"'],
        ("one.example", "TXT"): ['"v=spf1 ip4:192.0.2.0/24 -all"'],
        ("one.example", "MX"): ["10 mx.one.example."],
        ("mx.one.example", "A"): ["192.0.2.1"],
    }


class Checked(Harness):
    """The test system with its scheduled checks and the records that they find."""

    records: dict[tuple[str, str], list[str]]
    checks: RecordChecks

    async def check(self) -> None:
        """Make the checks that are due."""
        await self.checks.step()
        await asyncio.gather(*self.checks._running)


@pytest_asyncio.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Checked]:
    records = published()
    with dns_server(records) as port:
        server = f"127.0.0.1:{port}"
        async with opened_harness(tmp_path / "home", dns_server=server) as made, AsyncExitStack() as stack:
            made.app = http_app(made.settings, made.stores, made.analytics, f"https://{HOST}")
            for name, account in (("one.example", "mine"), ("their.example", "theirs")):
                await made.add_domain(name, account)
            mine = made.domains["one.example"].account_id
            for scope in ("write", "read"):
                made.secrets[scope], _ = await made.accounts.create_token(mine, scope, scope)
            made.__class__ = Checked
            assert isinstance(made, Checked)
            made.records = records
            made.checks = record_checks(made.settings, made.context, Metrics(), stack)
            yield made


async def test_before_the_first_check_there_is_a_schedule_at_most(harness: Checked) -> None:
    body = await harness.get("read", "/domains/one.example/checks")
    assert body == {
        "domain": "one.example", "checked": None, "resolver": None, "card": None, "records": [], "next": [],
        "selectors": [],
    }  # fmt: skip
    body = await harness.get("read", "/domains/one.example/history")
    assert (body["records"], body["changes"], body["seen"], body["reporters"]) == ([], [], [], [])
    body = await harness.get("read", "/domains/one.example/silence")
    assert body == {"domain": "one.example", "newest": None, "silent": None, "reporters": [], "alignment": []}


async def test_a_requested_check_is_made_in_the_background_and_stored(harness: Checked) -> None:
    assert (await harness.request("read", "POST", "/domains/one.example/checks", json={})).status_code == 403
    refused = await harness.request("write", "POST", "/domains/one.example/checks", json={"selectors": ["a b"]})
    assert refused.status_code == 422
    answer = await harness.request("write", "POST", "/domains/one.example/checks", json={"selectors": ["s9"]})
    assert answer.status_code == 202
    requested = answer.json()
    assert (requested["card"], requested["selectors"]) == (None, ["s9"])
    assert [(one["part"], one["checked"]) for one in requested["next"]] == [("dmarc", None), ("records", None)]
    assert all(one["requested"] for one in requested["next"])
    await harness.check()
    body = await harness.get("read", "/domains/one.example/checks")
    assert body["resolver"] == harness.settings.dns_server
    assert [one["requested"] for one in body["next"]] == [None, None]
    assert (body["card"]["effective"]["policy"], body["card"]["answered"]) == ("none", True)
    assert {"dmarc-policy-none", "dkim-key-missing"} <= {one["code"] for one in body["card"]["findings"]}
    records = {(one["kind"], one["name"]): one["records"] for one in body["records"]}
    assert records["dmarc", "_dmarc.one.example"] == [NONE]
    assert records["dkim", "s9._domainkey.one.example"] == []
    for path in ("checks", "history", "silence"):
        assert (await harness.request("read", "GET", f"/domains/their.example/{path}")).status_code == 404


async def test_a_change_is_in_the_history_with_what_reporters_saw(harness: Checked) -> None:
    await harness.request("write", "POST", "/domains/one.example/checks", json={})
    await harness.check()
    harness.records["_dmarc.one.example", "TXT"] = [f'"{REJECT}"']
    # Another resolver of the same process remembers answers for as long as their TTL.
    async with AsyncExitStack() as stack:
        harness.checks = record_checks(harness.settings, harness.context, Metrics(), stack)
        await harness.request("write", "POST", "/domains/one.example/checks", json={})
        await harness.check()
    now = int(datetime.now(UTC).timestamp()) - 86_400
    await harness.upload("write", "one.example", aggregate("one.example", "r1", begin=now - now % 86_400), "r.xml")
    body = await harness.get("read", "/domains/one.example/history")
    newest = body["changes"][0]
    assert (newest["kind"], newest["name"], newest["what"]) == ("dmarc", "_dmarc.one.example", "changed")
    assert (newest["before"], newest["now"]) == ([NONE], [REJECT])
    assert [piece["text"] for piece in newest["added"] if piece["changed"]] == ["reject"]
    assert newest["after"] < newest["at"]
    assert {(one["kind"], one["what"]) for one in body["changes"][1:]} == {
        ("dmarc", "first seen"), ("spf", "first seen"), ("mx", "first seen"),
    }  # fmt: skip
    (seen,) = body["seen"]
    assert (seen["policy"], seen["days"], seen["reports"]) == ("p=none", 1, 1)
    assert [one["reporter"] for one in body["reporters"]] == seen["reporters"]


async def test_silence_names_the_lost_authorisation(harness: Checked) -> None:
    """Daily reports until nine days ago; the authorisation was gone the day after the last."""
    domain, today = harness.domains["one.example"], datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for back in range(9, 15):
        begin = int((today - timedelta(days=back)).timestamp())
        await harness.upload("write", "one.example", aggregate("one.example", f"r{back}", begin=begin), "r.xml")
    clock = Clock()
    history = DnsHistory(harness.stores.database, clock=clock)
    name = f"one.example._report._dmarc.{HOST}"
    for back, records in ((12.0, ("v=DMARC1",)), (8.5, ("v=DMARC1",)), (8.4, ())):
        clock.now = (today - timedelta(days=back)).timestamp()
        await history.store(domain.account_id, domain.id, [ObservedRecords(RecordKind.authorisation, name, records)])
    body = await harness.get("read", "/domains/one.example/silence")
    last = (today - timedelta(days=9)).date().isoformat()
    assert body["newest"] == last
    for one in (body["silent"], *body["reporters"]):
        assert (one["last"], one["days"], one["usual"]) == (last, 9, 1)
        assert (one["cause"]["lost"], one["cause"]["change"]) == (True, name)
    assert body["silent"]["reporter"] is None
    assert len(body["reporters"]) == 1


async def test_spf_is_evaluated_for_an_address(harness: Checked) -> None:
    query = {"spf_ip": "192.0.2.9", "mail_from": "me@one.example", "helo": "mx.one.example", "selector": "s1"}
    body = await harness.get("read", "/domains/one.example/check", params=query)
    spf = body["spf"]
    assert (spf["result"], spf["mechanism"], spf["lookups"]) == ("pass", "ip4:192.0.2.0/24", 0)
    assert spf["trace"]
    assert "dkim-key-missing" in {one["code"] for one in body["findings"]}
    for wrong in ({"spf_ip": "nine"}, {"mail_from": "me@one.example"}, {"helo": "x"}):
        answer = await harness.request("read", "GET", "/domains/one.example/check", params=wrong)
        assert answer.status_code == 400, wrong


async def test_a_report_about_a_domain_that_nobody_added_adds_none(harness: Checked) -> None:
    """It is kept as a problem; no domain, no schedule and no look-up come of it."""
    before = await harness.accounts.domains()
    await harness.upload("write", "one.example", aggregate("stranger.example", "r1"), "r.xml")
    assert await harness.accounts.domains() == before
    await harness.check()
    names = harness.sql("SELECT DISTINCT name FROM dns_states WHERE name LIKE '%stranger%'")
    assert names == []
    scheduled = harness.sql("SELECT DISTINCT d.name FROM dns_checks c JOIN domains d ON d.id = c.domain_id ORDER BY 1")
    assert scheduled == [("one.example",), ("their.example",)]
