"""Reporters that stopped, falls of alignment, and the change of a record nearest before each."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.analytics.questions.all import SenderDay
from dmarcworks.catalogue.dns_states import DnsChange, RecordKind
from dmarcworks.policy.silence import alignment_fall, cause_of, silence_since, silent_reporters
from tests.support.dns_states import state

DAY = date(2026, 3, 1)
OURS = "aa@reports.example"
NAME = "a.example._report._dmarc.reports.example"


def days(*numbers: int) -> list[date]:
    return [DAY + timedelta(days=number) for number in numbers]


@pytest.mark.parametrize(
    ("reported", "today", "expected"),
    [
        (range(10), 12, None),  # a report about yesterday comes today
        (range(10), 13, (9, 1)),
        ((0, 7, 14, 21), 30, None),  # weekly
        ((0, 7, 14, 21), 31, (21, 7)),
        ((0, 1, 2), 40, None),  # too few to know what is usual
        ((), 40, None),
    ],
)
def test_silence_is_longer_than_what_was_usual(
    reported: tuple[int, ...], today: int, expected: tuple[int, int] | None
) -> None:
    stopped = silence_since(days(*reported), DAY + timedelta(days=today))
    assert stopped == (None if expected is None else (DAY + timedelta(days=expected[0]), expected[1]))


@given(st.sets(st.integers(0, 60), min_size=4), st.integers(0, 90))
def test_a_reporter_is_never_silent_within_its_usual_pause(reported: set[int], today: int) -> None:
    ordered = sorted(reported)
    usual = max(later - earlier for earlier, later in pairwise(ordered))
    silent = today - ordered[-1] > max(usual + 2, 4)
    expected = (DAY + timedelta(days=ordered[-1]), usual) if silent else None
    assert silence_since(days(*ordered), DAY + timedelta(days=today)) == expected


def lost_authorisation(at: float, last_seen: float) -> DnsChange:
    before = state(-30, records="v=DMARC1", kind=RecordKind.authorisation, name=NAME, until=last_seen)
    return DnsChange(before, state(at, kind=RecordKind.authorisation, name=NAME))


def test_a_reporter_that_stopped_names_the_lost_authorisation() -> None:
    changes = [lost_authorisation(1 + 14 / 24, 1 + 13 / 24)]
    reported = {"google.com": days(*range(-20, 2)), "daily.example": days(*range(-20, 11)), "": days(*range(-9, 2))}
    unnamed, google = silent_reporters(reported, DAY + timedelta(days=12), changes, [OURS])
    assert (google.name, google.last, google.usual, google.days) == ("google.com", DAY + timedelta(days=1), 1, 11)
    assert google.cause is not None
    assert google.cause.lost
    assert google.cause.text == f"the authorisation at {NAME} was gone from 2 March 2026 14:00 UTC"
    assert unnamed.name == ""


def test_a_change_that_is_too_old_or_later_is_no_cause() -> None:
    kinds = (RecordKind.authorisation,)
    for at, last_seen in ((-10, -11), (5, 4)):
        assert cause_of(DAY, [lost_authorisation(at, last_seen)], kinds, [OURS]) is None
    assert cause_of(DAY, [], kinds, [OURS]) is None
    # Checked hours after reports stopped: the old record was seen last before.
    assert cause_of(DAY, [lost_authorisation(1.5, -0.5)], kinds, [OURS]) is not None
    first_sight = DnsChange(None, state(0, kind=RecordKind.authorisation, name=NAME))
    assert cause_of(DAY, [first_sight], kinds, [OURS]) is None


def test_what_ends_reports_comes_before_a_later_change_that_does_not() -> None:
    other = "mailto:x@y.example"
    ours, both, theirs = (f"v=DMARC1; p=none; rua={rua}" for rua in (f"mailto:{OURS}", f"mailto:{OURS},{other}", other))
    added = DnsChange(state(-9, records=ours, until=-5), state(-4, records=both))
    removed = DnsChange(state(-4, records=both, until=-2), state(-1, records=theirs))
    policy = DnsChange(state(-1, records=theirs, until=-0.5), state(0, records=theirs.replace("none", "reject")))
    cause = cause_of(DAY, [added, removed, policy], (RecordKind.dmarc,), [OURS])
    assert cause is not None
    assert (cause.change, cause.lost) == (removed, True)
    assert (
        cause.text == "the DMARC record at _dmarc.a.example requested no reports here from 28 February 2026 00:00 UTC"
    )
    cause = cause_of(DAY, [added, policy], (RecordKind.dmarc,), [OURS])
    assert cause is not None
    assert (cause.change, cause.lost) == (policy, False)
    assert cause.text == "the DMARC record at _dmarc.a.example changed by 1 March 2026 00:00 UTC"


def series(*shares: tuple[int, int]) -> list[SenderDay]:
    return [SenderDay(DAY + timedelta(days=number), *share) for number, share in enumerate(shares)]


def test_a_fall_of_alignment_names_the_key_that_was_removed() -> None:
    name = "s1._domainkey.a.example"
    before = state(-9, records="v=DKIM1; p=x", kind=RecordKind.dkim, name=name, until=4.5)
    change = DnsChange(before, state(5, kind=RecordKind.dkim, name=name))
    sender = series(*[(40, 40)] * 5, *[(40, 2)] * 4)
    fall = alignment_fall("name:Zendesk", "Zendesk", sender, [change])
    assert fall is not None
    assert (fall.since, fall.before, fall.now, fall.messages) == (DAY + timedelta(days=5), 1.0, 0.05, 160)
    assert fall.cause is not None
    assert fall.cause.text == f"the DKIM key at {name} was gone from 6 March 2026 00:00 UTC"
    without = alignment_fall("name:Zendesk", "Zendesk", sender, [])
    assert without is not None
    assert without.cause is None


@pytest.mark.parametrize(
    "sender",
    [
        [(40, 40)] * 9,
        [(40, 2)] * 9,  # never aligned: a forger, or not set up
        [(40, 40)] * 5 + [(5, 0)] * 2,  # too few to tell
        [(40, 40)] * 5 + [(40, 0)] * 2 + [(40, 40)],  # recovered
        [(40, 36)] * 5 + [(40, 34)] * 5,
        [],
    ],
)
def test_what_is_no_fall(sender: list[tuple[int, int]]) -> None:
    assert alignment_fall("x", "x", series(*sender), []) is None
