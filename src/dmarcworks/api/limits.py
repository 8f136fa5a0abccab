"""Rate limits: failed log-ins, unknown tokens by address, requests by token. In memory, bounded, per process.

An address that has failed too often is refused before anything is looked up, except for the tokens that were valid from
there a while ago: a neighbour behind the same address translation must not lock them out. The same holds for log-ins:
a user who logged in from a network before has a separate limit there, which nobody elsewhere can use up.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable

from dmarcworks.process.rate_limit import RateLimiter, Refill

__all__ = ["Limits", "LoginTries", "Tries", "network"]

TRIES = 5
SECONDS = 60.0
USER_TRIES = 10
USER_SECONDS = 300.0
_ADDRESSES = 10_000


class Tries:
    """At most five failed tries a minute for one network address (an IPv6 /64 is one)."""

    def __init__(self, clock: Callable[[], float], tries: int = TRIES, seconds: float = SECONDS) -> None:
        self._limiter = RateLimiter(tries, seconds, clock)

    def take(self, address: str) -> float:
        """Count a try; 0 when it is allowed, else the seconds until the next is."""
        return self._limiter.take(network(address))

    def left(self, address: str) -> float:
        """0 when the address may try, else the seconds until it may; counts nothing."""
        return self._limiter.wait(network(address))

    def give_back(self, address: str) -> None:
        """The try was right: it does not count."""
        self._limiter.give_back(network(address))


class LoginTries:
    """Failed log-ins by password: five a minute of one address, ten in five minutes for one user, and so many in all.

    Who logged in from that network before (`familiar`) is counted apart, five a minute for this user from there: tries
    for the same user from elsewhere, or for others from the same address, do not lock them out.
    """

    def __init__(self, clock: Callable[[], float], in_all: int) -> None:
        self._addresses, self._familiar = Tries(clock), Tries(clock)
        self._users, self._all = Tries(clock, USER_TRIES, USER_SECONDS), Tries(clock, in_all)

    def take(self, address: str, user: str, *, familiar: bool) -> float:
        """Count a try; 0 when it is allowed, else the seconds until the next is. Unknown users count like others."""
        counts = self._counts(address, user, familiar)
        if wait := max(tries.left(key) for tries, key in counts):
            return wait
        for tries, key in counts:
            tries.take(key)
        return 0.0

    def give_back(self, address: str, user: str, *, familiar: bool) -> None:
        """The try was right, or was not looked at: it does not count."""
        for tries, key in self._counts(address, user, familiar):
            tries.give_back(key)

    def _counts(self, address: str, user: str, familiar: bool) -> list[tuple[Tries, str]]:
        name = f"user {user.casefold()}"
        if familiar:
            return [(self._familiar, f"{network(address)} {name}")]
        return [(self._addresses, address), (self._users, name), (self._all, "all")]


class Limits:
    """The API's: requests of a token, failed tries of an address."""

    def __init__(self, clock: Callable[[], float], *, requests: int, failures: int) -> None:
        self._failures = Tries(clock, failures)
        self._requests = RateLimiter(requests, SECONDS, clock, Refill.STEADY)
        self._good: OrderedDict[tuple[str, str], None] = OrderedDict()

    def before(self, address: str, hashed: str) -> float:
        """Seconds that a token from there must wait before it is even looked up; 0 for one that was good before."""
        return 0.0 if (network(address), hashed) in self._good else self._failures.left(address)

    def failed(self, address: str, hashed: str) -> None:
        """No such token, or no longer."""
        self._good.pop((network(address), hashed), None)
        self._failures.take(address)

    def passed(self, address: str, hashed: str) -> float:
        """Count a request with a valid token; the seconds that it must wait, or 0."""
        self._good[network(address), hashed] = None
        self._good.move_to_end((network(address), hashed))
        while len(self._good) > _ADDRESSES:
            self._good.popitem(last=False)
        return self._requests.take(hashed)


def network(address: str) -> str:
    """What counts as one address: an IPv4 address, the /64 of an IPv6 address; any other text is itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6 and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed.ipv4_mapped or parsed) if parsed.version == 6 else str(parsed)
