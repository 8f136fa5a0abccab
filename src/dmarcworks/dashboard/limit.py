"""How often one address may try to log in. Failed tries count; in memory, bounded, per process."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from collections.abc import Callable

TRIES = 5
SECONDS = 60.0
_ADDRESSES = 10_000


class Tries:
    """At most five failed tries a minute for one network address (an IPv6 /64 is one)."""

    def __init__(self, clock: Callable[[], float], tries: int = TRIES, seconds: float = SECONDS) -> None:
        self._clock, self._tries, self._seconds = clock, tries, seconds
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, address: str) -> float:
        """Count a try; 0 when it may go on, else the seconds until the next may."""
        key, now = _network(address), self._clock()
        times = self._seen.setdefault(key, deque())
        self._seen.move_to_end(key)
        while len(self._seen) > _ADDRESSES:
            self._seen.popitem(last=False)
        while times and times[0] <= now - self._seconds:
            times.popleft()
        if len(times) >= self._tries:
            return max(1.0, times[0] + self._seconds - now)
        times.append(now)
        return 0.0

    def give_back(self, address: str) -> None:
        """The try was right: it does not count."""
        times = self._seen.get(_network(address))
        if times:
            times.pop()


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6 and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed.ipv4_mapped or parsed) if parsed.version == 6 else str(parsed)
