"""The policy in force from what reporters state day by day, and the words that depend on it."""

from __future__ import annotations

from datetime import date
from typing import Any

from dmarcworks.analytics.questions.all import PolicyDay
from dmarcworks.policy.advice import effect_on_strangers
from dmarcworks.policy.in_force import in_force
from dmarcworks.policy.tags import DomainPolicy

DAY = date(2026, 11, 5)


def seen(day: int, p: str | None, reports: int = 1, **tags: Any) -> PolicyDay:
    values = {"sp": None, "np": None, "adkim": None, "aspf": None, "pct": None, "testing": None} | tags
    return PolicyDay(day=date(2026, 11, day), p=p, reports=reports, reporters=("mail.example",), **values)


def test_the_policy_in_force_is_what_most_reports_found() -> None:
    assert in_force([]) is None
    assert in_force([seen(1, None), seen(2, "nonsense")]) is None
    yesterday = [seen(1, "none"), seen(2, "quarantine", 3), seen(2, "none", 2), seen(4, "quarantine", sp="reject")]
    today = [seen(5, "quarantine", 2, sp="quarantine", pct=100), seen(5, "reject")]
    force = in_force([*yesterday, *today])
    assert force is not None
    assert (force.policy, force.since, force.newest) == (DomainPolicy("quarantine"), DAY, DAY)
    tags = {"testing": "y", "pct": 20, "adkim": "s", "np": "none"}
    force = in_force([seen(1, "reject", **tags), seen(2, "reject", **tags)])
    assert force is not None
    assert (force.policy.text, force.days, force.changed) == ("p=reject,np=none,adkim=s,t=y,pct=20", 2, False)


def test_words_about_strangers_know_the_policy() -> None:
    assert effect_on_strangers(None) == "a policy of quarantine or reject stops it."
    assert effect_on_strangers(DomainPolicy("reject")) == "your policy p=reject already applies to its messages."
    assert effect_on_strangers(DomainPolicy("reject", t=True)) == (
        "your policy p=reject with t=y applies to its messages as p=quarantine; without t=y it applies in full."
    )
    assert effect_on_strangers(DomainPolicy("quarantine", pct=10)) == (
        "your policy p=quarantine applies to 10 % of its messages; without pct it applies to all."
    )
