"""How much: messages by day and result, a period's figures against the period before, each domain's share.

All of it comes from the daily sums, but for the number of different source addresses.
"""

# ruff: noqa: S608 - the pieces put together here are our own constants; values are bound as {name:Type}
from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from dmarcworks.analytics.questions.execute import QueryRunner
from dmarcworks.analytics.questions.scope import NAMED_SUMS, SUM_COLUMNS, Domains, Scope, counted, day, printable


@dataclass(frozen=True, slots=True)
class DayVolume:
    """A day's messages by result; `reports` that began on it."""

    day: date
    messages: int
    passed: int
    failed: int
    quarantined: int
    rejected: int
    reports: int


@dataclass(frozen=True, slots=True)
class Figures:
    """A period in one line; messages, and how many different sources, reports and reporters."""

    messages: int
    passed: int
    failed: int
    dkim_aligned: int
    spf_aligned: int
    quarantined: int
    rejected: int
    sources: int
    reports: int
    reporters: int


@dataclass(frozen=True, slots=True)
class Change:
    """A period's figures, and those of as many days before it."""

    current: Figures
    before: Figures


@dataclass(frozen=True, slots=True)
class DomainVolume:
    """A domain's messages in a period, and per day as (day, messages, passed)."""

    messages: int
    passed: int
    reports: int
    last_day: date
    daily: tuple[tuple[date, int, int], ...]


@dataclass(frozen=True, slots=True)
class ReporterVolume:
    """What one reporter reported; its name as it calls itself ("" when it does not)."""

    org_name: str
    reports: int
    messages: int
    passed: int


# Reporters whose days are listed, those with the most days first: anyone may call itself anything in a report.
_REPORTERS = 500


class VolumeQuestions(QueryRunner):
    """Questions about amounts."""

    async def volume_by_day(
        self, account_id: str, domain_id: Domains, first: date, last: date
    ) -> tuple[DayVolume, ...]:
        """Messages per day by result, in day order; days without a report are absent."""
        scope = Scope.of(account_id, domain_id, first, last)
        rows = await self._query(
            f"SELECT day, {NAMED_SUMS} FROM dmarc_reports WHERE {scope.where} GROUP BY day ORDER BY day",
            scope.parameters,
        )
        return tuple(
            DayVolume(
                day=day(row["day"]),
                messages=int(row["messages"]),
                passed=int(row["passed"]),
                failed=int(row["messages"]) - int(row["passed"]),
                quarantined=int(row["quarantined"]),
                rejected=int(row["rejected"]),
                reports=int(row["reports"]),
            )
            for row in rows
        )

    async def figures(self, account_id: str, domain_id: Domains, first: date, last: date) -> Figures:
        """The period's figures; all 0 when there was no report."""
        scope = Scope.of(account_id, domain_id, first, last)
        sums = ", ".join(f"sum({name}) AS {name}" for name in SUM_COLUMNS)
        (row,) = await self._query(
            "SELECT *, (SELECT count() FROM (SELECT source_ip FROM dmarc_reports"
            f" WHERE {scope.where} GROUP BY source_ip)) AS sources FROM ("
            f"SELECT {sums}, count() AS reporters FROM (SELECT {printable('org_name')} AS reporter, {NAMED_SUMS}"
            f" FROM dmarc_reports WHERE {scope.where} GROUP BY reporter))",
            scope.parameters,
        )
        counts = counted(row)
        return Figures(
            **counts,
            failed=counts["messages"] - counts["passed"],
            sources=int(row["sources"] or 0),
            reports=int(row["reports"]),
            reporters=int(row["reporters"]),
        )

    async def change(self, account_id: str, domain_id: Domains, first: date, last: date) -> Change:
        """The period's figures and those of as many days just before it."""
        days = (last - first).days + 1
        current = await self.figures(account_id, domain_id, first, last)
        previous = await self.figures(account_id, domain_id, first - timedelta(days), first - timedelta(1))
        return Change(current, previous)

    async def domains(
        self, account_id: str, first: date, last: date, domain_ids: Domains = None
    ) -> dict[str, DomainVolume]:
        """By domain id, what each of the account's domains with a report in the period got."""
        scope = Scope.of(account_id, domain_ids, first, last)
        rows = await self._query(
            "SELECT domain_id, sum(messages) AS all_messages, sum(passed) AS all_passed, sum(reports) AS all_reports,"
            " max(day) AS last_day, arraySort(groupArray((day, messages, passed))) AS daily FROM ("
            f"SELECT domain_id, day, {NAMED_SUMS} FROM dmarc_reports WHERE {scope.where} GROUP BY domain_id, day)"
            " GROUP BY domain_id",
            scope.parameters,
        )
        return {
            row["domain_id"]: DomainVolume(
                messages=int(row["all_messages"]),
                passed=int(row["all_passed"]),
                reports=int(row["all_reports"]),
                last_day=day(row["last_day"]),
                daily=tuple((day(when), int(messages), int(passed)) for when, messages, passed in row["daily"]),
            )
            for row in rows
        }

    async def reporters(
        self, account_id: str, domain_id: Domains, first: date, last: date, limit: int = 10
    ) -> tuple[ReporterVolume, ...]:
        """Who reported most messages in a period."""
        scope = Scope.of(account_id, domain_id, first, last)
        rows = await self._query(
            f"SELECT {printable('org_name')} AS reporter, {NAMED_SUMS} FROM dmarc_reports"
            f" WHERE {scope.where} GROUP BY reporter ORDER BY messages DESC, reporter LIMIT {{limit:UInt32}}",
            scope.parameters | {"limit": limit},
        )
        return tuple(
            ReporterVolume(row["reporter"], int(row["reports"]), int(row["messages"]), int(row["passed"]))
            for row in rows
        )

    async def reporter_days(
        self, account_id: str, domain_id: Domains, first: date, last: date
    ) -> dict[str, tuple[date, ...]]:
        """The days that each reporter's reports are about, in order; by name, "" for those without one."""
        scope = Scope.of(account_id, domain_id, first, last)
        rows = await self._query(
            f"SELECT {printable('org_name')} AS reporter, arraySort(groupUniqArray(day)) AS days FROM dmarc_reports"
            f" WHERE {scope.where} GROUP BY reporter ORDER BY length(days) DESC, reporter LIMIT {{limit:UInt32}}",
            scope.parameters | {"limit": _REPORTERS},
        )
        return {row["reporter"]: tuple(day(one) for one in row["days"]) for row in rows}
