"""Reports of any kind, noted and published without a mail."""

from __future__ import annotations

from datetime import datetime, timedelta

from dmarcworks.analytics.rows import Report, rows_of, summary
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.arrivals import NewReport
from dmarcworks.reports import read
from tests.support.harness import Harness
from tests.support.pages import NOW


async def note(harness: Harness, domain: Domain, report: Report, state: str = "counted") -> str:
    """Note a report of any kind, and publish it when it is counted, as the worker does; its key."""
    received: datetime = NOW - timedelta(hours=1)
    digest = f"{abs(hash(repr((domain.id, report)))):064x}"
    short = summary(report, received=received, digest=digest)
    noted = await harness.arrivals.record_report(
        NewReport(
            account_id=domain.account_id, domain_id=domain.id, kind=report.kind, org_name=short.org_name,
            org_email=short.org_email, policy_domain=domain.name, report_id=short.report_id, begin=short.begin,
            end=short.end, received=received, records=short.records, messages=short.messages, content=digest,
            object_key=f"2026/11/{digest}/x", file_name="x", mail_id=digest[:32], where="part 1", state=state,
        )
    )  # fmt: skip
    row = noted.row
    if state == "counted":
        name, table = rows_of(
            report, account_id=row.account_id, domain_id=row.domain_id, domain=domain.name, received=received,
            report_key=row.key, object_key=row.object_key, report_id=row.report_id,
        )  # fmt: skip
        await harness.analytics.insert(name, table)
        await harness.arrivals.mark_published([row.key])
    return row.key


def parsed(data: bytes) -> Report:
    """The one report in a mail or file."""
    (item,) = read.read_bytes(data).items
    return item.report
