"""The fields about senders and their hosts and networks, filled from the stored columns."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from dmarcworks.analytics import schema
from tests.support.graphs import Place, report

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILLED = {
    "sender": ["SendGrid", None, None], "sender_kind": ["transactional", None, None],
    "sender_confidence": [0.75, None, None], "ptr": ["o1.sendgrid.net", None, None],
    "ptr_confirmed": [True, False, None], "asn": [11377, 64500, None], "as_name": ["Twilio", "Example Hosting", None],
    "country": ["US", "DE", None], "sender_decision": ["mine", "ignore", None], "sender_label": [None, "Shop", None],
}  # fmt: skip


async def test_fields_about_senders_are_those_of_the_columns(place: Place) -> None:
    """`sourceOrgName` is the owner's name for the sender, else the service, else the network's owner, else empty."""
    domain = place.mine.domains["c.example"]
    made = report(1, "c.example")
    records = tuple(replace(made.records[0], source_ip=f"192.0.2.{n}", count=n) for n in (1, 2, 3))
    table = schema.rows(
        replace(made, records=records), account_id=place.mine.account_id, domain_id=domain.id, domain=domain.name,
        received=datetime.now(UTC), report_key="senders", object_key="o",
    )  # fmt: skip
    for name, values in FILLED.items():
        column = pa.array(values, table.schema.field(name).type)
        table = table.set_column(table.schema.get_field_index(name), name, column)
    await place.analytics.insert("dmarc_reports", table)
    fields = (
        "sourceIP sourceOrgName sourceOrgSlug sourceKind sourceHost sourceHostConfirmed sourceConfidence sourceASN"
        " sourceASName sourceCountry sourceDecision"
    )
    rows = await place.mine.node(
        f"dmarcReportsAdaptive(limit: 10, orderBy: [sourceIP_ASC]) {{ {fields} }}", "c.example"
    )
    assert [tuple(row[name] for name in fields.split()) for row in rows] == [
        ("192.0.2.1", "SendGrid", "sendgrid", "transactional", "o1.sendgrid.net", 1, 75, 11377, "Twilio", "US", "mine"),
        ("192.0.2.2", "Shop", "shop", None, None, 0, None, 64500, "Example Hosting", "DE", "ignore"),
        ("192.0.2.3", "", "", None, None, None, None, None, None, None, None),
    ]
    groups = await place.mine.node(
        "dmarcReportsSourcesAdaptiveGroups(limit: 10, orderBy: [sum_totalMatchingMessages_DESC])"
        " { dimensions { sourceOrgName sourceKind } sum { totalMatchingMessages } }",
        "c.example",
    )
    assert [
        (one["dimensions"]["sourceOrgName"], one["dimensions"]["sourceKind"], one["sum"]["totalMatchingMessages"])
        for one in groups
    ] == [("", "", 3), ("Shop", "", 2), ("SendGrid", "transactional", 1)]
    senders = await place.mine.node(
        'senders(limit: 10, filter: {sourceOrgName: "SendGrid"}) { sourceOrgName sourceKind messages sources }',
        "c.example",
    )
    assert senders == [{"sourceOrgName": "SendGrid", "sourceKind": "transactional", "messages": 1, "sources": 1}]
    decided = await place.mine.node(
        'dmarcReportsAdaptive(limit: 10, filter: {sourceDecision_in: ["mine", "not_mine"]}) { sourceIP }', "c.example"
    )
    assert [row["sourceIP"] for row in decided] == ["192.0.2.1"]
    sure = await place.mine.node(
        "dmarcReportsAdaptive(limit: 10, filter: {sourceConfidence_geq: 50, sourceHostConfirmed: 1}) { sourceIP }",
        "c.example",
    )
    assert [row["sourceIP"] for row in sure] == ["192.0.2.1"]
