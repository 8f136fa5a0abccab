"""Rows of one domain with what enrichment stores beside them, put into a store."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pyarrow as pa

from dmarcworks.analytics import schema
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.reports.model import AggregateReport, Policy, Record

DAY = date(2026, 11, 3)
DOMAIN = "d" * 32
POLICY = Policy("example.com", None, None, "none", None, None, None, None, None, None)


@dataclass(frozen=True)
class Row:
    """A record with what enrichment stores beside it."""

    record: Record
    sender: str | None = None
    kind: str | None = None
    confidence: float | None = None
    ptr: str | None = None
    confirmed: bool | None = None
    as_name: str | None = None
    asn: int | None = None
    country: str | None = None


async def store(
    analytics: Analytics, account: str, rows: list[Row], day: date = DAY, org: str | None = "google.com"
) -> None:
    """The rows as one report of a day, their enriched columns filled."""
    begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    key = uuid.uuid4().hex
    records = tuple(row.record for row in rows)
    report = AggregateReport(org, None, None, key, begin, begin + 86_399, None, None, (), POLICY, records, ())
    table = schema.rows(
        report, account_id=account, domain_id=DOMAIN, domain="example.com", received=datetime.now(UTC),
        report_key=key, object_key="o",
    )  # fmt: skip
    columns = {
        "sender": "sender", "sender_kind": "kind", "sender_confidence": "confidence", "ptr": "ptr",
        "ptr_confirmed": "confirmed", "as_name": "as_name", "asn": "asn", "country": "country",
    }  # fmt: skip
    for column, name in columns.items():
        kind = table.schema.field(column).type
        values = pa.array([getattr(row, name) for row in rows], kind)
        table = table.set_column(table.schema.get_field_index(column), column, values)
    await analytics.insert("dmarc_reports", table)
