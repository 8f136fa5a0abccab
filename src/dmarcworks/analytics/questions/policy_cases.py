"""The rows of a domain as a policy sees them: which tag applies, and what is aligned by which mode.

The result that a reporter evaluated is the truth wherever the alignment mode stays what it found published: there the
place of the author decides alone. Where the mode changes, the names that passed decide. Rows with the same names are
one *case*: `policy_cases` lists them, a caller decides what a policy does to each, and `policy_sums` adds up the
messages. A strict match is a relaxed one as well, so that a result is decided without the names when relaxed failed and
strict is requested, or when strict passed and relaxed is requested.

The statements of `policy_sums` are as few and as small as they can be, since there may be a row for each address: sums
that need no sender are made without one, and only what is to be listed is listed.
"""

# ruff: noqa: S608 - the pieces put together here are our own constants; values are bound as {name:Type}
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from dmarcworks.analytics.questions.execute import QueryRunner
from dmarcworks.analytics.questions.policy_rows import BY_NAMES, CASE, CASE_KEY, case_rows, levelled_rows
from dmarcworks.analytics.questions.scope import Scope, day
from dmarcworks.analytics.questions.sender_groups import DISPOSITION, REASON_LIST, word_sums
from dmarcworks.analytics.questions.sender_rows import SenderRows
from dmarcworks.analytics.sender_key import SenderBasis, SenderKey

__all__ = ["PolicyCase", "PolicyCaseQuestions", "PolicyDay", "PolicyLevels", "PolicySum", "PolicySums"]

# Groups of each kind that one answer holds, those with the most affected messages first.
LISTED = 20_000


@dataclass(frozen=True, slots=True)
class PolicyCase:
    """Rows that no evaluated result decides, all with the same names.

    `place`: domain (mail of the domain itself) or subdomain. `existing`: a message of this subdomain passed DMARC in
    the period. The names are those that passed, as far as the requested mode makes them decide.
    """

    key: str
    place: str
    existing: bool
    author: str
    dkim_domains: tuple[str, ...]
    spf_domains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PolicyLevels:
    """What a policy does (pass, none, quarantine or reject) to mail that fails, by its author: the domain itself, a
    subdomain that exists, one that may not; and to each case, by its key. `adkim` and `aspf` are the requested modes,
    "" to keep what was published."""

    domain: str
    existing: str
    nonexistent: str
    adkim: str = ""
    aspf: str = ""
    cases: Mapping[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, Any]:
        """What the statements bind."""
        return {
            **{"adkim": self.adkim, "aspf": self.aspf, "keys": list(self.cases), "levels": list(self.cases.values())},
            **{"on_domain": self.domain, "on_existing": self.existing, "on_nonexistent": self.nonexistent},
        }

    @property
    def affects(self) -> bool:
        """Whether any of the levels is one at which mail is not simply delivered."""
        return bool({self.domain, self.existing, self.nonexistent, *self.cases.values()} & {"quarantine", "reject"})


@dataclass(frozen=True, slots=True)
class PolicySum:
    """Messages of a group. `reject` and `quarantine` are those that the decided cases put there."""

    messages: int
    reject: int
    quarantine: int
    key: SenderKey | None = None
    day: date | None = None
    source_ip: str = ""


@dataclass(frozen=True, slots=True)
class PolicySums:
    """All sums, of the same rows. Of the messages that a decided case affects: overrides and dispositions by word.

    `candidates` are those that `np` may apply to; `sources` are those with affected messages, by sender and address.
    `senders`, `sources` and `sender_overrides` are listed as far as they were requested.

    `undecided` are messages whose case was not among the decided ones: reports came in between.
    """

    total: PolicySum
    senders: tuple[PolicySum, ...]
    days: tuple[PolicySum, ...]
    sources: tuple[PolicySum, ...]
    senders_total: int
    sources_total: int
    overrides: Mapping[str, int]
    dispositions: Mapping[str, int]
    sender_overrides: Mapping[SenderKey, Mapping[str, int]]
    candidates: PolicySum
    subdomains: int
    other_record: int
    outside: int
    undecided: int


