"""Who may come in: connections in all and per address, new connections and mails per address and minute. No waiting.

An IPv6 peer counts by its /64, since one customer has at least that; an IPv4 address inside IPv6 counts as itself. A
Unix socket has no address and counts in the total only. Limits are held by each process for itself; of
several that take mail side by side each has its share.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable

from dmarcworks.routing.smtp import replies
from dmarcworks.routing.smtp.session import SmtpBounds

_MINUTE = 60.0
_REMEMBERED = 10_000


class SmtpLimits:
    """Counts connections; `clock` tells seconds that only grow."""

    def __init__(self, bounds: SmtpBounds, clock: Callable[[], float]) -> None:
        self._bounds = bounds
        self.total = 0
        self.per_address: Counter[str] = Counter()
        self._arrivals = SmtpRate(bounds.connections_per_minute, clock)
        self._mails = SmtpRate(bounds.mails_per_minute, clock)

    def enter(self, address: str) -> str | None:
        """Count a new connection; the reply that refuses it, or None. Who was let in must `leave`."""
        group = group_of(address)
        if self.total >= self._bounds.connections:
            return replies.TOO_MANY_CONNECTIONS
        if group:
            if self.per_address[group] >= self._bounds.connections_per_address:
                return replies.TOO_MANY_CONNECTIONS
            if not self._arrivals.take(group):
                return replies.TOO_FAST
            self.per_address[group] += 1
        self.total += 1
        return None

    def leave(self, address: str) -> None:
        """The connection has ended."""
        self.total -= 1
        group = group_of(address)
        if group:
            self.per_address[group] -= 1
            if not self.per_address[group]:
                del self.per_address[group]

    def mail(self, address: str) -> bool:
        """Whether the address may send one more mail now; counts it if so."""
        group = group_of(address)
        return not group or self._mails.take(group)


class SmtpRate:
    """So many a minute per key: a bucket that holds a minute's worth and fills steadily. 0 is no limit."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._most = float(per_minute)
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key: str) -> bool:
        """Whether there is one left; takes it."""
        if not self._most:
            return True
        now = self._clock()
        if len(self._buckets) >= _REMEMBERED:
            self._forget(now)
        left = self._left(key, now)
        if left < 1:
            return False
        self._buckets[key] = (left - 1, now)
        return True

    def _left(self, key: str, now: float) -> float:
        left, then = self._buckets.get(key, (self._most, now))
        return min(self._most, left + (now - then) * self._most / _MINUTE)

    def _forget(self, now: float) -> None:
        """Full buckets say nothing; if all are in use the oldest half goes, so that memory stays bounded."""
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if self._left(key, now) < self._most}
        if len(self._buckets) >= _REMEMBERED:
            newest = sorted(self._buckets.items(), key=lambda item: item[1][1])[_REMEMBERED // 2 :]
            self._buckets = dict(newest)


def plain_address(address: str) -> str:
    """An IP address in its usual form: without a zone, an IPv4 address inside IPv6 as IPv4; "" for what is none."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def group_of(address: str) -> str:
    """What an address counts as: itself, or an IPv6 address's /64."""
    if ":" not in address:
        return address
    return str(ipaddress.IPv6Network((address, 64), strict=False).network_address)
