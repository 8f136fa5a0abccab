"""A day of the demo, replayed: every figure is traced by hand to the demo's own rows."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from dmarcworks.bindings.contracts import Analytics
from dmarcworks.cli.demo_data import reports
from dmarcworks.policy.tags import parse_policy
from tests.support.policy_demo import store_demo
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
    await store_demo(analytics, "demo" * 8, day)
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


# One report of that day, record by record: its sender as the product calls it, and messages that pass or fail.
BY_HAND = {
    # The newsletter of six addresses and the loyalty mails.
    "dkim:mcsv.net": (31 + 1 + 27 + 19 + 24 + 19 + 7, 0),
    # Four addresses of the shop and the bookings.
    "dkim:shopifyemail.com": (4 + 3 + 6 + 4 + 3, 0),
    # Workspace and the calendar.
    "dkim:example-com.20230601.gappssmtp.com": (15 + 2, 0),
    # Shipping, sign-up, alerts and status.
    "dkim:amazonses.com": (6 + 6 + 2 + 1, 0),
    "dkim:example.onmicrosoft.com": (12, 0),
    # Monitoring, helpdesk, lists, events, partner portal, academy and archive: signed with one key of the domain.
    "self:mail._domainkey.example.com": (4 + 1 + 2 + 1 + 1 + 1 + 1, 0),
    "dkim:zendesk.com": (0, 8),
    "dkim:salesforce.com": (5, 0),
    "self:inv2024._domainkey.example.com": (2, 0),
    "dkim:surveymonkey.com": (2, 0),
    "dkim:hubspotemail.net": (0, 2),
    "dkim:greenhouse.io": (1, 0),
    "dkim:alumni.university.example": (1, 0),
    # The intranet does not sign; its return path is bounce.example.com, which is aligned only when relaxed.
    "envelope:bounce.example.com": (1, 0),
}


async def test_one_report_by_hand(analytics: Analytics) -> None:
    """Every number of a replay is added up from the records of the report."""
    owner = "hand" * 8
    report = next(
        one for one in reports("example.com", DAY, days=1, seed=7489) if one.reporter.org_name == "AMAZON-SES"
    )
    await store_demo(analytics, owner, [report])
    domain = domain_of(owner)
    found = await reader(analytics).replay(domain, DAY, DAY, parse_policy("p=reject"))
    assert {one.key.id: (one.effect.messages - one.effect.affected, one.effect.affected) for one in found.senders} == (
        BY_HAND
    )
    passing = 128 + 20 + 17 + 15 + 12 + 11 + 5 + 2 + 2 + 1 + 1 + 1
    failing = 8 + 2
    assert (passing, failing) == (215, 10)
    assert (found.total.messages, found.total.rejected, found.total.quarantined) == (215 + 10, 10, 0)
    assert [(one.source_ip, one.effect.messages, one.effect.rejected) for one in found.sources] == [
        ("198.51.100.40", 8, 8),
        ("192.0.2.168", 2, 2),
    ]
    assert (found.sources_total, found.senders_total) == (2, 14)
    assert found.days == {DAY: found.total}
    # The policy of the day was quarantine, and no record of this report has an override.
    assert (found.dispositions, found.overrides) == ({"quarantine": 10}, {})
    # All author domains are example.com, so no tag for subdomains applies.
    assert (found.subdomains, found.candidates.messages, found.other_record, found.outside) == (0, 0, 0, 0)
    # Half of ten messages each; of Zendesk's eight, four and four; of HubSpot's two, one and one.
    found = await reader(analytics).replay(domain, DAY, DAY, parse_policy("p=reject,pct=50"))
    assert (found.total.rejected, found.total.quarantined) == (5, 5)
    assert [(one.effect.rejected, one.effect.quarantined) for one in found.senders[:2]] == [(4, 4), (1, 1)]
    # Strict SPF loses the intranet's message, strict DKIM none: every aligned signature is of example.com itself.
    found = await reader(analytics).replay(domain, DAY, DAY, parse_policy("p=quarantine,adkim=s,aspf=s"))
    assert (found.total.quarantined, found.total.rejected) == (8 + 2 + 1, 0)
    # One level lower, reject is quarantine; only sp is none, which applies to no message of the report.
    found = await reader(analytics).replay(domain, DAY, DAY, parse_policy("p=reject,sp=none,t=y"))
    assert (found.total.quarantined, found.total.rejected) == (10, 0)
