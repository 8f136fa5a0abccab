"""How well TLS worked on the way in: sessions by day and by policy, and failures by reason and MX (RFC 8460).

Reports count successes per policy only; a failure names the MX that it met.
"""

# ruff: noqa: S608 - the pieces put together here are our own constants; values are bound as {name:Type}
from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from dmarcworks.analytics.questions.execute import QueryRunner
from dmarcworks.analytics.questions.scope import Domains, Scope, day, printable


@dataclass(frozen=True, slots=True)
class TlsDay:
    """A day's sessions; `reports` that began on it."""

    day: date
    successful: int
    failed: int
    reports: int


@dataclass(frozen=True, slots=True)
class TlsPolicyVolume:
    """Sessions under a policy, by its type (sts, tlsa, no-policy-found) and domain."""

    policy_type: str
    policy_domain: str
    successful: int
    failed: int
    reports: int
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class TlsFailureVolume:
    """Sessions that failed for a reason at an MX; both "" where reports state none."""

    result_type: str
    mx: str
    failed: int
    reports: int
    first_day: date
    last_day: date


_SESSIONS = (
    "sum(toUInt128(ifNull(successful_sessions, 0))) AS successful, sum(toUInt128(ifNull(failed_sessions, 0))) AS failed"
)


class TlsQuestions(QueryRunner):
    """Questions about TLS reports."""

    async def tls_by_day(self, account_id: str, domain_id: Domains, first: date, last: date) -> tuple[TlsDay, ...]:
        """Sessions per day, in day order; days without a report are absent."""
        scope = Scope.of(account_id, domain_id, first, last)
        rows = await self._query(
            f"SELECT day, {_SESSIONS}, uniqExact(report_key) AS reports FROM tls_reports WHERE {scope.where}"
            " GROUP BY day ORDER BY day",
            scope.parameters,
        )
        return tuple(
            TlsDay(day(row["day"]), int(row["successful"]), int(row["failed"]), int(row["reports"])) for row in rows
        )

    async def tls_by_domain(self, account_id: str, first: date, last: date) -> dict[str, tuple[int, int, int]]:
        """By domain id: reports, sessions, and those of the sessions that failed; domains without one are absent."""
        scope = Scope.of(account_id, None, first, last)
        rows = await self._query(
            f"SELECT domain_id, {_SESSIONS}, uniqExact(report_key) AS reports FROM tls_reports WHERE {scope.where}"
            " GROUP BY domain_id",
            scope.parameters,
        )
        return {
            row["domain_id"]: (int(row["reports"]), int(row["successful"]) + int(row["failed"]), int(row["failed"]))
            for row in rows
        }

    async def tls_by_policy(
        self, account_id: str, domain_id: Domains, first: date, last: date, *, limit: int = 100
    ) -> tuple[TlsPolicyVolume, ...]:
        """Sessions by policy, most failed first."""
        scope = Scope.of(account_id, domain_id, first, last)
        rows = await self._query(
            f"SELECT {printable('policy_type')} AS kind, {printable('policy_domain')} AS whose, {_SESSIONS},"
            " uniqExact(report_key) AS reports, min(day) AS first_day, max(day) AS last_day FROM tls_reports"
            f" WHERE {scope.where} GROUP BY kind, whose ORDER BY failed DESC, successful DESC, kind, whose"
            " LIMIT {limit:UInt32}",
            scope.parameters | {"limit": limit},
        )
        return tuple(
            TlsPolicyVolume(
                policy_type=row["kind"],
                policy_domain=row["whose"],
                successful=int(row["successful"]),
                failed=int(row["failed"]),
                reports=int(row["reports"]),
                first_day=day(row["first_day"]),
                last_day=day(row["last_day"]),
            )
            for row in rows
        )

    async def tls_failures(
        self, account_id: str, domain_id: Domains, first: date, last: date, *, limit: int = 100
    ) -> tuple[TlsFailureVolume, ...]:
        """Failed sessions by reason and MX, most first."""
        scope = Scope.of(account_id, domain_id, first, last).narrowed("notEmpty(failures)")
        rows = await self._query(
            f"SELECT {printable('one.result_type')} AS result, {printable('one.receiving_mx_hostname')} AS mx,"
            " sum(toUInt128(ifNull(one.failed_sessions, 0))) AS failed, uniqExact(report_key) AS reports,"
            " min(day) AS first_day, max(day) AS last_day FROM"
            f" (SELECT day, report_key, arrayJoin(failures) AS one FROM tls_reports WHERE {scope.where})"
            " GROUP BY result, mx ORDER BY failed DESC, result, mx LIMIT {limit:UInt32}",
            scope.parameters | {"limit": limit},
        )
        return tuple(
            TlsFailureVolume(
                result_type=row["result"],
                mx=row["mx"],
                failed=int(row["failed"]),
                reports=int(row["reports"]),
                first_day=day(row["first_day"]),
                last_day=day(row["last_day"]),
            )
            for row in rows
        )
