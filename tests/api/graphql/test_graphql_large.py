"""Two records of 2^64-1 messages are 2^65-2 in GraphQL too: no reporter's count makes a sum turn around."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.support.graphs import publish, report

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST = 2**64 - 1


async def test_sums_are_exact_past_64_bits(place: Any) -> None:
    name, domain = next(iter(place.mine.domains.items()))
    made = report(1, name)
    record = dataclasses.replace(made.records[0], count=MOST, dkim_aligned="pass", disposition="reject")
    for key in ("large-1", "large-2"):
        report_ = dataclasses.replace(made, org_name="large", records=(record,))
        await publish(place.mine, place.analytics, domain, report_, key)
    wanted = '(limit: 5, filter: {reporter: "large"})'
    groups = await place.mine.node(
        f"dmarcReportsSourcesAdaptiveGroups{wanted}"
        "{ sum { totalMatchingMessages dmarc rejected } avg { dmarc } }",
        name,
    )
    assert groups == [
        {"sum": {"totalMatchingMessages": 2 * MOST, "dmarc": 2 * MOST, "rejected": 2 * MOST}, "avg": {"dmarc": 1}}
    ]
