"""The rows of a domain as a policy sees them: which tag applies, and what is aligned by which mode.

Rows that a policy cannot distinguish are one *case*. There are few cases, however many rows: `policy_cases` lists them,
a caller decides what a policy does to each, and `policy_sums` adds up the messages of these decisions.

The result that a reporter evaluated is the truth wherever the alignment mode stays what it found published. Where the
mode changes, the names that passed are listed with the case. A strict match is a relaxed one as well, so that a result
is decided without them when relaxed failed and strict is requested, or when strict passed and relaxed is requested.
"""

# ruff: noqa: S608 - the pieces put together here are our own constants; values are bound as {name:Type}
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from dmarcworks.analytics.questions.execute import QueryRunner
from dmarcworks.analytics.questions.scope import Scope, day
from dmarcworks.analytics.questions.sender_groups import DISPOSITION, REASON_LIST, word_sums
from dmarcworks.analytics.questions.sender_rows import SenderRows, name_of
from dmarcworks.analytics.sender_key import SenderBasis, SenderKey

__all__ = ["PolicyCase", "PolicyCaseQuestions", "PolicyDay", "PolicySum", "PolicySums"]

# Groups of each kind that one answer holds, those with the most affected messages first.
LISTED = 20_000


@dataclass(frozen=True, slots=True)
class PolicyCase:
    """Rows that a policy treats alike.

    `place`: domain (mail of the domain itself), subdomain, other_record (a subdomain's own record applies), outside
    (header_from is neither). `existing`: a message of this subdomain passed DMARC in the period. `dkim` and `spf`:
    aligned as evaluated; where that is open, the names that passed are listed.
    """

    key: str
    place: str
    existing: bool
    author: str
    dkim: bool
    spf: bool
    dkim_domains: tuple[str, ...]
    spf_domains: tuple[str, ...]


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


_OWN_RECORD = "endsWith(policy_name, concat('.', domain))"
_PLACE = (
    f"multiIf({_OWN_RECORD}, 'other_record', author_name = domain, 'domain',"
    " endsWith(author_name, concat('.', domain)), 'subdomain', 'outside')"
)
# The HELO name counts only where a report states no result for the return path, as for a bounce (RFC 7208 §2.4).
_SPF_NAMES = (
    "arrayMap(x -> x.2, arrayFilter(x -> x.1 = 0 OR NOT arrayExists(s -> ifNull(s.scope != 'helo', 1), spf),"
    " envelopes))"
)


def _open(mode: str, evaluated: str, published: str) -> tuple[str, str]:
    """Whether the result is a pass already, and whether the names that passed decide it."""
    changed = f"({{{mode}:String}} != '' AND {{{mode}:String}} != if({published} = 's', 's', 'r'))"
    strict = f"{{{mode}:String}} = 's'"
    return f"({evaluated} AND NOT ({changed} AND {strict}))", f"({changed} AND {evaluated} = ({strict}))"


_DKIM_PASS, _DKIM_OPEN = _open("adkim", "ifNull(dkim_aligned = 'pass', 0)", "lowerUTF8(ifNull(toString(adkim), ''))")
_SPF_PASS, _SPF_OPEN = _open("aspf", "ifNull(spf_aligned = 'pass', 0)", "lowerUTF8(ifNull(toString(aspf), ''))")
_CASE = "case_place, case_existing, case_author, case_dkim, case_spf, case_dkim_domains, case_spf_domains"
_KEY = (
    "hex(sipHash128(case_place, case_existing, case_author, case_dkim, case_spf, toString(case_dkim_domains),"
    " toString(case_spf_domains)))"
)


