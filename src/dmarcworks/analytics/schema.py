"""A report as the rows that it becomes, and what the store has of it.

In goes an `AggregateReport` with what the catalogue knows of it, out comes one Arrow table in the columns of
`tables.DMARC_REPORTS`, all in one partition, so that an insert is one block. No report makes an insert fail: a day
out of all reason is clamped (begin and end stay as sent), numbers are clamped to the column's range, text of the
report's head, which every row repeats, is cut at 2,048 characters. Absent stays NULL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from itertools import chain
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeVar

import pyarrow as pa

from dmarcworks.analytics.arrays import Array, counts, texts
from dmarcworks.analytics.columns import filled, heads, indexes, places, selected, structs
from dmarcworks.analytics.enrichment import Enrichment
from dmarcworks.analytics.migrations import migrate
from dmarcworks.analytics.tables import (
    ADDRESS,
    DAILY,
    DATA_POINTS,
    DECIDED,
    DMARC_REPORTS,
    ENRICHED,
    FAILURE_REPORTS,
    GATHER,
    QUERYABLE_TABLES,
    QUIET,
    REBUILD,
    TABLES,
    TLS_REPORTS,
)
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.errors import UsageError
from dmarcworks.reports.aggregate.records import Record, RecordContent, Records
from dmarcworks.reports.days import FIRST_DAY, LAST_DAY, day_of
from dmarcworks.reports.model import AggregateReport

__all__ = [
    "ADDRESS",
    "DAILY",
    "DATA_POINTS",
    "DECIDED",
    "DMARC_REPORTS",
    "ENRICHED",
    "FAILURE_REPORTS",
    "FIRST_DAY",
    "GATHER",
    "LAST_DAY",
    "QUERYABLE_TABLES",
    "QUIET",
    "REBUILD",
    "TABLES",
    "TLS_REPORTS",
    "Placed",
    "day_of",
    "dmarc_rows",
    "known_columns",
    "migrate",
    "published_keys",
    "rows",
]

HEAD_ERRORS = 20
_Report = TypeVar("_Report")
_HEAD_POLICY = ("p", "sp", "np", "adkim", "aspf", "fo", "testing", "discovery_method")
_STRUCTS = ("reasons", "dkim", "spf")
# The columns for what records state in addition to address and count, by their place in `RecordContent`.
_CONTENT = {field.name: place for place, field in enumerate(fields(Record)[2:])}


class StoredReport(Protocol):
    """What is needed of a report in the catalogue to find its rows."""

    @property
    def key(self) -> str: ...
    @property
    def account_id(self) -> str: ...
    @property
    def domain_id(self) -> str: ...
    @property
    def day(self) -> date: ...


async def published_keys(
    analytics: Analytics, reports: Sequence[StoredReport], *, table: str = DMARC_REPORTS.name
) -> list[str]:
    """The keys of those reports whose rows are in the table, by one query."""
    if table not in TABLES:
        raise UsageError(f"there is no table {table!r}")
    if not reports:
        return []
    answer = await analytics.query(
        f"SELECT DISTINCT report_key FROM {table}"  # noqa: S608 - a name of TABLES, checked above; values are bound
        " WHERE account_id IN {accounts:Array(String)} AND domain_id IN {domains:Array(String)}"
        " AND day IN {days:Array(Date)} AND report_key IN {keys:Array(String)}",
        {
            "accounts": sorted({report.account_id for report in reports}),
            "domains": sorted({report.domain_id for report in reports}),
            "days": sorted({report.day for report in reports}),
            "keys": [report.key for report in reports],
        },
        format="TabSeparated",
    )
    return answer.decode().split()


@dataclass(slots=True)
class Placed(Generic[_Report]):
    """A report with what the catalogue knows of it; `report_id` for a kind that has none of its own.

    `report_authentic` is the DMARC result of the mail that brought it (RFC 8601 word); None when it could not be
    checked.
    """

    report: _Report
    account_id: str
    domain_id: str
    domain: str
    received: datetime
    report_key: str
    object_key: str
    report_id: str = ""
    report_authentic: str | None = None


def known_columns(placed: Sequence[Placed[Any]]) -> dict[str, Sequence[Any]]:
    """What the catalogue knows, one value per report."""
    return {
        "account_id": [one.account_id for one in placed],
        "domain_id": [one.domain_id for one in placed],
        "domain": [one.domain for one in placed],
        "received": [one.received for one in placed],
        "report_key": [one.report_key for one in placed],
        "object_key": [one.object_key for one in placed],
    }


def rows(report: AggregateReport, **known: Any) -> pa.Table:
    """One report's rows; `known` are the other fields of `Placed`."""
    return dmarc_rows([Placed(report, **known)])


def dmarc_rows(placed: Sequence[Placed[AggregateReport]], enrichment: Enrichment | None = None) -> pa.Table:
    """The reports' rows, one per record in their order, columns and types as in `tables.DMARC_REPORTS`.

    With an `enrichment` also the columns about the source address and its sender. Many small reports in one call cost a
    twentieth of what they cost one by one.
    """
    lists = [Records.of(one.report.records) for one in placed]
    sizes = [len(records) for records in lists]
    # Most records repeat the values of others: each set of values becomes columns once and is repeated as often as
    # needed.
    contents, where = places(chain.from_iterable(records.contents for records in lists))
    addresses = list(chain.from_iterable(records.source_ips for records in lists))
    columns: dict[str, Array] = {
        "record_index": indexes(sizes),
        "source_ip": texts(addresses),
        "count": counts(list(chain.from_iterable(records.counts for records in lists))),
    }
    once = {"dmarc": texts([_dmarc(one) for one in contents])}
    for name, place in _CONTENT.items():
        values = [one[place] for one in contents]
        once[name] = structs(DMARC_REPORTS, name, values) if name in _STRUCTS else texts(values)
    columns.update(selected(once, where))
    if enrichment is not None:
        columns.update(
            enrichment.columns(
                [(one.account_id, size) for one, size in zip(placed, sizes, strict=True)],
                columns["source_ip"],
                [tuple(one[_CONTENT[name]] for name in ("header_from", "dkim", "spf")) for one in contents],
                where,
            )
        )
        owners = [(one.account_id, one.domain_id, one.domain, size) for one, size in zip(placed, sizes, strict=True)]
        columns.update(enrichment.decided(owners, addresses, contents, where))
    reports = [one.report for one in placed]
    policies = [report.policy for report in reports]
    constants: dict[str, Sequence[Any]] = {
        **known_columns(placed),
        "day": [day_of(report.begin) for report in reports],
        "begin": [report.begin for report in reports],
        "end": [report.end for report in reports],
        "report_id": heads(report.report_id for report in reports),
        "org_name": heads(report.org_name for report in reports),
        "org_email": heads(report.email for report in reports),
        "policy_domain": heads(policy.domain for policy in policies),
        "version": heads(report.version for report in reports),
        "generator": heads(report.generator for report in reports),
        "errors": [heads(report.errors[:HEAD_ERRORS]) if report.errors else () for report in reports],
        **{name: heads(map(attrgetter(name), policies)) for name in _HEAD_POLICY},
        "report_authentic": [one.report_authentic for one in placed],
        "pct": [policy.pct for policy in policies],
    }
    return filled(DMARC_REPORTS, sizes, constants, columns)


def _dmarc(content: RecordContent) -> str:
    return "pass" if "pass" in content[1:3] else "fail"
