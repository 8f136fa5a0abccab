"""A report of any kind as the rows of its table: aggregate a row per record, TLS a row per policy, failure one row.

In goes a report with what the catalogue knows of it, out come the table's name and an Arrow table in its columns, all
in one partition, so that an insert is one block. As in `schema.rows`: no report makes an insert fail, absent is NULL.
A failure report has no period of its own: begin and end are its arrival date, or else when it was received.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import pyarrow as pa

from dmarcworks.analytics.arrays import Array, counts, lists, texts
from dmarcworks.analytics.columns import filled, heads, indexes, structs
from dmarcworks.analytics.enrichment import Enrichment
from dmarcworks.analytics.schema import Placed, dmarc_rows, known_columns
from dmarcworks.analytics.tables import DMARC_REPORTS, FAILURE_REPORTS, TLS_REPORTS
from dmarcworks.reports.days import day_of
from dmarcworks.reports.model import AggregateReport, FailureReport, TlsReport
from dmarcworks.reports.summary import Report, Summary, moment, reporter, row_count, summary

__all__ = [
    "Placed",
    "Report",
    "Summary",
    "failure_rows",
    "row_count",
    "rows_of",
    "summary",
    "table_of",
    "tables_of",
    "tls_rows",
]

_FAILURE_TEXTS = (
    "feedback_type", "version", "user_agent", "auth_failure", "delivery_result", "identity_alignment",
    "reported_domain", "dkim_domain", "dkim_selector", "spf_dns", "source_ip", "original_mail_from", "header_from",
    "message_id", "subject",
)  # fmt: skip


def tables_of(placed: Sequence[Placed[Any]], enrichment: Enrichment | None = None) -> dict[str, pa.Table]:
    """The reports' rows by their table's name, each table in the order in which the reports are given.

    With an `enrichment` the rows of aggregate reports name their sources too.
    """
    kinds: dict[type, list[Placed[Any]]] = {}
    for one in placed:
        kinds.setdefault(type(one.report), []).append(one)
    return {
        _TABLES[kind][0]: dmarc_rows(reports, enrichment) if kind is AggregateReport else _TABLES[kind][1](reports)
        for kind, reports in kinds.items()
    }


def table_of(report: Report) -> str:
    """The name of the table that the report's rows are for."""
    return _TABLES[type(report)][0]


def rows_of(report: Report, **known: Any) -> tuple[str, pa.Table]:
    """One report's table and rows; `known` are the other fields of `Placed`."""
    ((name, table),) = tables_of([Placed(report, **known)]).items()
    return name, table


def tls_rows(placed: Sequence[Placed[TlsReport]]) -> pa.Table:
    """A row per policy in the reports' order, its failures as an array; columns as in `tables.TLS_REPORTS`."""
    sizes = [len(one.report.policies) for one in placed]
    policies = [policy for one in placed for policy in one.report.policies]
    reports = [one.report for one in placed]
    constants: dict[str, Sequence[Any]] = {
        **known_columns(placed),
        "report_id": heads(report.report_id for report in reports),
        "org_name": heads(report.organization_name for report in reports),
        "org_email": heads(report.contact_info for report in reports),
        **_days([(report.begin, report.end) for report in reports]),
    }
    columns: dict[str, Array] = {
        "record_index": indexes(sizes),
        "policy_type": texts([policy.policy_type for policy in policies]),
        "policy_domain": texts([policy.policy_domain for policy in policies]),
        "policy_string": lists([policy.policy_string for policy in policies]),
        "mx_host": lists([policy.mx_host for policy in policies]),
        "successful_sessions": counts([policy.successful_sessions for policy in policies]),
        "failed_sessions": counts([policy.failed_sessions for policy in policies]),
        "failures": structs(TLS_REPORTS, "failures", [policy.failures for policy in policies]),
    }
    return filled(TLS_REPORTS, sizes, constants, columns)


def failure_rows(placed: Sequence[Placed[FailureReport]]) -> pa.Table:
    """A row per report, columns as in `tables.FAILURE_REPORTS`; the reported message itself is not in it."""
    reports = [one.report for one in placed]
    moments = [moment(one.report, one.received) for one in placed]
    constants: dict[str, Sequence[Any]] = {
        **known_columns(placed),
        "report_id": heads(one.report_id for one in placed),
        "org_name": heads(reporter(report) or None for report in reports),
        **_days([(moment, moment) for moment in moments]),
        **{name: heads(map(attrgetter(name), reports)) for name in _FAILURE_TEXTS},
    }
    columns: dict[str, Array] = {
        "record_index": indexes([1] * len(placed)),
        "incidents": counts([report.incidents for report in reports]),
        "original_rcpt_to": lists([report.original_rcpt_to for report in reports]),
    }
    return filled(FAILURE_REPORTS, [1] * len(placed), constants, columns)


_TABLES: dict[type, tuple[str, Callable[[Sequence[Placed[Any]]], pa.Table]]] = {
    AggregateReport: (DMARC_REPORTS.name, dmarc_rows),
    TlsReport: (TLS_REPORTS.name, tls_rows),
    FailureReport: (FAILURE_REPORTS.name, failure_rows),
}


def _days(periods: Sequence[tuple[int, int]]) -> Mapping[str, Sequence[Any]]:
    return {
        "day": [day_of(begin) for begin, _ in periods],
        "begin": [begin for begin, _ in periods],
        "end": [end for _, end in periods],
    }
