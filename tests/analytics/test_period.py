"""The one definition of a range of days: pages, REST and commands share it."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.analytics.period import LONGEST, last_days, parse_count, parse_day, range_of
from dmarcworks.errors import UsageError

TODAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("days", "first", "last", "expected"),
    [
        (None, None, None, (date(2026, 10, 26), TODAY)),
        (7, None, None, (date(2026, 11, 18), TODAY)),
        (1, None, None, (TODAY, TODAY)),
        (7, None, date(2026, 11, 10), (date(2026, 11, 4), date(2026, 11, 10))),
        (None, date(2026, 11, 1), None, (date(2026, 11, 1), TODAY)),
        (None, date(2026, 12, 1), None, (date(2026, 12, 1), date(2026, 12, 1))),
        (None, None, date(2026, 11, 30), (date(2026, 11, 1), date(2026, 11, 30))),
        (None, date(2013, 1, 1), date(2013, 1, 1), (date(2013, 1, 1), date(2013, 1, 1))),
        (None, None, date.min, (date.min, date.min)),
    ],
)
def test_a_range_is_what_was_given(
    days: int | None, first: date | None, last: date | None, expected: tuple[date, date]
) -> None:
    """Both ends are included; today is the last of the last N days."""
    assert range_of(days, first, last, TODAY) == expected


@pytest.mark.parametrize(
    ("days", "first", "last"), [(0, None, None), (LONGEST + 1, None, None), (7, TODAY, None), (None, TODAY, date.min)]
)
def test_an_invalid_range_is_an_error(days: int | None, first: date | None, last: date | None) -> None:
    with pytest.raises(UsageError):
        range_of(days, first, last, TODAY)


@given(st.integers(1, LONGEST), st.dates(date(1980, 1, 1), date(9000, 1, 1)))
def test_the_last_days_are_so_many_and_end_today(number: int, today: date) -> None:
    first, last = last_days(number, today)
    assert (last, (last - first).days + 1) == (today, number)
    assert range_of(number, None, None, today) == (first, last)


@given(st.text(max_size=12) | st.dates().map(str) | st.integers(-5, 9999).map(str))
def test_any_text_is_a_day_nothing_or_an_error(text: str) -> None:
    """A day is written in one way only."""
    for parse in (parse_day, parse_count):
        try:
            value = parse(text)
        except UsageError:
            continue
        assert (value is None) == (text == "")
        if isinstance(value, date):
            assert value.isoformat() == text
