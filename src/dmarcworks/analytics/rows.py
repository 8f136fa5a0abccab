"""A report of any kind as the rows of its table: aggregate a row per record, TLS a row per policy, failure one row.

In goes a report with what the catalogue knows of it, out come the table's name and an Arrow table in its columns, all
in one partition, so that an insert is one block. As in `schema.rows`: no report makes an insert fail, absent is NULL.
A failure report has no period of its own: begin and end are its arrival date, or else when it was received.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeAlias

import pyarrow as pa

from dmarcworks.analytics.arrays import Array, counts, lists, texts
from dmarcworks.analytics.columns import filled, heads, indexes, structs
from dmarcworks.analytics.schema import Placed, dmarc_rows, known_columns
from dmarcworks.analytics.tables import DMARC_REPORTS, FAILURE_REPORTS, TLS_REPORTS
from dmarcworks.reports.days import day_of
from dmarcworks.reports.model import AggregateReport, FailureReport, TlsReport

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

Report: TypeAlias = AggregateReport | FailureReport | TlsReport

_MTA_TYPE = re.compile(r"\A[ \t]{0,10}[A-Za-z0-9-]{1,20}[ \t]{0,10};[ \t]{0,10}")
_FAILURE_TEXTS = (
    "feedback_type", "version", "user_agent", "auth_failure", "delivery_result", "identity_alignment",
    "reported_domain", "dkim_domain", "dkim_selector", "spf_dns", "source_ip", "original_mail_from", "header_from",
    "message_id", "subject",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Summary:
    """What every kind of report has; "" where it does not say. `domains` are all that it is about."""

    org_name: str
    org_email: str
    report_id: str
    begin: int
    end: int
    domains: tuple[str, ...]
    records: int
    messages: int


def summary(report: Report, *, received: datetime, digest: str) -> Summary:
    """The report in short; a failure report has no id of its own, the SHA-256 of its document stands for it."""
    if isinstance(report, AggregateReport):
        return Summary(
            org_name=report.org_name or "",
            org_email=report.email or "",
            report_id=report.report_id,
            begin=report.begin,
            end=report.end,
            domains=(report.policy.domain,),
            records=len(report.records),
            messages=report.messages,
        )
    if isinstance(report, TlsReport):
        named = dict.fromkeys(policy.policy_domain for policy in report.policies if policy.policy_domain)
        return Summary(
            org_name=report.organization_name or "",
            org_email=report.contact_info or "",
            report_id=report.report_id,
            begin=report.begin,
            end=report.end,
            domains=tuple(named),
            records=len(report.policies),
            messages=report.sessions,
        )
    moment = _moment(report, received)
    domain = (report.reported_domain or report.header_from or "").lower()
    return Summary(
        org_name=_reporter(report),
        org_email="",
        report_id=digest,
        begin=moment,
        end=moment,
        domains=(domain,) if domain else (),
        records=1,
        messages=1,
    )


def tables_of(placed: Sequence[Placed[Any]]) -> dict[str, pa.Table]:
    """The reports' rows by their table's name, each table in the order in which the reports are given."""
    kinds: dict[type, list[Placed[Any]]] = {}
    for one in placed:
        kinds.setdefault(type(one.report), []).append(one)
    return {_TABLES[kind][0]: _TABLES[kind][1](reports) for kind, reports in kinds.items()}


def table_of(report: Report) -> str:
    """The name of the table that the report's rows are for."""
    return _TABLES[type(report)][0]


def row_count(report: Report) -> int:
    """How many rows the report becomes."""
    if isinstance(report, AggregateReport):
        return len(report.records)
    return len(report.policies) if isinstance(report, TlsReport) else 1


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
    moments = [_moment(one.report, one.received) for one in placed]
    constants: dict[str, Sequence[Any]] = {
        **known_columns(placed),
        "report_id": heads(one.report_id for one in placed),
        "org_name": heads(_reporter(report) or None for report in reports),
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


def _moment(report: FailureReport, received: datetime) -> int:
    return int(received.timestamp()) if report.arrival_date is None else report.arrival_date


def _reporter(report: FailureReport) -> str:
    """Who reports: the machine ("dns; mx.example.net" without its type), or else the software."""
    return _MTA_TYPE.sub("", report.reporting_mta or "", count=1).strip() or report.user_agent or ""
