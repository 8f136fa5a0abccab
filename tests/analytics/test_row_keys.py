"""Promise: where rows are written, a row's sender has the key under which questions find it."""

from __future__ import annotations

import json
import uuid
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dmarcworks.analytics.questions.all import SenderRows
from dmarcworks.analytics.row_keys import RowSource, row_keys
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.reports.model import DkimResult, Record, SpfResult
from tests.support.sender_rows import DAY, DOMAIN, Row, store

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = st.sampled_from(
    [None, "", ".", "example.com", "Example.COM.", "m.example.com", "notexample.com", "com", "sendgrid.net",
     "a.example", "mail.shop.co.uk", "x" * 400 + ".example", "a/b\n", "s1"]
)  # fmt: skip
RESULTS = st.sampled_from(["pass", "pass", "fail", None, "PASS"])
ADDRESSES = st.sampled_from(
    ["192.0.2.77", "192.0.2.1", "2001:db8:1:2:3::4", "::ffff:192.0.2.1", "not an address", "", "192.0.2.01", "1.2.3"]
)
ROWS = st.builds(
    lambda ip, dkim, spf, aligned, sender, ptr, confirmed, as_name, asn: Row(
        Record(
            ip, 1, "none", aligned, "fail", (), "example.com", None, None,
            tuple(DkimResult(*one, None) for one in dkim), tuple(SpfResult(*one, None) for one in spf),
        ),
        sender=sender, kind="other" if sender else None, ptr=ptr, confirmed=confirmed, as_name=as_name, asn=asn,
    ),
    ADDRESSES,
    st.lists(st.tuples(NAMES, NAMES, RESULTS), max_size=3),
    st.lists(st.tuples(NAMES, st.sampled_from(["mfrom", "helo", None]), RESULTS), max_size=3),
    st.sampled_from(["pass", "fail", None]),
    st.sampled_from([None, None, "SendGrid", "x" * 400]),
    NAMES,
    st.sampled_from([True, False, None]),
    st.sampled_from([None, "", "Example Hosting"]),
    st.sampled_from([None, 0, 64500]),
)  # fmt: skip


@settings(
    max_examples=25, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(ROWS, min_size=20, max_size=20))
async def test_the_keys_are_those_of_the_questions(analytics: Analytics, rows: list[Row]) -> None:
    account = uuid.uuid4().hex
    await store(analytics, account, rows)
    assert await engine(analytics, account) == [keys(row) for row in rows]


def keys(row: Row) -> list[tuple[str, str]]:
    """The key by which the row is grouped, and the one of its evidence."""
    record = row.record
    source = RowSource(
        "example.com", record.source_ip, record.dkim_aligned == "pass",
        [(one.domain, one.selector, one.result) for one in record.dkim],
        [(one.domain, one.scope, one.result) for one in record.spf],
        row.ptr, bool(row.confirmed), row.asn, row.as_name,
    )  # fmt: skip
    found = [(str(key.basis), key.value) for key in row_keys(source, row.sender)]
    return [found[0], found[-1]]


async def engine(analytics: Analytics, account: str) -> list[list[tuple[str, str]]]:
    """The same as the engine computes it."""
    rows = SenderRows.of(account, DOMAIN, date.min.replace(year=1970), DAY)
    answer = await analytics.query(
        f"SELECT key.1, key.2, evidence.1, evidence.2 FROM {rows.select} ORDER BY record_index",
        rows.parameters,
        format="JSONCompactEachRow",
    )
    found: list[Any] = [json.loads(line) for line in answer.splitlines()]
    return [[(one[0], one[1]), (one[2], one[3])] for one in found]
