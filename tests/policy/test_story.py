"""The demo's domain is led from p=none to a watched p=quarantine: not ready, fixed, ready, stepped, watched.

The records are those of a name server on loopback; what the plan proposes is what the test publishes there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import pytest

from dmarcworks.bindings.contracts import Analytics
from dmarcworks.cli.demo_data import DemoReport, reports
from dmarcworks.enrich.resolver import Dns
from dmarcworks.policy.change_plan import ChangePlan
from dmarcworks.policy.planner import PlanRequest
from tests.support.outside import Names, answering
from tests.support.planning import planner
from tests.support.policy_demo import store_demo
from tests.support.policy_records import domain_of
from tests.support.policy_senders import reader

pytestmark = pytest.mark.asyncio(loop_scope="package")

OWNER = "5707" * 8
FIRST = date(2026, 9, 1)
WATCHED = 14
RECORD = f"v=DMARC1; p=none; rua=mailto:dmarc@example.com,mailto:{'0' * 32}@reports.example.net; fo=1"
# The tickets are the domain's own; the campaigns and the forged mail are not; the forwarder is known.
DECISIONS = {
    "dkim:zendesk.com": "mine",
    "dkim:hubspotemail.net": "not_mine",
    "block:203.0.113.0": "not_mine",
    "envelope:bulk-offers.example": "not_mine",
    "dkim:alumni.university.example": "forwarder",
}


def days(start: int, count: int, policy: str, *, fixed: bool) -> Iterator[DemoReport]:
    """Days of the demo's traffic under a policy; the CRM signs, and with `fixed` the tickets do so, too."""
    last = FIRST + timedelta(days=start + count - 1)
    for report in reports("example.com", last, count):
        rows = tuple(
            replace(
                row,
                dkim=row.dkim or row.service == "crm" or (fixed and row.service == "tickets"),
                disposition="none" if policy == "none" or row.passed else row.disposition,
            )
            for row in report.rows
        )
        yield replace(report, policy=policy, rows=rows, report_id=f"{start}-{report.report_id}")


async def test_the_demo_is_led_to_a_watched_quarantine(analytics: Analytics) -> None:
    names = Names()
    names.add(
        {("_dmarc.example.com", "TXT"): RECORD, ("example.com", "SOA"): "ns.example.com. a.example.com. 1 2 3 4 5"}
    )

    async def planned(day: int) -> ChangePlan:
        """The plan of a day, from the reports of the 14 days up to then."""
        last = FIRST + timedelta(days=day - 1)
        dns = Dns(names.server)
        request = PlanRequest(domain_of(OWNER), last - timedelta(days=WATCHED - 1), last, last + timedelta(days=1))
        try:
            return await planner(analytics, dns, DECISIONS).plan(request)
        finally:
            dns.close()

    with answering(names):
        # Not ready, and the fix is shown with the sender's figures.
        await store_demo(analytics, OWNER, days(0, WATCHED, "none", fixed=False))
        plan = await planned(14)
        assert plan.changes == ()
        assert plan.notes[0].startswith(
            "No change of the policy is proposed: Stay at p=none. Not yet ready for p=quarantine: p=quarantine would"
        )
        advice = await reader(analytics, DECISIONS).advice(
            domain_of(OWNER), FIRST, FIRST + timedelta(days=13), FIRST + timedelta(days=14)
        )
        fixes = [one.message for one in advice.because if one.code == "sender_to_fix"]
        assert len(fixes) == 1
        assert fixes[0].startswith("Zendesk: ")
        assert "It is yours." in fixes[0]
        # The figures change: ready. The change has the record's own other tags, and the risk is that of the replay.
        await store_demo(analytics, OWNER, days(14, WATCHED, "none", fixed=True))
        plan = await planned(28)
        assert [one.code for one in plan.changes] == ["policy-step"], plan.notes
        (change,) = plan.changes
        assert (change.code, change.name, change.type, change.obstacle) == (
            "policy-step",
            "_dmarc.example.com",
            "TXT",
            "",
        )
        assert change.before == (RECORD,)
        assert change.after == RECORD.replace("p=none", "p=quarantine")
        assert [(one.text, one.state) for one in change.difference if one.state != "same"] == [
            ("none", "removed"),
            ("quarantine", "added"),
        ]
        assert change.why.startswith("Ready for p=quarantine: all ")
        assert change.why.endswith("Reports show p=none since 2026-09-01.")
        assert change.back == "Publish the TXT record of before at _dmarc.example.com again."
        risk = change.risk
        assert risk.replayed
        assert risk.summary == (
            "p=quarantine would have affected 1,540 of 85,604 messages from 2026-09-15 to 2026-09-28, 267 of them from"
            " senders that are yours."
        )
        assert [(one.name, one.affected, one.yours) for one in risk.senders] == [
            ("Mailchimp", 108, True),
            ("Shopify", 56, True),
            ("Amazon SES", 41, True),
            ("Google Workspace (Gmail)", 38, True),
            ("Microsoft 365 (Outlook)", 18, True),
            ("SurveyMonkey", 4, True),
            ("Greenhouse", 1, True),
            ("Zoom", 1, True),
            ("HubSpot", 776, False),
            ("alumni.university.example", 443, False),
            ("203.0.113.0/24", 54, False),
        ]
        # Stepped: nothing is proposed until reports show the record that is published now.
        names.add({("_dmarc.example.com", "TXT"): change.after})
        plan = await planned(28)
        assert plan.changes == ()
        assert plan.notes[0] == (
            "The record requests p=quarantine now; the newest reports, about 2026-09-28, found p=none. The next step is"
            " checked when reports show the record of now."
        )
        # Watched: five days are not enough, and there is no reason to go back.
        await store_demo(analytics, OWNER, days(28, 5, "quarantine", fixed=True))
        plan = await planned(33)
        assert plan.changes == ()
        assert "Reports show p=quarantine since 2026-09-29, for 5 days; 14 are required." in plan.notes[0]
        # The signature of the tickets breaks again: the way back is proposed.
        await store_demo(analytics, OWNER, days(33, 5, "quarantine", fixed=False))
        (change,) = (await planned(38)).changes
        assert change.code == "policy-relax"
        assert change.after == RECORD
        assert "messages of Zendesk, which is yours. Fix it, or publish p=none until it is fixed." in change.why
