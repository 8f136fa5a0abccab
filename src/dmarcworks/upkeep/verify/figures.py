"""What Analytics holds of each report, and how its rows are deleted.

In: a table and a range of report keys. Out: rows and sums by report. Keys, accounts and domains are bound or written
as literals; a table is one of ours or a version of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from dmarcworks.bindings.contracts import Analytics
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.errors import UsageError

__all__ = ["KINDS", "SUMS", "Place", "ReportFigures", "held", "literal", "remove", "table_name"]

# A report's kind and its table.
KINDS = {"aggregate": "dmarc_reports", "tls": "tls_reports", "failure": "failure_reports"}
SUMS = {
    "dmarc_reports": "sum(toUInt128(count))",
    "tls_reports": "sum(toUInt128(ifNull(successful_sessions, 0)) + toUInt128(ifNull(failed_sessions, 0)))",
    "failure_reports": "toUInt128(count())",
}
_NAME = re.compile(r"(?:dmarc|tls|failure)_reports(?:_v[0-9_]{1,30})?")
_DELETED_AT_ONCE = 500

# Account, domain and report key.
Place = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class ReportFigures:
    """What a table holds of one report for one domain; `positions` are the different record numbers among its rows."""

    account_id: str
    domain_id: str
    report_key: str
    day: date
    rows: int
    positions: int
    messages: int

    @property
    def place(self) -> Place:
        """Where its rows are."""
        return self.account_id, self.domain_id, self.report_key


def table_name(text: str) -> str:
    """The text, if it names a table of reports or a version of one."""
    if not _NAME.fullmatch(text):
        raise UsageError(f"{text!r} is no table of reports")
    return text


async def held(
    analytics: Analytics, table: str, *, after: str = "", last: str = "", domain: Domain | None = None
) -> list[ReportFigures]:
    """Everything of reports with `after` < key <= `last` ("" for no end), in one domain or all."""
    where = ["report_key > {after:String}" if after else "1"]
    parameters = {"after": after, "last": last}
    if last:
        where.append("report_key <= {last:String}")
    if domain is not None:
        where.append("account_id = {account_id:String} AND domain_id = {domain_id:String}")
        parameters |= {"account_id": domain.account_id, "domain_id": domain.id}
    base = re.sub(r"_v[0-9_]+$", "", table_name(table))
    answer = await analytics.query(
        "SELECT account_id, domain_id, report_key, any(day) AS day, count() AS rows,"  # noqa: S608 - names of ours
        f" uniqExact(record_index) AS positions, toString({SUMS[base]}) AS messages FROM {table}"
        f" WHERE {' AND '.join(where)} GROUP BY account_id, domain_id, report_key ORDER BY report_key",
        parameters,
    )
    return [
        ReportFigures(
            account_id=row["account_id"],
            domain_id=row["domain_id"],
            report_key=row["report_key"],
            day=date.fromisoformat(row["day"]),
            rows=int(row["rows"]),
            positions=int(row["positions"]),
            messages=int(row["messages"]),
        )
        for row in map(json.loads, answer.splitlines())
    ]


async def remove(analytics: Analytics, table: str, places: Iterable[Place]) -> None:
    """Delete every row of these reports; on disk when it returns."""
    left: Sequence[Place] = sorted(set(places))
    while left:
        batch, left = left[:_DELETED_AT_ONCE], left[_DELETED_AT_ONCE:]
        domains = ", ".join(sorted({literal(domain) for _, domain, _ in batch}))
        rows = ", ".join("(" + ", ".join(map(literal, place)) + ")" for place in batch)
        await analytics.execute(
            f"ALTER TABLE {table_name(table)} DELETE WHERE domain_id IN ({domains})"
            f" AND (account_id, domain_id, report_key) IN ({rows}) SETTINGS mutations_sync = 2"
        )


def literal(text: str) -> str:
    """The text as a string of the engine's dialect."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
