"""Promise: a row has what its domain's owner decided about its sender, when it is published and after a refresh."""

from __future__ import annotations

from typing import Any

import pytest

from dmarcworks.analytics.questions.all import Questions
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.senders import OwnerDecision
from dmarcworks.ingest.enriching import Enricher
from dmarcworks.ingest.identifying import sender_names
from dmarcworks.upkeep import jobs
from tests.support.harness import Harness
from tests.support.mails import BEGIN, DAY, mail
from tests.support.sender_reports import report

NOTHING = (None, None)


async def refreshed(harness: Harness, **parameters: Any) -> dict[str, Any]:
    events = [event async for event in jobs.run(harness.context, "senders-refresh", parameters)]
    return events[-1]


async def columns(harness: Harness, domain: Domain) -> list[tuple[Any, ...]]:
    """Address, sender, decision and label of the rows of a domain."""
    rows = await harness.query(
        "SELECT source_ip, sender, sender_decision, sender_label FROM dmarc_reports WHERE domain_id = {id:String}"
        " ORDER BY day, source_ip, record_index",
        {"id": domain.id},
    )
    return [tuple(row.values()) for row in rows]


@pytest.fixture
async def domain(harness: Harness) -> Domain:
    harness.replace(enricher=Enricher(identify=sender_names(""), own=harness.stores.senders))
    harness.context = harness.context.__class__(harness.settings, harness.stores, harness.env, harness.context.gate)
    return await harness.add_domain("senders.example")


async def test_decisions_are_in_rows_published_later_and_in_stored_ones_after_a_refresh(
    harness: Harness, domain: Domain
) -> None:
    other = await harness.add_domain("other.example")
    await harness.receive(domain, mail(("one.xml", report("one", BEGIN))))
    plain = await columns(harness, domain)
    assert {row[2:] for row in plain} == {NOTHING}
    senders = harness.stores.senders
    await senders.decide(domain, "name:SendGrid", OwnerDecision.mine, name="Newsletter")
    await senders.decide(domain, "block:192.0.2.0", OwnerDecision.not_mine)
    # The sender's name comes before what it was called without one.
    await senders.decide(domain, "dkim:sendgrid.net", OwnerDecision.ignore)
    await senders.decide(other, "envelope:b.sendgrid.net", OwnerDecision.forwarder)
    await harness.receive(domain, mail(("two.xml", report("two", BEGIN + DAY))))
    now = [(*row[:2], *_expected(row)) for row in plain]
    assert {row[2] for row in now} == {"mine", "not_mine", None}
    assert await columns(harness, domain) == plain + now
    assert (await refreshed(harness, dry_run=True))["changed"] == sum(row[2] is not None for row in now)
    assert await columns(harness, domain) == plain + now
    await refreshed(harness)
    assert await columns(harness, domain) == now + now
    assert (await refreshed(harness))["changed"] == 0
    # Without the decision by name the one by evidence applies; withdrawn ones leave the rows.
    await senders.withdraw(domain, "name:SendGrid")
    await senders.withdraw(domain, "block:192.0.2.0")
    await refreshed(harness, domain="senders.example")
    found = await columns(harness, domain)
    assert {row[1:] for row in found} == {("SendGrid", "ignore", None), (None, None, None)}


def _expected(row: tuple[Any, ...]) -> tuple[str | None, str | None]:
    if row[1] == "SendGrid":
        return "mine", "Newsletter"
    return ("not_mine", None) if row[0] == "192.0.2.77" else NOTHING


async def test_records_have_the_owners_name_and_decision(harness: Harness, domain: Domain) -> None:
    """The question behind the records' pages and REST."""
    await harness.stores.senders.decide(domain, "name:SendGrid", OwnerDecision.not_mine, name="Old newsletter")
    await harness.receive(domain, mail(("one.xml", report("one", BEGIN))))
    page = await Questions(harness.analytics).records(domain.account_id, domain_id=domain.id)
    found = {(row.source_ip, row.sender_name, row.sender_kind, row.sender_decision) for row in page.rows}
    assert ("192.0.2.10", "Old newsletter", "transactional", "not_mine") in found
    assert ("192.0.2.77", None, None, None) in found
    assert len(found) == 5
