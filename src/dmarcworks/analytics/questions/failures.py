"""What failure reports show (RFC 6591, RFC 9991): how many on which day, and from which addresses.

A report counts as many incidents as it states, and one when it states none.
"""

# ruff: noqa: S608 - the pieces put together here are our own constants; values are bound as {name:Type}
from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from dmarcworks.analytics.questions.execute import QueryRunner
from dmarcworks.analytics.questions.scope import Domains, Scope, day, printable


@dataclass(frozen=True, slots=True)
class FailureDay:
    """A day's failure reports and their incidents."""

    day: date
    reports: int
    incidents: int


@dataclass(frozen=True, slots=True)
class FailureSource:
    """Failure reports about an address ("" where they state none); `kinds` are the checks that failed, sorted."""

    source_ip: str
    reports: int
    incidents: int
    kinds: tuple[str, ...]
    first_day: date
    last_day: date


_INCIDENTS = "count() AS reports, sum(toUInt128(ifNull(incidents, 1))) AS incidents_"


class FailureQuestions(QueryRunner):
    """Questions about failure reports."""

    async def failures_by_day(
        self, account_id: str, domain_id: Domains, first: date, last: date
    ) -> tuple[FailureDay, ...]:
        """Failure reports per day, in day order; days without one are absent."""
        scope = Scope.of(account_id, domain_id, first, last)
        rows = await self._query(
            f"SELECT day, {_INCIDENTS} FROM failure_reports WHERE {scope.where} GROUP BY day ORDER BY day",
            scope.parameters,
        )
        return tuple(FailureDay(day(row["day"]), int(row["reports"]), int(row["incidents_"])) for row in rows)

    async def failures_by_domain(self, account_id: str, first: date, last: date) -> dict[str, int]:
        """Failure reports by domain id; domains without one are absent."""
        scope = Scope.of(account_id, None, first, last)
        rows = await self._query(
            f"SELECT domain_id, count() AS reports FROM failure_reports WHERE {scope.where} GROUP BY domain_id",
            scope.parameters,
        )
        return {row["domain_id"]: int(row["reports"]) for row in rows}

    async def failures_by_source(
        self, account_id: str, domain_id: Domains, first: date, last: date, *, limit: int = 100
    ) -> tuple[FailureSource, ...]:
        """Addresses by the failure reports about them, most first."""
        scope = Scope.of(account_id, domain_id, first, last)
        rows = await self._query(
            f"SELECT {printable('source_ip')} AS address, {_INCIDENTS},"
            " arraySort(groupUniqArrayIf(assumeNotNull(toString(auth_failure)), auth_failure IS NOT NULL)) AS kinds,"
            f" min(day) AS first_day, max(day) AS last_day FROM failure_reports WHERE {scope.where}"
            " GROUP BY address ORDER BY incidents_ DESC, address LIMIT {limit:UInt32}",
            scope.parameters | {"limit": limit},
        )
        return tuple(
            FailureSource(
                source_ip=row["address"],
                reports=int(row["reports"]),
                incidents=int(row["incidents_"]),
                kinds=tuple(row["kinds"]),
                first_day=day(row["first_day"]),
                last_day=day(row["last_day"]),
            )
            for row in rows
        )
