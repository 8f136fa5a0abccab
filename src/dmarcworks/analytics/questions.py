"""The questions that the product asks of its report rows, one method each, typed in and out.

Every figure counts messages (the sum of the records' counts), exactly; days are UTC days of a report's begin, first
and last inclusive. Each statement names one account first, which is the sort key's first column: nobody else's rows
are read. Every value, and above all a stranger's text, is bound by the engine, never pasted into a statement.
"""

# ruff: noqa: S608 - the pieces put together here are our own constants; values are bound as {name:Type}
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from dmarcworks.analytics.questions_more import KindQuestions
from dmarcworks.analytics.schema import FIRST_DAY, LAST_DAY
from dmarcworks.errors import UsageError

ORDERS = (
    "messages", "passed", "failed", "dkim_aligned", "spf_aligned", "quarantined", "rejected", "reporters",
    "source_ip", "first_day", "last_day",
)  # fmt: skip
RESULTS = {
    "pass": "dmarc = 'pass'",
    "fail": "dmarc = 'fail'",
    "quarantine": "disposition = 'quarantine'",
    "reject": "disposition = 'reject'",
}


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
class DomainVolume:
    """A domain's messages in a period, and per day as (day, messages, passed)."""

    messages: int
    passed: int
    reports: int
    last_day: date
    daily: tuple[tuple[date, int, int], ...]


@dataclass(frozen=True, slots=True)
class SourceVolume:
    """A source address's messages in a period, by result."""

    source_ip: str
    messages: int
    passed: int
    dkim_aligned: int
    spf_aligned: int
    quarantined: int
    rejected: int
    reporters: int
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class SourcePage:
    """Some source addresses, and how many there are."""

    rows: tuple[SourceVolume, ...]
    total: int


@dataclass(frozen=True, slots=True)
class ReporterVolume:
    """What one reporter told; its name as it calls itself ("" when it does not)."""

    org_name: str
    reports: int
    messages: int
    passed: int


