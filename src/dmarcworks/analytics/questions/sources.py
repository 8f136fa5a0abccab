"""Who sends, by address: sources in any order, when each was first and last seen, which are new, and records."""

# ruff: noqa: S608 - the pieces put together here are our own constants; values are bound as {name:Type}
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from dmarcworks.analytics.questions.execute import QueryRunner
from dmarcworks.analytics.questions.scope import NAMED_SUMS, PAGE, Domains, Scope, counted, day
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
class Seen:
    """When something was first and last reported, and how many messages in all."""

    first_day: date
    last_day: date
    messages: int


@dataclass(frozen=True, slots=True)
class RecordRow:
    """A record of a report; `reasons`, `dkim` and `spf` as mappings with the names of the report model.

    `sender` is the service or own system, `sender_decision` what its owner decided about it, and `sender_label`
    the owner's name for it, as they are stored with the record.
    """

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
    sender: str | None
    sender_kind: str | None
    sender_decision: str | None
    sender_label: str | None

    @property
    def sender_name(self) -> str | None:
        """The owner's name for the sender, otherwise the service's; None when it is unknown."""
        return self.sender_label or self.sender


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Some records, how many there are, and the messages of them all."""

    rows: tuple[RecordRow, ...]
    total: int
    messages: int


_RECORD = ", ".join(RecordRow.__slots__)
# The hash by which the engine compares texts, but computed once per name and block instead of once per row: a million
# addresses, each with a set of reporters, cost half.
_REPORTERS = "uniqExact(reinterpretAsUInt128(sipHash128(ifNull(org_name, ''))))"
_DETAILS = (
    f"SELECT source_ip, {NAMED_SUMS}, messages - passed AS failed, {_REPORTERS} AS reporters,"
    " min(day) AS first_day, max(day) AS last_day"
)


class SourceQuestions(QueryRunner):
    """Questions about source addresses and records."""

    async def sources(
        self,
        account_id: str,
        domain_id: Domains,
        first: date,
        last: date,
        *,
        limit: int = 10,
        offset: int = 0,
        order: str = "messages",
        descending: bool = True,
        day: date | None = None,
        result: str | None = None,
        addresses: Sequence[str] | None = None,
    ) -> SourcePage:
        """Source addresses of a period, or of one `day`; with a `result` (a key of `RESULTS`) only such messages.

        `addresses` narrows to these.

        `order` is one of `ORDERS`; equal ones are in address order. `UsageError` for another order or result.
        """
        if order not in ORDERS:
            raise UsageError(f"sources have no order {order!r}; choose one of {', '.join(ORDERS)}")
        scope = Scope.of(account_id, domain_id, first, last)
        if day is not None:
            scope = scope.narrowed("day = {day:Date}", day=day.isoformat())
        if result is not None:
            if result not in RESULTS:
                raise UsageError(f"there is no result {result!r}; choose one of {', '.join(RESULTS)}")
            scope = scope.narrowed(RESULTS[result])
        if addresses is not None:
            scope = scope.narrowed("source_ip IN {addresses:Array(String)}", addresses=list(addresses))
        column = order + "_" if order in ("dkim_aligned", "spf_aligned") else order
        arranged = f"ORDER BY {column} {'DESC' if descending else 'ASC'}, source_ip"
        rows = await self._query(
            f"{_DETAILS}, count() OVER () AS total FROM dmarc_reports WHERE {scope.where}"
            f" GROUP BY source_ip {arranged} {PAGE}",
            scope.parameters | {"limit": limit, "offset": offset},
        )
        total = int(rows[0]["total"]) if rows else await self._sources(scope, offset)
        return SourcePage(tuple(map(_source, rows)), total)

    async def _sources(self, scope: Scope, offset: int) -> int:
        """How many addresses there are when the requested page is past their end."""
        if not offset:
            return 0
        rows = await self._query(
            f"SELECT uniqExact(source_ip) AS n FROM dmarc_reports WHERE {scope.where}", scope.parameters
        )
        return int(rows[0]["n"])

    async def source_seen(self, account_id: str, domain_id: Domains, source_ip: str) -> Seen | None:
        """When an address was first and last reported; None when never."""
        scope = Scope.of(account_id, domain_id, None, None).narrowed("source_ip = {source_ip:String}")
        (row,) = await self._query(
            "SELECT min(day) AS first_day, max(day) AS last_day, sum(toUInt128(count)) AS messages, count() AS records"
            f" FROM dmarc_reports WHERE {scope.where}",
            scope.parameters | {"source_ip": source_ip},
        )
        if not row["records"]:
            return None
        return Seen(day(row["first_day"]), day(row["last_day"]), int(row["messages"]))

    async def new_sources(self, account_id: str, domain_id: Domains, since: date, *, limit: int = 10) -> SourcePage:
        """Addresses that no report before `since` named, by messages, and how many they are."""
        scope = Scope.of(account_id, domain_id, None, None)
        late = f"{scope.where} AND day >= {{since:Date}}"
        # The past is looked through for the few addresses of late, not summed by all the addresses that it has.
        known = (
            f"SELECT source_ip FROM dmarc_reports WHERE {scope.where} AND day < {{since:Date}}"
            f" AND source_ip IN (SELECT source_ip FROM dmarc_reports WHERE {late})"
        )
        rows = await self._query(
            f"{_DETAILS}, count() OVER () AS total FROM dmarc_reports WHERE {late} AND source_ip NOT IN ({known})"
            " GROUP BY source_ip ORDER BY messages DESC, source_ip LIMIT {limit:UInt32}",
            scope.parameters | {"since": since.isoformat(), "limit": limit},
        )
        return SourcePage(tuple(map(_source, rows)), int(rows[0]["total"]) if rows else 0)

    async def records(
        self,
        account_id: str,
        *,
        report_key: str | None = None,
        domain_id: Domains = None,
        source_ip: str | None = None,
        first: date | None = None,
        last: date | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> RecordPage:
        """The account's records, narrowed by whatever is given; latest day first, a report's in their own order."""
        scope = Scope.of(account_id, domain_id, first, last)
        for name, value in (("report_key", report_key), ("source_ip", source_ip)):
            if value is not None:
                scope = scope.narrowed(f"{name} = {{{name}:String}}", **{name: value})
        days = await self._query(
            "SELECT day, count() AS total, sum(toUInt128(count)) AS messages FROM dmarc_reports"
            f" WHERE {scope.where} GROUP BY day ORDER BY day DESC",
            scope.parameters,
        )
        total, messages = (sum(int(one[name]) for one in days) for name in ("total", "messages"))
        # Only the days that the page is of are read for it, not the year before them.
        within, skipped = _days_of_page(days, limit, offset)
        if not within:
            return RecordPage((), total, messages)
        scope = scope.narrowed(
            "day BETWEEN {page_first:Date} AND {page_last:Date}", page_first=within[-1], page_last=within[0]
        )
        rows = await self._query(
            f"SELECT {_RECORD} FROM dmarc_reports WHERE {scope.where}"
            f" ORDER BY day DESC, report_key, record_index {PAGE}",
            scope.parameters | {"limit": limit, "offset": offset - skipped},
        )
        return RecordPage(tuple(map(_record, rows)), total, messages)


def _days_of_page(days: Sequence[Mapping[str, Any]], limit: int, offset: int) -> tuple[list[str], int]:
    """The days, newest first, of rows `offset` to `offset + limit`, and how many rows come before those days."""
    within: list[str] = []
    before = skipped = 0
    for one in days:
        after = before + int(one["total"])
        if after <= offset:
            skipped = after
        elif before < offset + limit:
            within.append(one["day"])
        before = after
    return within, skipped


def _source(row: Mapping[str, Any]) -> SourceVolume:
    return SourceVolume(
        **counted(row),
        source_ip=row["source_ip"],
        reporters=int(row["reporters"]),
        first_day=day(row["first_day"]),
        last_day=day(row["last_day"]),
    )


def _record(row: Mapping[str, Any]) -> RecordRow:
    lists: dict[str, Sequence[Any]] = {name: tuple(row[name]) for name in ("reasons", "dkim", "spf")}
    return RecordRow(**{**row, "count": int(row["count"]), "day": day(row["day"]), **lists})
