"""Who may come in: connections in all and per address, new connections and mails per address and minute. No waiting.

An IPv6 peer counts by its /64, since one customer has at least that; an IPv4 address inside IPv6 counts as itself. A
Unix socket has no address and counts in the total only. Limits are held by each process for itself; of
several processes that accept mail on shared ports each has its share.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable

from dmarcworks.process.rate_limit import RateLimiter, Refill
from dmarcworks.routing.smtp import replies
from dmarcworks.routing.smtp.session import SmtpBounds

_MINUTE = 60.0


class SmtpLimits:
    """Counts connections; `clock` returns monotonic seconds."""

    def __init__(self, bounds: SmtpBounds, clock: Callable[[], float]) -> None:
        self._bounds = bounds
        self.total = 0
        self.per_address: Counter[str] = Counter()
        self._arrivals = RateLimiter(bounds.connections_per_minute, _MINUTE, clock, Refill.STEADY)
        self._mails = RateLimiter(bounds.mails_per_minute, _MINUTE, clock, Refill.STEADY)

    def enter(self, address: str) -> str | None:
        """Count a new connection; the reply that refuses it, or None. Who was let in must `leave`."""
        group = group_of(address)
        if self.total >= self._bounds.connections:
            return replies.TOO_MANY_CONNECTIONS
        if group:
            if self.per_address[group] >= self._bounds.connections_per_address:
                return replies.TOO_MANY_CONNECTIONS
            if self._arrivals.take(group):
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
        return not group or not self._mails.take(group)


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