@dataclass(frozen=True, slots=True)
class PolicyDay:
    """A policy that reports about one day found published, and how many reports did."""

    day: date
    p: str | None
    sp: str | None
    np: str | None
    adkim: str | None
    aspf: str | None
    pct: int | None
    testing: str | None
    reports: int
    reporters: tuple[str, ...]


_AFFECTED = "level IN ('reject', 'quarantine')"
_COUNT = "toUInt128(count)"
_FIGURES = (
    f"sum({_COUNT}) AS messages, sumIf({_COUNT}, level = 'reject') AS reject_,"
    f" sumIf({_COUNT}, level = 'quarantine') AS quarantine_"
)
_OVERRIDES = f"sumMapIf({REASON_LIST}, arrayMap(r -> {_COUNT}, {REASON_LIST}), {_AFFECTED}) AS overrides_"
_TOTALS = (
    f"{_FIGURES}, {_OVERRIDES}, sumMapIf([{DISPOSITION}], [{_COUNT}], {_AFFECTED}) AS dispositions_,"
    f" sumIf({_COUNT}, candidate) AS candidates, sumIf({_COUNT}, candidate AND level = 'reject') AS candidates_reject,"
    f" sumIf({_COUNT}, candidate AND level = 'quarantine') AS candidates_quarantine,"
    f" sumIf({_COUNT}, case_place = 'subdomain') AS subdomains,"
    f" sumIf({_COUNT}, case_place = 'other_record') AS other_record,"
    f" sumIf({_COUNT}, case_place = 'outside') AS outside, sumIf({_COUNT}, level = 'undecided') AS undecided"
)
# The sums of all groups, also of those that are not listed: they must be those of the days.
_CHECKS = "sum(messages) OVER () AS all_messages, sum(reject_) OVER () AS all_reject, sum(quarantine_) OVER () AS all_q"
_ORDER = "ORDER BY reject_ + quarantine_ DESC, messages DESC"


class PolicyCaseQuestions(QueryRunner):
    """Questions about what another policy would do."""

    async def policy_cases(self, rows: SenderRows, *, adkim: str, aspf: str) -> tuple[PolicyCase, ...]:
        """The cases of a scope; `adkim` and `aspf` are the requested modes, "" to keep what was published."""
        if not adkim and not aspf:
            return ()
        answer = await self._query(
            f"SELECT {CASE_KEY} AS case_key, {CASE} FROM {case_rows(rows)} WHERE {BY_NAMES} GROUP BY {CASE}"
            " ORDER BY case_key",
            rows.parameters | {"adkim": adkim, "aspf": aspf},
        )
        return tuple(
            PolicyCase(
                key=row["case_key"],
                place=row["case_place"],
                existing=bool(row["case_existing"]),
                author=row["author_name"],
                dkim_domains=tuple(row["case_dkim_domains"]),
                spf_domains=tuple(row["case_spf_domains"]),
            )
            for row in answer
        )

    async def policy_sums(
        self, rows: SenderRows, levels: PolicyLevels, *, senders: int = LISTED, sources: int = LISTED
    ) -> PolicySums:
        """The messages by day, and by sender and source address as far as so many of them are listed."""
        parameters = rows.parameters | levels.parameters
        levelled = levelled_rows(rows)
        days = await self._query(f"SELECT day, {_TOTALS} FROM {levelled} GROUP BY day ORDER BY day", parameters)
        by_sender = (
            await self._query(
                f"SELECT basis, value, {_FIGURES}, {_OVERRIDES}, {_CHECKS}, count() OVER () AS total FROM {levelled}"
                f" GROUP BY basis, value {_ORDER}, basis, value LIMIT {{listed:UInt32}}",
                parameters | {"listed": senders},
            )
            if senders
            else []
        )
        # There may be an address for each row: only sums, and no other aggregate, are kept for each of them.
        by_source = (
            await self._query(
                f"SELECT basis, value, source_ip, {_FIGURES}, {_CHECKS}, uniqExact(source_ip) OVER () AS total"
                f" FROM {levelled} GROUP BY basis, value, source_ip"
                f" HAVING reject_ + quarantine_ > 0 {_ORDER}, source_ip, basis, value LIMIT {{listed:UInt32}}",
                parameters | {"listed": sources},
            )
            if sources and levels.affects
            else []
        )
        return _sums(days, by_sender, by_source)

    async def policy_days(
        self, account_id: str, domain_id: str, first: date, last: date, policy_domain: str
    ) -> tuple[PolicyDay, ...]:
        """The policies that reports found published for this very name, day by day, the most reported first."""
        tags = "p, sp, np, adkim, aspf, pct, testing"
        scope = Scope.of(account_id, domain_id, first, last).narrowed(
            "policy_domain = {policy_domain:String}", policy_domain=policy_domain
        )
        answer = await self._query(
            f"SELECT day, {tags}, uniqExact(report_key) AS reports,"
            " arraySort(groupUniqArray(100)(ifNull(toString(org_name), ''))) AS reporters"
            f" FROM dmarc_reports WHERE {scope.where} GROUP BY day, {tags} ORDER BY day, reports DESC, {tags}",
            scope.parameters,
        )
        return tuple(
            PolicyDay(**{**row, "day": day(row["day"]), "reporters": tuple(row["reporters"])}) for row in answer
        )


