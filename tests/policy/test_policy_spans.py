"""The policy over time: each day's most reported policy, days in a row together."""

from __future__ import annotations

from datetime import date

from dmarcworks.analytics.questions.all import PolicyDay
from dmarcworks.policy.policy_spans import policy_spans


def seen(day: int, p: str | None, reports: int = 1, *, sp: str | None = None, org: str = "google.com") -> PolicyDay:
    return PolicyDay(date(2026, 11, day), p, sp, None, None, None, None, None, reports, (org,))


def test_days_in_a_row_are_one_span() -> None:
    """Gaps do not end a span; a reporter that is late does not, either; sp equal to p is no policy of its own."""
    spans = policy_spans(
        [
            seen(1, "none", 2),
            seen(2, "none", 1, sp="none", org="Yahoo"),
            seen(5, "none", 3),
            seen(6, "quarantine", 2),
            seen(6, "none", 1, org="late.example"),
            seen(7, "quarantine", 4, org="Yahoo"),
            seen(8, None, 9),
            seen(9, "none"),
        ]
    )
    assert [
        (one.policy.text, one.first.day, one.last.day, one.days, one.reports, one.others, one.reporters)
        for one in spans
    ] == [
        ("p=none", 1, 5, 3, 6, 0, ("Yahoo", "google.com")),
        ("p=quarantine", 6, 7, 2, 6, 1, ("Yahoo", "google.com")),
        ("p=none", 9, 9, 1, 1, 0, ("google.com",)),
    ]
    assert policy_spans([]) == ()