def _rows(rows: SenderRows) -> str:
    """The sender's rows with the columns of their case."""
    inner = (
        f"(SELECT *, {name_of('policy_domain')} AS policy_name,"
        f" if(ifNull(toString(header_from), '') = '', policy_name, {name_of('header_from')}) AS author_name,"
        f" {_PLACE} AS case_place, toUInt8({_DKIM_PASS}) AS case_dkim, toUInt8({_SPF_PASS}) AS case_spf,"
        " case_place IN ('domain', 'subdomain') AND NOT case_dkim AND NOT case_spf AS may_fail,"
        f" if(may_fail AND {_DKIM_OPEN}, arraySort(arrayDistinct(arrayMap(x -> x.1, signed))), [])"
        " AS case_dkim_domains,"
        f" if(may_fail AND {_SPF_OPEN}, arraySort(arrayDistinct({_SPF_NAMES})), []) AS case_spf_domains,"
        " if(notEmpty(case_dkim_domains) OR notEmpty(case_spf_domains), author_name, '') AS case_author"
        f" FROM {rows.select})"
    )
    header = name_of("header_from")
    # A name of which a message passed is in use; no report states whether a name exists.
    existing = f"SELECT {header} FROM dmarc_reports WHERE {rows.scope.where} AND dmarc = 'pass' AND count > 0"
    return (
        f"(SELECT *, toUInt8(case_place = 'subdomain' AND author_name IN ({existing})) AS case_existing FROM {inner})"
    )


_AFFECTED = "level IN ('reject', 'quarantine')"
_COUNT = "toUInt128(count)"
_FIGURES = (
    f"sum({_COUNT}) AS messages, sumIf({_COUNT}, level = 'reject') AS reject_,"
    f" sumIf({_COUNT}, level = 'quarantine') AS quarantine_"
)
_SUMS = (
    f"{_FIGURES},"
    f" sumMapIf({REASON_LIST}, arrayMap(r -> {_COUNT}, {REASON_LIST}), {_AFFECTED}) AS overrides_,"
    f" sumMapIf([{DISPOSITION}], [{_COUNT}], {_AFFECTED}) AS dispositions_,"
    f" sumIf({_COUNT}, candidate) AS candidates, sumIf({_COUNT}, candidate AND level = 'reject') AS candidates_reject,"
    f" sumIf({_COUNT}, candidate AND level = 'quarantine') AS candidates_quarantine,"
    f" sumIf({_COUNT}, case_place = 'subdomain') AS subdomains,"
    f" sumIf({_COUNT}, case_place = 'other_record') AS other_record,"
    f" sumIf({_COUNT}, case_place = 'outside') AS outside, sumIf({_COUNT}, level = 'undecided') AS undecided,"
    " uniqExact(key.1, key.2) AS senders_total,"
    f" uniqExactIf(source_ip, {_AFFECTED} AND count > 0) AS sources_total"
)