@dataclass(frozen=True, slots=True)
class RecordRow:
    """A record of a report; `reasons`, `dkim` and `spf` as mappings with the names of the report model."""

    report_key: str
    record_index: int
    day: date
    org_name: str | None
    source_ip: str
    count: int
    disposition: str | None
    dmarc: str
    dkim_aligned: str | None
    spf_aligned: str | None
    header_from: str | None
    envelope_from: str | None
    envelope_to: str | None
    reasons: tuple[Mapping[str, str | None], ...]
    dkim: tuple[Mapping[str, str | None], ...]
    spf: tuple[Mapping[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Some records, how many there are, and the messages of them all."""

    rows: tuple[RecordRow, ...]
    total: int
    messages: int


_DAYS = "day BETWEEN {first:Date} AND {last:Date}"
_SCOPE = "account_id = {account_id:String} AND domain_id = {domain_id:String} AND " + _DAYS
_SUMS = (
    "sum(count) AS messages, sumIf(count, dmarc = 'pass') AS passed, sumIf(count, dmarc = 'fail') AS failed,"
    " sumIf(count, dkim_aligned = 'pass') AS dkim_aligned_, sumIf(count, spf_aligned = 'pass') AS spf_aligned_,"
    " sumIf(count, disposition = 'quarantine') AS quarantined, sumIf(count, disposition = 'reject') AS rejected"
)
# A reporter is known by its name alone; an absent one and an empty one are the same nobody.
_REPORTER = "ifNull(toString(org_name), '')"
_PAGE = "LIMIT {limit:UInt32} OFFSET {offset:UInt32}"


class Questions(KindQuestions):
    """All questions, over one store."""

    async def volume_by_day(self, account_id: str, domain_id: str, first: date, last: date) -> tuple[DayVolume, ...]:
        """Messages per day by result, in day order; days without a report are absent."""
        rows = await self._ask(
            f"SELECT day, {_SUMS}, uniqExact(report_key) AS reports FROM dmarc_reports"
            f" WHERE {_SCOPE} GROUP BY day ORDER BY day",
            _scope(account_id, domain_id, first, last),
        )
        return tuple(
            DayVolume(
                day=_day(row["day"]),
                messages=int(row["messages"]),
                passed=int(row["passed"]),
                failed=int(row["failed"]),
                quarantined=int(row["quarantined"]),
                rejected=int(row["rejected"]),
                reports=int(row["reports"]),
            )
            for row in rows
        )

    async def figures(self, account_id: str, domain_id: str, first: date, last: date) -> Figures:
        """The period's figures; all 0 when there was no report."""
        rows = await self._ask(
            f"SELECT {_SUMS}, uniqExact(source_ip) AS sources, uniqExact(report_key) AS reports,"
            f" uniqExact({_REPORTER}) AS reporters FROM dmarc_reports WHERE {_SCOPE}",
            _scope(account_id, domain_id, first, last),
        )
        row = rows[0]
        return Figures(
            messages=int(row["messages"]),
            passed=int(row["passed"]),
            failed=int(row["failed"]),
            dkim_aligned=int(row["dkim_aligned_"]),
            spf_aligned=int(row["spf_aligned_"]),
            quarantined=int(row["quarantined"]),
            rejected=int(row["rejected"]),
            sources=int(row["sources"]),
            reports=int(row["reports"]),
            reporters=int(row["reporters"]),
        )

    async def domains(self, account_id: str, first: date, last: date) -> dict[str, DomainVolume]:
        """By domain id, what each of the account's domains with a report in the period got."""
        rows = await self._ask(
            "SELECT domain_id, sum(messages_) AS messages, sum(passed_) AS passed, sum(reports_) AS reports,"
            " max(day) AS last_day, arraySort(groupArray((day, messages_, passed_))) AS daily FROM ("
            "SELECT domain_id, day, sum(count) AS messages_, sumIf(count, dmarc = 'pass') AS passed_,"
            " uniqExact(report_key) AS reports_ FROM dmarc_reports"
            f" WHERE account_id = {{account_id:String}} AND {_DAYS}"
            " GROUP BY domain_id, day) GROUP BY domain_id",
            _period(first, last) | {"account_id": account_id},
        )
        return {
            row["domain_id"]: DomainVolume(
                messages=int(row["messages"]),
                passed=int(row["passed"]),
                reports=int(row["reports"]),
                last_day=_day(row["last_day"]),
                daily=tuple((_day(day), int(messages), int(passed)) for day, messages, passed in row["daily"]),
            )
            for row in rows
        }

    async def sources(
        self,
        account_id: str,
        domain_id: str,
        first: date,
        last: date,
        *,
        limit: int = 10,
        offset: int = 0,
        order: str = "messages",
        descending: bool = True,
        day: date | None = None,
        result: str | None = None,
    ) -> SourcePage:
        """Source addresses of a period, or of one `day`; with a `result` (a key of `RESULTS`) only such messages.

        `order` is one of `ORDERS`; equal ones stand in address order. `UsageError` for another order or result.
        """
        if order not in ORDERS:
            raise UsageError(f"sources have no order {order!r}; choose one of {', '.join(ORDERS)}")
        where, parameters = _SCOPE, _scope(account_id, domain_id, first, last)
        if day is not None:
            where += " AND day = {day:Date}"
            parameters["day"] = _date(day)
        if result is not None:
            if result not in RESULTS:
                raise UsageError(f"there is no result {result!r}; choose one of {', '.join(RESULTS)}")
            where += f" AND {RESULTS[result]}"
        column = order + "_" if order in ("dkim_aligned", "spf_aligned") else order
        direction = "DESC" if descending else "ASC"
        rows = await self._ask(
            f"SELECT source_ip, {_SUMS}, uniqExact({_REPORTER}) AS reporters, min(day) AS first_day,"
            f" max(day) AS last_day, count() OVER () AS total FROM dmarc_reports WHERE {where}"
            f" GROUP BY source_ip ORDER BY {column} {direction}, source_ip {_PAGE}",
            parameters | {"limit": limit, "offset": offset},
        )
        if rows or not offset:
            total = int(rows[0]["total"]) if rows else 0
        else:
            counted = await self._ask(f"SELECT uniqExact(source_ip) AS n FROM dmarc_reports WHERE {where}", parameters)
            total = int(counted[0]["n"])
        return SourcePage(tuple(map(_source, rows)), total)

    async def reporters(
        self, account_id: str, domain_id: str, first: date, last: date, limit: int = 10
    ) -> tuple[ReporterVolume, ...]:
        """Who reported most messages in a period."""
        rows = await self._ask(
            f"SELECT {_REPORTER} AS reporter, uniqExact(report_key) AS reports, {_SUMS} FROM dmarc_reports"
            f" WHERE {_SCOPE} GROUP BY reporter ORDER BY messages DESC, reporter LIMIT {{limit:UInt32}}",
            _scope(account_id, domain_id, first, last) | {"limit": limit},
        )
        return tuple(
            ReporterVolume(row["reporter"], int(row["reports"]), int(row["messages"]), int(row["passed"]))
            for row in rows
        )

    async def records(
        self,
        account_id: str,
        *,
        report_key: str | None = None,
        domain_id: str | None = None,
        source_ip: str | None = None,
        first: date | None = None,
        last: date | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> RecordPage:
        """The account's records, narrowed by whatever is given; latest day first, a report's in their own order."""
        where = "account_id = {account_id:String} AND " + _DAYS
        parameters: dict[str, Any] = _period(first or FIRST_DAY, last or LAST_DAY) | {"account_id": account_id}
        for name, value in (("report_key", report_key), ("domain_id", domain_id), ("source_ip", source_ip)):
            if value is not None:
                where += f" AND {name} = {{{name}:String}}"
                parameters[name] = value
        totals = await self._ask(
            f"SELECT count() AS total, sum(count) AS messages FROM dmarc_reports WHERE {where}", parameters
        )
        rows = await self._ask(
            "SELECT report_key, record_index, day, org_name, source_ip, count, disposition, dmarc, dkim_aligned,"
            " spf_aligned, header_from, envelope_from, envelope_to, reasons, dkim, spf FROM dmarc_reports"
            f" WHERE {where} ORDER BY day DESC, report_key, record_index {_PAGE}",
            parameters | {"limit": limit, "offset": offset},
        )
        return RecordPage(tuple(map(_record, rows)), int(totals[0]["total"]), int(totals[0]["messages"]))


def _date(day: date) -> str:
    return min(max(day, FIRST_DAY), LAST_DAY).isoformat()


def _period(first: date, last: date) -> dict[str, Any]:
    return {"first": _date(first), "last": _date(last)}


def _scope(account_id: str, domain_id: str, first: date, last: date) -> dict[str, Any]:
    return _period(first, last) | {"account_id": account_id, "domain_id": domain_id}


def _day(text: str) -> date:
    return date.fromisoformat(text)


def _source(row: Mapping[str, Any]) -> SourceVolume:
    return SourceVolume(
        source_ip=row["source_ip"],
        messages=int(row["messages"]),
        passed=int(row["passed"]),
        dkim_aligned=int(row["dkim_aligned_"]),
        spf_aligned=int(row["spf_aligned_"]),
        quarantined=int(row["quarantined"]),
        rejected=int(row["rejected"]),
        reporters=int(row["reporters"]),
        first_day=_day(row["first_day"]),
        last_day=_day(row["last_day"]),
    )


def _record(row: Mapping[str, Any]) -> RecordRow:
    lists = {name: tuple(row[name]) for name in ("reasons", "dkim", "spf")}
    return RecordRow(**{**row, "count": int(row["count"]), "day": _day(row["day"]), **lists})
