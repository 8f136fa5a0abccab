"""The store's schema: migrations, and a report as the rows that it becomes.

In goes an `AggregateReport` with what the catalogue knows of it, out comes one Arrow table in the columns of
`tables.DMARC_REPORTS`, all in one partition, so that an insert is one block. No report makes an insert fail: a day
out of all reason is clamped (begin and end stay as sent), numbers are clamped to the column's range, text of the
report's head, which every row repeats, is cut at 2,048 characters. Absent stays NULL.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from dmarcworks.analytics.columns import INT64, Array, clamp, counts, filled, head, structs, texts
from dmarcworks.analytics.tables import DMARC_REPORTS, FAILURE_REPORTS, TABLES, TLS_REPORTS
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.errors import UsageError
from dmarcworks.reports.days import FIRST_DAY, LAST_DAY, day_of
from dmarcworks.reports.model import AggregateReport, Record

__all__ = [
    "DMARC_REPORTS",
    "FAILURE_REPORTS",
    "FIRST_DAY",
    "LAST_DAY",
    "TABLES",
    "TLS_REPORTS",
    "day_of",
    "migrate",
    "published",
    "rows",
]

HEAD_ERRORS = 20
_HEAD_POLICY = ("p", "sp", "np", "adkim", "aspf", "fo", "testing", "discovery_method")
_RECORD_TEXTS = (
    "source_ip", "disposition", "dkim_aligned", "spf_aligned", "header_from", "envelope_from", "envelope_to",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Migration:
    version: int
    name: str
    statements: tuple[str, ...]


# A released migration is never edited; a change of the schema appends one.
_MIGRATIONS = (_Migration(1, "reports", tuple(table.create for table in TABLES.values())),)
_VERSIONS = (
    "CREATE TABLE IF NOT EXISTS schema_versions (version UInt32, name String, applied DateTime64(3, 'UTC'))"
    " ENGINE = MergeTree ORDER BY version SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
)


async def migrate(analytics: Analytics) -> int:
    """Bring the store up to date and say its version. Safe to repeat, also after a crash half-way."""
    await analytics.execute(_VERSIONS)
    answer = await analytics.query("SELECT max(version) FROM schema_versions", format="TabSeparated")
    version = int(answer.strip() or 0)
    for migration in _MIGRATIONS:
        if migration.version <= version:
            continue
        for statement in migration.statements:
            await analytics.execute(statement)
        applied = pa.table(
            {
                "version": pa.array([migration.version], pa.uint32()),
                "name": pa.array([migration.name], pa.string()),
                "applied": pa.array([datetime.now(UTC)], pa.timestamp("ms", tz="UTC")),
            }
        )
        await analytics.insert("schema_versions", applied)
        version = migration.version
    return version


async def published(
    analytics: Analytics, account_id: str, domain_id: str, day: date, report_key: str, table: str = DMARC_REPORTS.name
) -> int:
    """How many rows of a report its table holds: all of them or none, since a report is one block of one partition."""
    if table not in TABLES:
        raise UsageError(f"there is no table {table!r}")
    answer = await analytics.query(
        f"SELECT count() FROM {table} WHERE account_id = {{account_id:String}} AND domain_id = {{domain_id:String}}"  # noqa: S608 - of TABLES
        " AND day = {day:Date} AND report_key = {report_key:String}",
        {"account_id": account_id, "domain_id": domain_id, "day": day.isoformat(), "report_key": report_key},
        format="TabSeparated",
    )
    return int(answer)


def rows(
    report: AggregateReport,
    *,
    account_id: str,
    domain_id: str,
    domain: str,
    received: datetime,
    report_key: str,
    object_key: str,
) -> pa.Table:
    """The report's rows, one per record in the report's order, columns and types as in `tables.DMARC_REPORTS`."""
    records, policy = report.records, report.policy
    constants: dict[str, Any] = {
        "account_id": account_id,
        "domain_id": domain_id,
        "domain": domain,
        "day": day_of(report.begin),
        "begin": clamp(report.begin, INT64),
        "end": clamp(report.end, INT64),
        "received": received,
        "report_key": report_key,
        "report_id": head(report.report_id),
        "org_name": head(report.org_name),
        "org_email": head(report.email),
        "object_key": object_key,
        "policy_domain": head(policy.domain),
        "version": head(report.version),
        "generator": head(report.generator),
        "errors": [head(text) for text in report.errors[:HEAD_ERRORS]],
        **{name: head(getattr(policy, name)) for name in _HEAD_POLICY},
        "pct": None if policy.pct is None else clamp(policy.pct, INT64),
    }
    columns: dict[str, Array] = {
        "record_index": pa.array(range(len(records)), pa.uint32()),
        "count": counts(record.count for record in records),
        "dmarc": texts([_dmarc(record) for record in records]),
        "reasons": structs(DMARC_REPORTS, "reasons", [record.reasons for record in records]),
        "dkim": structs(DMARC_REPORTS, "dkim", [record.dkim for record in records]),
        "spf": structs(DMARC_REPORTS, "spf", [record.spf for record in records]),
    }
    for name in _RECORD_TEXTS:
        columns[name] = texts([getattr(record, name) for record in records])
    return filled(DMARC_REPORTS, len(records), constants, columns)


def _dmarc(record: Record) -> str:
    return "pass" if "pass" in (record.dkim_aligned, record.spf_aligned) else "fail"