class PolicyCaseQuestions(QueryRunner):
    """Questions about what another policy would do."""

    async def policy_cases(self, rows: SenderRows, *, adkim: str, aspf: str) -> tuple[PolicyCase, ...]:
        """The cases of a scope; `adkim` and `aspf` are the requested modes, "" to keep what was published."""
        answer = await self._query(
            f"SELECT {_KEY} AS case_key, {_CASE} FROM {_rows(rows)} GROUP BY {_CASE} ORDER BY case_key",
            rows.parameters | {"adkim": adkim, "aspf": aspf},
        )
        return tuple(
            PolicyCase(
                key=row["case_key"],
                place=row["case_place"],
                existing=bool(row["case_existing"]),
                author=row["case_author"],
                dkim=bool(row["case_dkim"]),
                spf=bool(row["case_spf"]),
                dkim_domains=tuple(row["case_dkim_domains"]),
                spf_domains=tuple(row["case_spf_domains"]),
            )
            for row in answer
        )

    async def policy_sums(
        self, rows: SenderRows, levels: Mapping[str, str], *, adkim: str, aspf: str, listed: int = LISTED
    ) -> PolicySums:
        """The messages by sender, day and source; `levels` is what the policy does to each case, by its key.

        A level is pass, none, quarantine or reject, with "/np" behind it for a name that may not exist.
        """
        levelled = (
            "(SELECT key, key.1 AS basis, key.2 AS value, day, source_ip, count, reasons, disposition, case_place,"
            f" transform({_KEY}, {{keys:Array(String)}}, {{levels:Array(String)}}, 'undecided') AS decided,"
            " splitByChar('/', decided)[1] AS level, endsWith(decided, '/np') AS candidate"
            f" FROM {_rows(rows)})"
        )
        parameters = {
            **rows.parameters,
            **{"adkim": adkim, "aspf": aspf, "keys": list(levels), "levels": list(levels.values()), "listed": listed},
        }
        order = "ORDER BY reject_ + quarantine_ DESC, messages DESC"
        senders = await self._query(
            f"SELECT grouping(basis, value) AS set_, basis, value, {_SUMS} FROM {levelled}"
            f" GROUP BY GROUPING SETS ((basis, value), ()) {order}, basis, value LIMIT {{listed:UInt32}} BY set_",
            parameters,
        )
        days = await self._query(f"SELECT day, {_FIGURES} FROM {levelled} GROUP BY day ORDER BY day", parameters)
        # There may be an address for each row: only sums, and no other aggregate, are kept for each of them.
        sources = await self._query(
            f"SELECT basis, value, source_ip, {_FIGURES} FROM {levelled} GROUP BY basis, value, source_ip"
            f" HAVING reject_ + quarantine_ > 0 {order}, source_ip, basis, value LIMIT {{listed:UInt32}}",
            parameters,
        )
        return _sums(senders, days, sources, listed)

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
    groups: Sequence[Mapping[str, Any]],
    by_day: Sequence[Mapping[str, Any]],
    by_source: Sequence[Mapping[str, Any]],
    listed: int,
) -> PolicySums:
    """The sums of the three statements; what came in between them makes messages undecided."""
    # grouping() is 0 for a group of both columns, and 3 for the sums of all rows.
    total: Mapping[str, Any] = next((row for row in groups if int(row["set_"])), {})
    senders = [row for row in groups if not int(row["set_"])]
    days = tuple(_sum(row, day=day(row["day"])) for row in by_day)
    sources = tuple(_sum(row, key=_key(row), source_ip=row["source_ip"]) for row in by_source)
    everything = _sum(total)
    agree = _figures(days) == (everything.messages, everything.reject, everything.quarantine)
    if len(sources) < listed:
        agree = agree and _figures(sources)[1:] == (everything.reject, everything.quarantine)
    return PolicySums(
        total=everything,
        senders=tuple(_sum(row, key=_key(row)) for row in senders),
        days=days,
        sources=sources,
        senders_total=int(total.get("senders_total", 0)),
        sources_total=int(total.get("sources_total", 0)),
        overrides=word_sums(total.get("overrides_", ((), ()))),
        dispositions=word_sums(total.get("dispositions_", ((), ()))),
        sender_overrides={_key(row): word_sums(row["overrides_"]) for row in senders},
        candidates=PolicySum(
            int(total.get("candidates", 0)),
            int(total.get("candidates_reject", 0)),
            int(total.get("candidates_quarantine", 0)),
        ),
        subdomains=int(total.get("subdomains", 0)),
        other_record=int(total.get("other_record", 0)),
        outside=int(total.get("outside", 0)),
        undecided=int(total.get("undecided", 0)) if agree else max(everything.messages, 1),
    )


def _sum(row: Mapping[str, Any], **of: Any) -> PolicySum:
    return PolicySum(int(row.get("messages", 0)), int(row.get("reject_", 0)), int(row.get("quarantine_", 0)), **of)


def _key(row: Mapping[str, Any]) -> SenderKey:
    return SenderKey(SenderBasis(row["basis"]), row["value"])


def _figures(sums: Sequence[PolicySum]) -> tuple[int, int, int]:
    return sum(one.messages for one in sums), sum(one.reject for one in sums), sum(one.quarantine for one in sums)
