"""The policy in force, as reports found it published: what it is, since when, and who reported it. Pure.

Reporters differ for some hours after a change and do not all state every tag. Of each day the policy that most reports
found is the day's policy; it is in force since the first of the newest days that agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from dmarcworks.analytics.questions.all import PolicyDay
from dmarcworks.policy.tags import LEVELS, DomainPolicy

__all__ = ["PolicyInForce", "in_force"]


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """The policy with the newest day that a report states it for, and the reporters of that day.

    `since` is the first day on which it was seen without a break; `changed` is whether another one was seen before.
    """

    policy: DomainPolicy
    newest: date
    since: date
    changed: bool
    reporters: tuple[str, ...]

    @property
    def source(self) -> str:
        """Where it is known from."""
        named = [one for one in self.reporters if one]
        some = ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
        return f"policy_published in the reports about {self.newest}" + (f" from {some}" if some else "")

    @property
    def days(self) -> int:
        """For how many days it was seen."""
        return (self.newest - self.since).days + 1


def in_force(days: Sequence[PolicyDay]) -> PolicyInForce | None:
    """The policy in force, from days in ascending order; None when no report states one."""
    stated = [one for one in days if one.p in LEVELS]
    by_day = [(day, list(rows)) for day, rows in groupby(stated, key=lambda one: one.day)]
    if not by_day:
        return None
    newest, rows = by_day[-1]
    current = _most_reported(rows)
    since, changed = newest, False
    for day, earlier in reversed(by_day):
        if _most_reported(earlier) != current:
            changed = True
            break
        since = day
    agreeing = [one for one in rows if _requested(one) == current]
    p, sp, t, pct = current
    return PolicyInForce(
        policy=DomainPolicy(
            p=p,
            # Receivers fill in sp from p: it has a meaning of its own only where it differs.
            sp=sp if sp != p else None,
            np=_usual([one.np for one in agreeing if one.np in LEVELS and one.np != sp]),
            adkim=_usual([one.adkim for one in agreeing if one.adkim == "s"]),
            aspf=_usual([one.aspf for one in agreeing if one.aspf == "s"]),
            t=t,
            pct=pct,
        ),
        newest=newest,
        since=since,
        changed=changed,
        reporters=tuple(sorted({name for one in agreeing for name in one.reporters})),
    )


_Requested = tuple[str, str, bool, int]


def _requested(one: PolicyDay) -> _Requested:
    """What decides about mail, in a form that is equal for reporters that leave defaults out."""
    p = one.p or "none"
    pct = one.pct if one.pct is not None and 0 <= one.pct <= 100 else 100
    return p, one.sp if one.sp in LEVELS else p, one.testing == "y", pct


def _most_reported(rows: Sequence[PolicyDay]) -> _Requested:
    reports: Counter[_Requested] = Counter()
    for one in rows:
        reports[_requested(one)] += one.reports
    return max(reports, key=lambda requested: (reports[requested], requested))


def _usual(values: Sequence[str | None]) -> str | None:
    return Counter(values).most_common(1)[0][0] if values else None