def _sums(
    by_day: Sequence[Mapping[str, Any]],
    by_sender: Sequence[Mapping[str, Any]],
    by_source: Sequence[Mapping[str, Any]],
) -> PolicySums:
    """The sums of the three statements; what came in between them makes messages undecided."""
    total = _total(by_day)
    figures = (total["messages"], total["reject_"], total["quarantine_"])
    agree = all(_checked(row) == figures for row in by_sender[:1])
    agree = agree and all(_checked(row)[1:] == figures[1:] for row in by_source[:1])
    return PolicySums(
        total=_sum(total),
        senders=tuple(_sum(row, key=_key(row)) for row in by_sender),
        days=tuple(_sum(row, day=day(row["day"])) for row in by_day),
        sources=tuple(_sum(row, key=_key(row), source_ip=row["source_ip"]) for row in by_source),
        senders_total=int(by_sender[0]["total"]) if by_sender else 0,
        sources_total=int(by_source[0]["total"]) if by_source else 0,
        overrides=_words(by_day, "overrides_"),
        dispositions=_words(by_day, "dispositions_"),
        sender_overrides={_key(row): words for row in by_sender if (words := word_sums(row["overrides_"]))},
        candidates=PolicySum(total["candidates"], total["candidates_reject"], total["candidates_quarantine"]),
        subdomains=total["subdomains"],
        other_record=total["other_record"],
        outside=total["outside"],
        undecided=total["undecided"] if agree else max(total["messages"], 1),
    )


_ADDED = (
    *("messages", "reject_", "quarantine_", "candidates", "candidates_reject", "candidates_quarantine"),
    *("subdomains", "other_record", "outside", "undecided"),
)


def _total(by_day: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {name: sum(int(row[name]) for row in by_day) for name in _ADDED}


def _words(by_day: Sequence[Mapping[str, Any]], name: str) -> dict[str, int]:
    words: Counter[str] = Counter()
    for row in by_day:
        words.update(word_sums(row[name]))
    return dict(sorted(words.items()))


def _checked(row: Mapping[str, Any]) -> tuple[int, int, int]:
    return int(row["all_messages"]), int(row["all_reject"]), int(row["all_q"])


def _sum(row: Mapping[str, Any], **of: Any) -> PolicySum:
    return PolicySum(int(row["messages"]), int(row["reject_"]), int(row["quarantine_"]), **of)


def _key(row: Mapping[str, Any]) -> SenderKey:
    return SenderKey(SenderBasis(row["basis"]), row["value"])
