"""What changed in records with the difference marked, and what reporters saw, day by day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.analytics.questions.all import PolicyDay
from dmarcworks.catalogue.dns_states import DnsChange, RecordKind
from dmarcworks.policy.history import (
    DifferencePiece,
    SeenPolicy,
    difference,
    record_events,
    seen_by_reporter,
    seen_policies,
)
from tests.support.dns_states import state

DAY = date(2026, 3, 1)


def stated(back: int, p: str, *reporters: str, reports: int = 1, testing: str | None = None) -> PolicyDay:
    day = DAY + timedelta(days=back)
    return PolicyDay(day, p, p, None, "r", "r", 100, testing, reports, tuple(reporters))


def test_the_difference_marks_the_values_that_differ() -> None:
    removed, added = difference(
        "v=DMARC1; p=none; rua=mailto:a@b.example", "v=DMARC1; p=reject; rua=mailto:a@b.example"
    )
    assert removed == (
        DifferencePiece("v=DMARC1; p=", False), DifferencePiece("none", True),
        DifferencePiece("; rua=mailto:a@b.example", False),
    )  # fmt: skip
    assert [piece for piece in added if piece.changed] == [DifferencePiece("reject", True)]
    assert difference("", "v=spf1 -all") == ((), (DifferencePiece("v=spf1 -all", True),))


_TEXT = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from([";" * 900, "a b;c," * 200])


@given(before=_TEXT, now=_TEXT)
def test_pieces_joined_are_the_records(before: str, now: str) -> None:
    removed, added = difference(before, now)
    assert "".join(piece.text for piece in removed) == before
    assert "".join(piece.text for piece in added) == now
    same = ["".join(piece.text for piece in side if not piece.changed) for side in (removed, added)]
    assert same[0] == same[1]


def test_events_name_what_happened_the_newest_first() -> None:
    none, reject, gone = (state(number, records=records) for number, records in enumerate(("p=none", "p=reject", "")))
    other = state(3, kind=RecordKind.bimi, name="default._bimi.a.example")
    changes = [DnsChange(None, none), DnsChange(None, other), DnsChange(none, reject), DnsChange(reject, gone),
               DnsChange(gone, none)]  # fmt: skip
    events = record_events(changes)
    assert [(event.what, event.before, event.now) for event in events] == [
        ("published", (), ("p=none",)),
        ("removed", ("p=reject",), ()),
        ("changed", ("p=none",), ("p=reject",)),
        ("first seen", (), ("p=none",)),
    ]
    assert (events[2].after, events[2].at) == (none.last_seen, reject.first_seen)
    assert events[0].at == datetime(2026, 3, 1, tzinfo=UTC)


def test_policies_that_reporters_saw_are_unbroken_series_of_days() -> None:
    days = [
        stated(0, "none", "a", "b", reports=2),
        stated(1, "none", "a"),
        stated(4, "none", "b"),
        stated(4, "reject", "a"),
        stated(5, "reject", "a", "b", reports=2, testing="y"),
        stated(5, "reject", "c"),
        stated(6, "none", "c"),
    ]
    none, reject = "p=none", "p=reject"
    assert seen_policies(days) == [
        SeenPolicy(none, DAY + timedelta(6), DAY + timedelta(6), 1, 1, ("c",)),
        SeenPolicy(f"{reject}; t=y", DAY + timedelta(5), DAY + timedelta(5), 1, 2, ("a", "b")),
        SeenPolicy(reject, DAY + timedelta(4), DAY + timedelta(5), 2, 2, ("a", "c")),
        SeenPolicy(none, DAY, DAY + timedelta(4), 3, 4, ("a", "b")),
    ]
    by_reporter = seen_by_reporter(days)
    assert list(by_reporter) == ["a", "b", "c"]
    assert by_reporter["b"] == [
        SeenPolicy(f"{reject}; t=y", DAY + timedelta(5), DAY + timedelta(5), 1, 1, ("b",)),
        SeenPolicy(none, DAY, DAY + timedelta(4), 2, 2, ("b",)),
    ]


def test_what_a_reporter_invents_is_no_record() -> None:
    (seen,) = seen_policies([stated(0, "reject; rua=mailto:evil@x", "a")])
    assert seen.policy == "p=none"
