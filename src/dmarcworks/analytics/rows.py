"""A report of any kind as the rows of its table: aggregate a row per record, TLS a row per policy, failure one row.

In goes a report with what the catalogue knows of it, out come the table's name and an Arrow table in its columns, all
in one partition, so that an insert is one block. As in `schema.rows`: no report makes an insert fail, absent is NULL.
A failure report has no period of its own: begin and end are its arrival date, or else when it was received.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import pyarrow as pa

from dmarcworks.analytics import schema
from dmarcworks.analytics.columns import INT64, Array, clamp, counts, encodable, filled, head, structs, texts
from dmarcworks.analytics.tables import DMARC_REPORTS, FAILURE_REPORTS, TLS_REPORTS
from dmarcworks.reports.days import day_of
from dmarcworks.reports.model import AggregateReport, FailureReport, TlsReport

__all__ = ["Report", "Summary", "failure_rows", "rows_of", "summary", "tls_rows"]

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


def rows_of(
    report: Report,
    *,
    account_id: str,
    domain_id: str,
    domain: str,
    received: datetime,
    report_key: str,
    object_key: str,
    report_id: str = "",
) -> tuple[str, pa.Table]:
    """The table's name and the report's rows in it; `report_id` is the catalogue's, for a kind without one."""
    known: dict[str, Any] = {
        "account_id": account_id,
        "domain_id": domain_id,
        "domain": domain,
        "received": received,
        "report_key": report_key,
        "object_key": object_key,
    }
    if isinstance(report, AggregateReport):
        return DMARC_REPORTS.name, schema.rows(report, **known)
    if isinstance(report, TlsReport):
        return TLS_REPORTS.name, tls_rows(report, **known)
    return FAILURE_REPORTS.name, failure_rows(report, report_id=report_id, **known)


def tls_rows(
    report: TlsReport,
    *,
    account_id: str,
    domain_id: str,
    domain: str,
    received: datetime,
    report_key: str,
    object_key: str,
) -> pa.Table:
    """A row per policy in the report's order, its failures as an array; columns as in `tables.TLS_REPORTS`."""
    policies = report.policies
    constants = {
        "account_id": account_id,
        "domain_id": domain_id,
        "domain": domain,
        "received": received,
        "report_key": report_key,
        "object_key": object_key,
        "report_id": head(report.report_id),
        "org_name": head(report.organization_name),
        "org_email": head(report.contact_info),
        **_days(report.begin, report.end),
    }
    columns: dict[str, Array] = {
        "record_index": pa.array(range(len(policies)), pa.uint32()),
        "policy_type": texts([policy.policy_type for policy in policies]),
        "policy_domain": texts([policy.policy_domain for policy in policies]),
        "policy_string": _lists([policy.policy_string for policy in policies]),
        "mx_host": _lists([policy.mx_host for policy in policies]),
        "successful_sessions": counts(policy.successful_sessions for policy in policies),
        "failed_sessions": counts(policy.failed_sessions for policy in policies),
        "failures": structs(TLS_REPORTS, "failures", [policy.failures for policy in policies]),
    }
    return filled(TLS_REPORTS, len(policies), constants, columns)


def failure_rows(
    report: FailureReport,
    *,
    account_id: str,
    domain_id: str,
    domain: str,
    received: datetime,
    report_key: str,
    object_key: str,
    report_id: str = "",
) -> pa.Table:
    """One row, columns as in `tables.FAILURE_REPORTS`; the reported message itself is not in it."""
    moment = _moment(report, received)
    constants = {
        "account_id": account_id,
        "domain_id": domain_id,
        "domain": domain,
        "received": received,
        "report_key": report_key,
        "object_key": object_key,
        "report_id": head(report_id),
        "org_name": head(_reporter(report) or None),
        **_days(moment, moment),
        **{name: head(getattr(report, name)) for name in _FAILURE_TEXTS},
    }
    columns: dict[str, Array] = {
        "record_index": pa.array([0], pa.uint32()),
        "incidents": counts([report.incidents]),
        "original_rcpt_to": _lists([report.original_rcpt_to]),
    }
    return filled(FAILURE_REPORTS, 1, constants, columns)


def _days(begin: int, end: int) -> Mapping[str, Any]:
    return {"day": day_of(begin), "begin": clamp(begin, INT64), "end": clamp(end, INT64)}


def _moment(report: FailureReport, received: datetime) -> int:
    return int(received.timestamp()) if report.arrival_date is None else report.arrival_date


def _reporter(report: FailureReport) -> str:
    """Who reports: the machine ("dns; mx.example.net" without its type), or else the software."""
    return _MTA_TYPE.sub("", report.reporting_mta or "", count=1).strip() or report.user_agent or ""


def _lists(lists: list[tuple[str, ...]]) -> Array:
    return pa.array([[encodable(text) for text in found] for found in lists], pa.list_(pa.string()))
