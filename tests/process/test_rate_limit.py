"""Promise: never more than the limit in a period, exact waits, and memory that strangers cannot fill."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.process.rate_limit import RateLimiter, Refill


class Clock:
    """Seconds that stand still until set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_fills_steadily() -> None:
    """Sixty a minute: sixty at once, then one a second; another key has its own."""
    clock = Clock()
    rate = RateLimiter(60, 60.0, clock, Refill.STEADY)
    assert [rate.take("a") for _ in range(61)] == [0.0] * 60 + [1.0]
    clock.now += 1.5
    assert ([rate.take("a") for _ in range(2)], rate.take("b")) == ([0.0, 1.0], 0.0)
    clock.now += 3600
    assert rate.left("a") == 60
    assert [rate.take("a") for _ in range(61)].count(0.0) == 60


def test_a_slow_bucket_says_how_long() -> None:
    """Five a minute: one comes back in twelve seconds, less what has passed; a refusal costs nothing."""
    clock = Clock()
    rate = RateLimiter(5, 60.0, clock, Refill.STEADY)
    assert [rate.take("a") for _ in range(7)] == [0.0] * 5 + [12.0] * 2
    clock.now += 3
    assert (rate.wait("a"), rate.left("a")) == (9.0, 0)
    rate.give_back("a")
    assert (rate.wait("a"), rate.left("a")) == (0.0, 1)


def test_a_window_holds_each_for_the_whole_period() -> None:
    """Three a minute: nothing comes back before a minute has passed since the first, then it is one."""
    clock = Clock()
    tries = RateLimiter(3, 60.0, clock)
    for _ in range(3):
        assert tries.take("a") == 0.0
        clock.now += 10
    assert (tries.take("a"), tries.wait("a"), tries.left("a")) == (30.0, 30.0, 0)
    clock.now += 29.5
    assert tries.take("a") == 1.0  # never less, so that nobody waits for nothing
    clock.now += 0.5
    assert [tries.take("a"), tries.take("a")] == [0.0, 10.0]


def test_what_is_given_back_does_not_count() -> None:
    """The last one taken; where nothing was taken, nothing happens."""
    tries = RateLimiter(1, 60.0, Clock())
    tries.give_back("a")
    assert tries.take("a") == 0.0
    tries.give_back("a")
    tries.give_back("a")
    assert [tries.take("a"), tries.take("a")] == [0.0, 60.0]
    assert (tries.left("b"), tries.wait("b")) == (1, 0.0)


def test_a_large_window_is_counted_in_slices() -> None:
    """300 in five minutes: exact at one moment, and a key's memory does not grow with the limit."""
    clock = Clock()
    budget = RateLimiter(300, 300.0, clock)
    for left in range(299, -1, -1):
        assert (budget.take("a"), budget.left("a")) == (0.0, left)
    assert budget.take("a") == 300.0
    clock.now += 300
    assert budget.left("a") == 300
    wide = RateLimiter(1_000_000, 60.0, clock)
    for _ in range(10_000):
        clock.now += 0.01
        wide.take("a")
    held = 1_000_000 - wide.left("a")
    assert 6_000 <= held <= 6_000 + 94  # a slice of a sixty-fourth of a minute goes as one
    assert len(wide._keys["a"]._times) <= 65  # type: ignore[union-attr]
    for _ in range(200):
        wide.give_back("a")
    assert wide.left("a") == 1_000_000 - held + 200


@pytest.mark.parametrize("refill", list(Refill))
def test_memory_is_bounded_and_the_least_used_key_is_forgotten(refill: Refill) -> None:
    """Keys of strangers push out the oldest, never one in use."""
    rate = RateLimiter(1, 60.0, Clock(), refill)
    rate.take("first")
    for number in range(20_000):
        assert rate.take(str(number)) == 0.0
        rate.take("used")
    assert len(rate) == 10_000
    assert (rate.take("used"), rate.take("first")) == (60.0, 0.0)


def test_no_limit() -> None:
    """0 lets all through and remembers nobody."""
    rate = RateLimiter(0, 60.0, Clock(), Refill.STEADY)
    assert [rate.take("a") for _ in range(1000)] == [0.0] * 1000
    assert len(rate) == 0


@given(
    limit=st.integers(1, 200),
    pauses=st.lists(st.floats(0, 20, allow_nan=False), max_size=300),
    refill=st.sampled_from(list(Refill)),
)
def test_no_window_has_more_than_the_limit(limit: int, pauses: list[float], refill: Refill) -> None:
    """In any period: the limit, and with a steady refill what came back. A wait that was sat out is enough."""
    clock = Clock()
    rate = RateLimiter(limit, 60.0, clock, refill)
    passed: list[float] = []
    for pause in pauses:
        clock.now += pause
        if wait := rate.take("a"):
            clock.now += wait + 1e-6
            assert rate.take("a") == 0.0
        passed.append(clock.now)
    most = limit if refill is Refill.WINDOW else 2 * limit
    for place, first in enumerate(passed):
        assert sum(first <= moment < first + 60.0 - 1e-6 for moment in passed[place:]) <= most
