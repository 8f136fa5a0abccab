"""What every kind of report has in common: reporter, report id, period, domains and how much it holds. Pure.

The catalogue needs no more of a report than this, and a command that lists reports must not load the analytics store's
libraries for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from dmarcworks.reports.model import AggregateReport, FailureReport, TlsReport

__all__ = ["Report", "Summary", "moment", "reporter", "row_count", "summary"]

Report: TypeAlias = AggregateReport | FailureReport | TlsReport

_MTA_TYPE = re.compile(r"\A[ \t]{0,10}[A-Za-z0-9-]{1,20}[ \t]{0,10};[ \t]{0,10}")


@dataclass(frozen=True, slots=True)
class Summary:
    """The fields that every kind of report has; "" if the report omits one. `domains` are all its policy domains.

    `dated`: the report itself states when; otherwise begin and end are when it was received.
    """

    org_name: str
    org_email: str
    report_id: str
    begin: int
    end: int
    domains: tuple[str, ...]
    records: int
    messages: int
    dated: bool = True


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
    instant = moment(report, received)
    domain = (report.reported_domain or report.header_from or "").lower()
    return Summary(
        org_name=reporter(report),
        org_email="",
        report_id=digest,
        begin=instant,
        end=instant,
        domains=(domain,) if domain else (),
        records=1,
        messages=1,
        dated=report.arrival_date is not None,
    )


def row_count(report: Report) -> int:
    """How many rows the report becomes."""
    if isinstance(report, AggregateReport):
        return len(report.records)
    return len(report.policies) if isinstance(report, TlsReport) else 1


def moment(report: FailureReport, received: datetime) -> int:
    """When the reported message arrived, in unix seconds; a report that does not state it: when it was received."""
    return int(received.timestamp()) if report.arrival_date is None else report.arrival_date


def reporter(report: FailureReport) -> str:
    """Who reports: the machine ("dns; mx.example.net" without its type), or else the software."""
    return _MTA_TYPE.sub("", report.reporting_mta or "", count=1).strip() or report.user_agent or ""
