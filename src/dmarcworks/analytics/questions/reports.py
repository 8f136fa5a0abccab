"""Queries on TLS and failure reports: the policies of one report, the one row of the other.

As in the other modules of this package, the account is named first in each statement, and every value is bound by
the engine, never pasted. What comes back is a stranger's text; absent is None.
"""

# ruff: noqa: S608 - the pieces put together here are our own constants; values are bound as {name:Type}
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from dmarcworks.analytics.questions.execute import QueryRunner
from dmarcworks.analytics.schema import FIRST_DAY, LAST_DAY

__all__ = ["FailureRow", "KindQuestions", "TlsPage", "TlsPolicyRow"]


@dataclass(frozen=True, slots=True)
class TlsPolicyRow:
    """A policy of a TLS report; `failures` as mappings with the names of the report model."""

    policy_type: str | None
    policy_domain: str | None
    policy_string: tuple[str, ...]
    mx_host: tuple[str, ...]
    successful_sessions: int | None
    failed_sessions: int | None
    failures: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class TlsPage:
    """Some policies of a TLS report, and how many it has."""

    rows: tuple[TlsPolicyRow, ...]
    total: int


@dataclass(frozen=True, slots=True)
class FailureRow:
    """A failure report, without the message that it is about."""

    feedback_type: str | None
    version: str | None
    user_agent: str | None
    auth_failure: str | None
    delivery_result: str | None
    identity_alignment: str | None
    reported_domain: str | None
    source_ip: str | None
    incidents: int | None
    dkim_domain: str | None
    dkim_selector: str | None
    spf_dns: str | None
    original_mail_from: str | None
    original_rcpt_to: tuple[str, ...]
    header_from: str | None
    message_id: str | None
    subject: str | None


_ONE = (
    "account_id = {account_id:String} AND domain_id = {domain_id:String} AND day = {day:Date}"
    " AND report_key = {report_key:String}"
)
_TLS = ", ".join(TlsPolicyRow.__slots__)
_FAILURE = ", ".join(FailureRow.__slots__)


class KindQuestions(QueryRunner):
    """Questions about reports of other kinds than aggregate, over one store."""

    async def tls_policies(
        self, account_id: str, domain_id: str, day: date, report_key: str, *, limit: int = 100, offset: int = 0
    ) -> TlsPage:
        """The report's policies in its own order."""
        parameters = _one(account_id, domain_id, day, report_key)
        totals = await self._query(f"SELECT count() AS total FROM tls_reports WHERE {_ONE}", parameters)
        rows = await self._query(
            f"SELECT {_TLS} FROM tls_reports WHERE {_ONE}"
            " ORDER BY record_index LIMIT {limit:UInt32} OFFSET {offset:UInt32}",
            parameters | {"limit": limit, "offset": offset},
        )
        lists = ("policy_string", "mx_host", "failures")
        policies = (TlsPolicyRow(**{**row, **{name: tuple(row[name]) for name in lists}}) for row in rows)
        return TlsPage(tuple(policies), int(totals[0]["total"]))

    async def failure(self, account_id: str, domain_id: str, day: date, report_key: str) -> FailureRow | None:
        """The failure report, or None when it is not there."""
        rows = await self._query(
            f"SELECT {_FAILURE} FROM failure_reports WHERE {_ONE} LIMIT 1",
            _one(account_id, domain_id, day, report_key),
        )
        if not rows:
            return None
        return FailureRow(**{**rows[0], "original_rcpt_to": tuple(rows[0]["original_rcpt_to"])})


def _one(account_id: str, domain_id: str, day: date, report_key: str) -> dict[str, Any]:
    held = min(max(day, FIRST_DAY), LAST_DAY).isoformat()
    return {"account_id": account_id, "domain_id": domain_id, "day": held, "report_key": report_key}
