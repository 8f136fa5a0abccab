"""Promise: a row names network, country, host and sender as they are known when it is stored; the rest is NULL."""

from __future__ import annotations

import dataclasses
import json
import uuid
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from dmarcworks.analytics import schema
from dmarcworks.analytics.enrichment import COLUMNS, Enrichment, SignatureEvidence, SourceEvidence
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.enrich.network.addresses import AddressName
from dmarcworks.enrich.network.ip_data import NO_FACTS, IpFacts
from dmarcworks.reports.model import AggregateReport, DkimResult, SpfResult
from tests.support.analytics_samples import BARE, RECORD, REPORT

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOGLE = IpFacts(15169, "Google LLC", "google.com", "US", "ipinfo-lite 2026-10-26")
NAMES = {
    "192.0.2.7": AddressName("mail.example.com", True),
    "192.0.2.8": AddressName("other.example.com", False),
    "192.0.2.9": AddressName(None, False),
    "192.0.2.10": AddressName(None, False, answered=False),
}


class Found(NamedTuple):
    sender: str | None
    kind: str | None
    confidence: float


class Identifier:
    """Knows one envelope domain; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[SourceEvidence, str]] = []

    def __call__(self, evidence: SourceEvidence, account_id: str) -> Found:
        self.asked.append((evidence, account_id))
        if evidence.spf_domain == "bounce.example.com":
            return Found("Example Mail", "transactional", 0.75)
        return Found(None, None, 0.0)


def facts(address: str) -> IpFacts:
    return GOOGLE if address == "192.0.2.7" else NO_FACTS


def report(*records: Any) -> AggregateReport:
    return dataclasses.replace(REPORT, records=records)


def placed(some: AggregateReport, account: str) -> schema.Placed[AggregateReport]:
    return schema.Placed(
        some, account, "d" * 32, "example.com", datetime(2026, 3, 4, tzinfo=UTC), uuid.uuid4().hex, "k"
    )


async def stored(analytics: Analytics, account: str) -> list[list[Any]]:
    answer = await analytics.query(
        f"SELECT {', '.join(COLUMNS)} FROM dmarc_reports WHERE account_id = {{a:String}} ORDER BY record_index",
        {"a": account},
        format="JSONCompactEachRow",
    )
    return [json.loads(line) for line in answer.splitlines()]


async def test_rows_name_what_is_known_of_their_source(analytics: Analytics) -> None:
    account, identify = uuid.uuid4().hex, Identifier()
    records = [dataclasses.replace(RECORD, source_ip=address) for address in [*NAMES, "192.0.2.11", "192.0.2.7"]]
    table = schema.dmarc_rows([placed(report(*records, BARE), account)], Enrichment(facts, NAMES, identify))
    await analytics.insert("dmarc_reports", table)
    sender = ["Example Mail", "transactional", 0.75, None, None]
    full = ["mail.example.com", True, 15169, "Google LLC", "US", "ipinfo-lite 2026-10-26"]
    assert await stored(analytics, account) == [
        [*full, *sender],
        ["other.example.com", False, None, None, None, None, *sender],
        # No name is an answer; no answer is none.
        [None, False, None, None, None, None, *sender],
        [None, None, None, None, None, None, *sender],
        [None, None, None, None, None, None, *sender],
        [*full, *sender],
        [None] * 11,
    ]
    # Each evidence once, with the values of the record and of the address.
    assert len(identify.asked) == 6
    assert identify.asked[0] == (
        SourceEvidence(
            "192.0.2.7",
            "mail.example.com",
            True,
            (SignatureEvidence("example.com", "s1", "pass"), SignatureEvidence("example.org", None, "fail")),
            "bounce.example.com",
            "softfail",
            "example.com",
            15169,
        ),
        account,
    )
    assert identify.asked[5][0] == SourceEvidence("not an address", spf_result="none")


async def test_accounts_are_identified_apart() -> None:
    identify = Identifier()
    schema.dmarc_rows(
        [placed(report(RECORD), "a" * 32), placed(report(RECORD), "b" * 32)], Enrichment(identify=identify)
    )
    assert [account for _, account in identify.asked] == ["a" * 32, "b" * 32]


async def test_the_envelope_is_evidence_not_the_greeting() -> None:
    identify = Identifier()
    helo, mfrom = (
        SpfResult("helo.example", "helo", "pass", None),
        SpfResult("bounce.example.com", "mfrom", "pass", None),
    )
    record = dataclasses.replace(RECORD, spf=(helo, mfrom), dkim=(DkimResult(None, None, "pass", None),))
    schema.dmarc_rows([placed(report(record), "a" * 32)], Enrichment(identify=identify))
    ((evidence, _),) = identify.asked
    assert (evidence.spf_domain, evidence.spf_result, evidence.dkim) == ("bounce.example.com", "pass", ())


async def test_a_report_without_records_and_rows_without_enrichment() -> None:
    assert schema.dmarc_rows([placed(report(), "a" * 32)], Enrichment(facts, NAMES, Identifier())).num_rows == 0
    bare = schema.dmarc_rows([placed(report(RECORD), "a" * 32)], Enrichment())
    assert bare.equals(schema.dmarc_rows([placed(report(RECORD), "a" * 32)])) is False  # another key
    assert [bare[name].to_pylist() for name in COLUMNS] == [[None]] * 11


async def test_a_store_of_the_version_before_gets_the_columns_and_keeps_its_rows(analytics: Analytics) -> None:
    fresh = await analytics.query(
        "SELECT create_table_query FROM system.tables WHERE name = 'dmarc_reports'", format="RawBLOB"
    )
    await analytics.execute("RENAME TABLE dmarc_reports TO kept")
    newer = (*schema.ENRICHED, *schema.DECIDED)
    added = "".join(f"{column.ddl()},\n    " for column in newer)
    before = schema.DMARC_REPORTS.create.replace(added, "")
    assert "ip_data" not in before
    assert "sender_confidence" not in before
    assert "sender_label" not in before
    try:
        await analytics.execute(before)
        account = uuid.uuid4().hex
        old = schema.dmarc_rows([placed(report(RECORD), account)]).drop_columns([one.name for one in newer])
        await analytics.insert("dmarc_reports", old)
        await analytics.execute("ALTER TABLE schema_versions DELETE WHERE version >= 9 SETTINGS mutations_sync = 2")
        for _ in range(2):
            assert await schema.migrate(analytics) == 10
            now = await analytics.query(
                "SELECT create_table_query FROM system.tables WHERE name = 'dmarc_reports'", format="RawBLOB"
            )
            assert now == fresh
            assert await stored(analytics, account) == [[None] * 11]
    finally:
        await analytics.execute("DROP TABLE dmarc_reports SYNC")
        await analytics.execute("RENAME TABLE kept TO dmarc_reports")
