"""The TLS reports and failure reports about a domain in a period: sums, and the rows that matter most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from dmarcworks.analytics.questions.all import Domains, FailureDay, FailureSource, Questions, TlsDay, TlsPolicyVolume

__all__ = ["DomainSums", "OtherKinds", "other_kinds", "sums_by_domain"]

ROWS = 10


@dataclass(frozen=True, slots=True)
class OtherKinds:
    """The TLS sessions by policy, and the failure reports by source address."""

    tls_days: Sequence[TlsDay]
    policies: Sequence[TlsPolicyVolume]
    failure_days: Sequence[FailureDay]
    sources: Sequence[FailureSource]

    @property
    def tls_reports(self) -> int:
        """TLS reports."""
        return sum(day.reports for day in self.tls_days)

    @property
    def sessions(self) -> int:
        """TLS sessions, successful or not."""
        return sum(day.successful + day.failed for day in self.tls_days)

    @property
    def failed_sessions(self) -> int:
        """TLS sessions that failed."""
        return sum(day.failed for day in self.tls_days)

    @property
    def failure_reports(self) -> int:
        """Failure reports."""
        return sum(day.reports for day in self.failure_days)

    @property
    def incidents(self) -> int:
        """Messages that failure reports stand for."""
        return sum(day.incidents for day in self.failure_days)


@dataclass(frozen=True, slots=True)
class DomainSums:
    """A domain's reports of the other kinds in a period."""

    tls_reports: int = 0
    sessions: int = 0
    failed_sessions: int = 0
    failure_reports: int = 0


async def other_kinds(questions: Questions, account_id: str, domain: Domains, first: date, last: date) -> OtherKinds:
    """The period's TLS and failure reports."""
    tls_days = await questions.tls_by_day(account_id, domain, first, last)
    failure_days = await questions.failures_by_day(account_id, domain, first, last)
    return OtherKinds(
        tls_days,
        await questions.tls_by_policy(account_id, domain, first, last, limit=ROWS) if tls_days else (),
        failure_days,
        await questions.failures_by_source(account_id, domain, first, last, limit=ROWS) if failure_days else (),
    )


async def sums_by_domain(questions: Questions, account_id: str, first: date, last: date) -> dict[str, DomainSums]:
    """By domain id; a domain without such reports is absent."""
    tls = await questions.tls_by_domain(account_id, first, last)
    failures = await questions.failures_by_domain(account_id, first, last)
    return {
        domain: DomainSums(*tls.get(domain, (0, 0, 0)), failures.get(domain, 0)) for domain in tls.keys() | failures
    }
