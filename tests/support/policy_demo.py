"""The demo's reports as stored rows, without a server."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import pyarrow as pa

from dmarcworks.analytics import schema
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.cli.demo_data import DemoReport
from dmarcworks.cli.demo_mails import xml
from dmarcworks.reports.model import AggregateReport
from tests.support.noted import parsed

__all__ = ["store_demo"]


async def store_demo(analytics: Analytics, owner: str, wanted: Iterable[DemoReport]) -> None:
    """All of them in one insert, for example.com of an account."""
    tables = []
    for report in wanted:
        read = parsed(xml(report))
        assert isinstance(read, AggregateReport)
        rows = schema.rows(
            read, account_id=owner, domain_id=owner, domain="example.com", received=datetime.now(UTC),
            report_key=report.report_id, object_key="o",
        )  # fmt: skip
        tables.append(rows)
    await analytics.insert("dmarc_reports", pa.concat_tables(tables))
