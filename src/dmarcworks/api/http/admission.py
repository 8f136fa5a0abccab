"""Who may connect: connections in all and per network address. Pure.

An IPv6 address counts by its /64. Exempt addresses (this machine itself, and trusted proxies when the caller names
them) have no bound of their own, and a part of the connections in all is kept for them: while strangers hold all
others, the machine's own monitoring is still answered.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import Literal

from dmarcworks.api.limits import network

__all__ = ["Admission", "Refused", "is_loopback"]

_KEPT = 16

Refused = Literal["connections", "address"]
"""Which bound a connection is over: the one in all, or its address's own."""


def is_loopback(address: str) -> bool:
    """Whether the address is this machine's own."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


class Admission:
    """Counts connections. Who was let in must `leave`."""

    def __init__(self, connections: int, per_address: int, exempt: Callable[[str], bool] = is_loopback) -> None:
        self.connections, self.per_address, self._exempt = connections, per_address, exempt
        self._strangers_most = connections - min(_KEPT, connections // 4)
        self.total = 0
        self._strangers = 0
        self._by_network: Counter[str] = Counter()

    def enter(self, address: str) -> Refused | None:
        """Count a new connection; or the bound that it is over."""
        if self.total >= self.connections:
            return "connections"
        if not self._exempt(address):
            if self._strangers >= self._strangers_most:
                return "connections"
            if self._by_network[network(address)] >= self.per_address:
                return "address"
            self._by_network[network(address)] += 1
            self._strangers += 1
        self.total += 1
        return None

    def leave(self, address: str) -> None:
        """The connection has ended."""
        self.total -= 1
        if not self._exempt(address):
            self._strangers -= 1
            self._by_network[network(address)] -= 1
            if not self._by_network[network(address)]:
                del self._by_network[network(address)]

    def frees_place(self, ending: str, coming: str, refused: Refused) -> bool:
        """Whether a connection of `ending`, once ended, would free a place for one of `coming`."""
        if refused == "address":
            return network(ending) == network(coming) and not self._exempt(ending)
        return self._exempt(coming) or not self._exempt(ending)
