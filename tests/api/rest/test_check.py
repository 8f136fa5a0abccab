"""The DNS records of a domain over REST: the same object as the command's, only for the account's own domains."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from dmarcworks.errors import BusyError
from dmarcworks.policy.dns_records.checker import RecordChecker
from dmarcworks.policy.dns_records.report_card import CardRequest
from dmarcworks.wiring.http import http_app
from tests.support.dns_server import dns_server
from tests.support.harness import HOST, Harness, opened_harness
from tests.support.rest import aggregate

RECORDS = {
    ("_dmarc.one.example", "TXT"): ['"v=DMARC1; p=reject; rua=mailto:d@one.example"'],
    ("one.example", "TXT"): ['"v=spf1 -all"'],
    ("one.example", "MX"): ["10 mx.one.example."],
    ("mx.one.example", "A"): ["192.0.2.1"],
    ("s1._domainkey.one.example", "TXT"): ['"v=DKIM1; p="'],
}


@pytest_asyncio.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    with dns_server(RECORDS) as port:
        async with opened_harness(tmp_path / "home", dns_server=f"127.0.0.1:{port}") as made:
            made.app = http_app(made.settings, made.stores, made.analytics, f"https://{HOST}")
            for name, account in (("one.example", "mine"), ("their.example", "theirs")):
                await made.add_domain(name, account)
            mine = made.domains["one.example"].account_id
            made.secrets["write"], _ = await made.accounts.create_token(mine, "write", "write")
            made.secrets["read"], _ = await made.accounts.create_token(mine, "read", "read")
            yield made


async def test_a_domain_is_checked_now(harness: Harness) -> None:
    """Findings, the policy that applies and SPF; selectors are optional."""
    body = await harness.get("read", "/domains/one.example/check", params={"selectors": "s1,s2"})
    assert list(body) == ["domain", "findings", "effective", "spf", "answered"]
    assert body["answered"] is True
    assert body["spf"] == {"record": "v=spf1 -all", "lookups": 0, "void_lookups": 0}
    assert body["effective"] == {
        "record_domain": "one.example",
        "organizational_domain": "one.example",
        "policy": "reject",
        "tag": "p",
        "adkim": "r",
        "aspf": "r",
        "testing": False,
    }
    assert {finding["code"] for finding in body["findings"] if finding["check"] in ("dmarc", "dkim", "mx")} == {
        "dmarc-policy-reject",
        "dmarc-rua-present",
        "dkim-key-revoked",
        "dkim-key-missing",
        "mx-present",
    }


async def test_selectors_of_reports_are_checked(harness: Harness) -> None:
    """Those that signed as the domain; a key that is not there is a warning, because the signature may be forged."""
    now = int(time.time()) - 86_400
    report = aggregate("one.example", "r1", begin=now - now % 86_400).replace(b"s1</selector>", b"s3</selector>", 1)
    await harness.upload("write", "one.example", report, "r.xml")
    body = await harness.get("read", "/domains/one.example/check")
    found = {(finding["code"], finding["severity"]) for finding in body["findings"] if finding["check"] == "dkim"}
    assert found == {("dkim-key-revoked", "warning"), ("dkim-key-missing-seen", "warning")}


async def test_another_account_s_domain_is_not_checked(harness: Harness) -> None:
    """The same response as for one that does not exist."""
    for name in ("their.example", "nobody.example"):
        response = await harness.request("read", "GET", f"/domains/{name}/check")
        assert response.status_code == 404
    assert (await harness.request("read", "GET", "/domains/one.example/check?selectors=a%20b")).status_code == 422


async def test_checks_at_the_same_time_are_bounded() -> None:
    """The ninth is refused for now; those that run are not disturbed."""
    with dns_server(RECORDS) as port:
        checker = RecordChecker(f"127.0.0.1:{port}")
        results = await asyncio.gather(*(checker(CardRequest("one.example")) for _ in range(9)), return_exceptions=True)
        assert [isinstance(result, BusyError) for result in results] == [False] * 8 + [True]
        assert (await checker(CardRequest("one.example"))).effective.policy == "reject"
