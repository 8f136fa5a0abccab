"""No reporter makes a figure wrong: two records of 2^64-1 messages are 2^65-2, from rows and daily sums alike."""

from __future__ import annotations

import dataclasses
import uuid
from datetime import UTC, date, datetime

import pytest

from dmarcworks.analytics import schema
from dmarcworks.analytics.questions.all import Questions
from dmarcworks.bindings.contracts import Analytics
from tests.support.analytics_samples import FORCED, NEVER, RECORD, REPORT

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST = 2**64 - 1
DAYS = (date(2026, 3, 1), date(2026, 3, 31))


@pytest.mark.parametrize("merged", [False, True])
async def test_counts_at_the_end_of_64_bits_add_up(analytics: Analytics, merged: bool) -> None:
    account, domain = uuid.uuid4().hex, "d" * 32
    for key in ("k1", "k2"):
        report = dataclasses.replace(REPORT, records=(dataclasses.replace(RECORD, count=10**30),))
        rows = schema.rows(
            report, account_id=account, domain_id=domain, domain="example.com",
            received=datetime(2026, 3, 4, tzinfo=UTC), report_key=key, object_key="x",
        )  # fmt: skip
        await analytics.insert("dmarc_reports", rows)
    if merged:
        await analytics.execute("OPTIMIZE TABLE dmarc_reports FINAL")
    for bounds in (FORCED, NEVER):
        ask = Questions(analytics, bounds)
        (day,) = await ask.volume_by_day(account, domain, *DAYS)
        assert (day.messages, day.passed, day.failed, day.quarantined) == (2 * MOST, 2 * MOST, 0, 2 * MOST)
        (reporter,) = await ask.reporters(account, domain, *DAYS)
        assert (reporter.messages, reporter.reports) == (2 * MOST, 2)
        assert (await ask.domains(account, *DAYS))[domain].messages == 2 * MOST
    ask = Questions(analytics)
    assert (await ask.figures(account, domain, *DAYS)).messages == 2 * MOST
    assert (await ask.senders(account, domain, *DAYS))[0].messages == 2 * MOST
    assert (await ask.sources(account, domain, *DAYS)).rows[0].messages == 2 * MOST
