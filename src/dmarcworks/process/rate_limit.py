"""How often a key (an address, a token, a user) may do something: one limiter for SMTP, log-ins and all APIs.

In memory and for this process alone; bounded, since keys come from strangers: of 10,000 keys the least recently used is
forgotten first. Time is an argument, seconds that only grow.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from enum import Enum

__all__ = ["RateLimiter", "Refill"]

_KEYS = 10_000
# Times remembered of one key: a limit above that is counted in slices of its period.
_SLICES = 64


class Refill(Enum):
    """When what was taken comes back."""

    STEADY = "steady"
    """One by one, evenly over the period (token bucket): for rates that are used all the time."""
    WINDOW = "window"
    """Each one a whole period after it was taken (sliding window): for tries, which should stop for a while."""


class RateLimiter:
    """At most `limit` per key in `seconds`, all at once if wanted; a limit of 0 is none."""

    def __init__(self, limit: int, seconds: float, clock: Callable[[], float], refill: Refill = Refill.WINDOW) -> None:
        self._limit, self._seconds, self._clock, self._refill = limit, seconds, clock, refill
        self._keys: OrderedDict[str, _Bucket | _Window] = OrderedDict()

    def take(self, key: str) -> float:
        """Count one; 0 when it may continue, else seconds until the next may (at least 1). A refusal does not count."""
        if not self._limit:
            return 0.0
        now = self._clock()
        state = self._keys.get(key)
        if state is None:
            state = self._keys[key] = self._new(now)
        self._keys.move_to_end(key)
        while len(self._keys) > _KEYS:
            self._keys.popitem(last=False)
        if wait := state.wait(now):
            return wait
        state.take(now)
        return 0.0

    def wait(self, key: str) -> float:
        """What `take` would return; counts nothing."""
        state = self._keys.get(key)
        return 0.0 if state is None else state.wait(self._clock())

    def left(self, key: str) -> int:
        """How many more are allowed now."""
        state = self._keys.get(key)
        return self._limit if state is None else state.left(self._clock())

    def give_back(self, key: str) -> None:
        """The one taken last does not count."""
        state = self._keys.get(key)
        if state is not None:
            state.give_back()

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._keys)

    def _new(self, now: float) -> _Bucket | _Window:
        if self._refill is Refill.STEADY:
            return _Bucket(self._limit, self._seconds, now)
        return _Window(self._limit, self._seconds)


class _Bucket:
    """What is left, which grows steadily to the limit."""

    __slots__ = ("_level", "_limit", "_since", "_speed")

    def __init__(self, limit: int, seconds: float, now: float) -> None:
        self._limit, self._speed, self._level, self._since = limit, limit / seconds, float(limit), now

    def _fill(self, now: float) -> float:
        self._level = min(float(self._limit), self._level + (now - self._since) * self._speed)
        self._since = now
        return self._level

    def wait(self, now: float) -> float:
        level = self._fill(now)
        return 0.0 if level >= 1 else max(1.0, (1 - level) / self._speed)

    def left(self, now: float) -> int:
        return int(self._fill(now))

    def take(self, now: float) -> None:
        self._level = self._fill(now) - 1

    def give_back(self) -> None:
        self._level = min(float(self._limit), self._level + 1)


class _Window:
    """When something was taken, and how often then, oldest first."""

    __slots__ = ("_count", "_limit", "_seconds", "_slice", "_times")

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit, self._seconds, self._count = limit, seconds, 0
        # Under the bound every time is kept as it is; above it, those of one slice count as the latest of them.
        self._slice = 0.0 if limit <= _SLICES else seconds / _SLICES
        self._times: deque[tuple[float, int]] = deque()

    def _forget(self, now: float) -> None:
        while self._times and self._times[0][0] <= now - self._seconds:
            self._count -= self._times.popleft()[1]

    def wait(self, now: float) -> float:
        self._forget(now)
        return 0.0 if self._count < self._limit else max(1.0, self._times[0][0] + self._seconds - now)

    def left(self, now: float) -> int:
        self._forget(now)
        return self._limit - self._count

    def take(self, now: float) -> None:
        times, number = self._times, 1
        if self._slice and times and times[-1][0] // self._slice == now // self._slice:
            number += times.pop()[1]
        times.append((now, number))
        self._count += 1

    def give_back(self) -> None:
        if self._times:
            time, number = self._times.pop()
            self._count -= 1
            if number > 1:
                self._times.append((time, number - 1))
