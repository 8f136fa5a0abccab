"""The policy of a domain over time, as reports found it published: spans of days with one policy. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from dmarcworks.analytics.questions.all import PolicyDay
from dmarcworks.policy.tags import LEVELS, DomainPolicy

__all__ = ["PolicySpan", "policy_spans"]


@dataclass(frozen=True, slots=True)
class PolicySpan:
    """Days in a row on which most reports found the same policy; days without a report do not end a span.

    `days` are those with a report, `reports` and `reporters` those that found this policy, `others` the reports of
    these days that found another one.
    """

    policy: DomainPolicy
    first: date
    last: date
    days: int
    reports: int
    others: int
    reporters: tuple[str, ...]


def policy_spans(days: Sequence[PolicyDay]) -> tuple[PolicySpan, ...]:
    """The spans, oldest first, from days in ascending order; reports that state no policy count nowhere."""
    stated = [one for one in days if one.p in LEVELS]
    by_day = [(day, list(rows)) for day, rows in groupby(stated, key=lambda one: one.day)]
    chosen = [(day, rows, _most_reported(rows)) for day, rows in by_day]
    spans = []
    for policy, group in groupby(chosen, key=lambda one: one[2]):
        members = list(group)
        rows = [row for _, of_day, _ in members for row in of_day]
        agreeing = [row for row in rows if _policy(row) == policy]
        reports = sum(row.reports for row in agreeing)
        spans.append(
            PolicySpan(
                policy=policy,
                first=members[0][0],
                last=members[-1][0],
                days=len(members),
                reports=reports,
                others=sum(row.reports for row in rows) - reports,
                reporters=tuple(sorted({name for row in agreeing for name in row.reporters if name})),
            )
        )
    return tuple(spans)


def _most_reported(rows: Sequence[PolicyDay]) -> DomainPolicy:
    reports: Counter[DomainPolicy] = Counter()
    for one in rows:
        reports[_policy(one)] += one.reports
    return max(reports, key=lambda policy: (reports[policy], policy.text))


def _policy(one: PolicyDay) -> DomainPolicy:
    """In a form that is equal for reporters that leave defaults out; np and modes are not stated by all of them."""
    p = one.p or "none"
    pct = one.pct if one.pct is not None and 0 <= one.pct <= 100 else 100
    sp = one.sp if one.sp in LEVELS and one.sp != p else None
    return DomainPolicy(p, sp, t=one.testing == "y", pct=pct)
