"""A day of the demo, replayed: every figure is traced by hand to the demo's own rows."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime

import pytest

from dmarcworks.analytics import schema
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.cli.demo_data import DemoReport, reports
from dmarcworks.cli.demo_mails import xml
from dmarcworks.policy.tags import parse_policy
from dmarcworks.reports.model import AggregateReport
from tests.support.noted import parsed
from tests.support.policy_records import domain_of
from tests.support.policy_senders import reader

pytestmark = pytest.mark.asyncio(loop_scope="package")

DAY = date(2026, 11, 24)
# Sender: messages, and those that fail. The tickets and the campaigns were never set up; a forwarder breaks signatures;
# the others are single messages whose own signature was broken on the way; three are forged.
SENDERS = {
    "dkim:zendesk.com": (347, 347),
    "dkim:hubspotemail.net": (80, 80),
    "dkim:alumni.university.example": (96, 38),
    "dkim:mcsv.net": (7127, 24),
    "dkim:example-com.20230601.gappssmtp.com": (1162, 5),
    "dkim:shopifyemail.com": (941, 4),
    "block:203.0.113.0": (3, 3),
    "dkim:amazonses.com": (888, 2),
    "dkim:surveymonkey.com": (95, 1),
}


async def test_a_day_of_the_demo(analytics: Analytics) -> None:
    domain = domain_of("demo" * 8)
    day = list(reports("example.com", DAY, days=1, seed=7489))
    for report in day:
        await _store(analytics, report)
    found = await reader(analytics).replay(domain, DAY, DAY, parse_policy("p=reject"))
    assert (found.total.messages, found.total.rejected, found.total.quarantined) == (12230, 504, 0)
    affected = {one.key.id: (one.effect.messages, one.effect.rejected) for one in found.senders if one.effect.affected}
    assert affected == SENDERS
    assert {day: one.affected for day, one in found.days.items()} == {DAY: 504}
    # Of the forwarder's 38 failing messages, 19 are from reporters that state the override.
    assert found.overrides == {"forwarded": 19}
    # The demo's policy of the day is quarantine, so all but the overridden messages were quarantined.
    assert found.dispositions == {"none": 19, "quarantine": 485}
    by_source: Counter[str] = Counter()
    for report in day:
        for row in report.rows:
            by_source[row.source_ip] += 0 if row.passed else row.count
    assert {one.source_ip: one.effect.affected for one in found.sources} == dict(+by_source)
    assert found.sources_total == 25
    # Two systems of the domain's own do not sign; their return path is a subdomain: 86 messages that strict SPF loses.
    found = await reader(analytics).replay(domain, DAY, DAY, parse_policy("p=quarantine,aspf=s"))
    assert (found.total.quarantined, found.total.rejected) == (590, 0)
    lost = next(one for one in found.senders if one.key.id == "envelope:bounce.example.com")
    assert (lost.effect.messages, lost.effect.affected, lost.yours) == (86, 86, True)
    # Every passing signature has the domain's very name, so strict DKIM changes nothing.
    found = await reader(analytics).replay(domain, DAY, DAY, parse_policy("p=quarantine,adkim=s"))
    assert found.total.quarantined == 504


async def _store(analytics: Analytics, report: DemoReport) -> None:
    read = parsed(xml(report))
    assert isinstance(read, AggregateReport)
    rows = schema.rows(
        read, account_id="demo" * 8, domain_id="demo" * 8, domain="example.com", received=datetime.now(UTC),
        report_key=report.report_id, object_key="o",
    )  # fmt: skip
    await analytics.insert("dmarc_reports", rows)
