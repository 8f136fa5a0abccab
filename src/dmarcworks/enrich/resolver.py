"""DNS as the checks ask it: name and type in, plain values out; within a deadline, through a server that may be named.

No such name and no such record are an empty answer. `NoAnswerError` when nobody answered in time: that is no verdict.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

import dns.exception
import dns.name
import dns.resolver

from dmarcworks.errors import DmarcworksError

QUERY_SECONDS = 3.0


class NoAnswerError(DmarcworksError):
    """No name server answered in time, or none is configured."""

    temporary = True


class Resolver(Protocol):
    """Asked in a thread. TXT records come as one bytes each, MX as (preference, host), all else as text."""

    def __call__(self, name: str, kind: str, deadline: float) -> list[Any]:
        """The records; `deadline` in seconds of time.monotonic."""


class Dns:
    """The system's name servers, or one that is named ("192.0.2.53" or "192.0.2.53:5353", "[2001:db8::1]:53")."""

    def __init__(self, server: str = "") -> None:
        self._server = server
        self._resolver: dns.resolver.Resolver | None = None

    def __call__(self, name: str, kind: str, deadline: float) -> list[Any]:
        """The records of a name; CNAMEs are followed."""
        left = min(QUERY_SECONDS, deadline - time.monotonic())
        if left <= 0:
            raise NoAnswerError(f"no time left to ask for {name}")
        try:
            answer = self._opened().resolve(name, kind, lifetime=left, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel):
            return []
        except (dns.exception.DNSException, OSError, ValueError) as error:
            raise NoAnswerError(f"DNS gave no answer about {name}: {type(error).__name__}") from None
        return [_plain(record, kind) for record in answer]

    def _opened(self) -> dns.resolver.Resolver:
        if self._resolver is None:
            found = dns.resolver.Resolver(configure=not self._server)
            if self._server:
                ported = self._server.count(":") == 1 or "]:" in self._server
                host, _, port = self._server.rpartition(":") if ported else (self._server, "", "")
                found.nameservers = [host.strip("[]")]
                found.port = int(port) if port else 53
            found.timeout = QUERY_SECONDS / 2
            self._resolver = found
        return self._resolver


def _plain(record: Any, kind: str) -> Any:
    if kind == "TXT":
        return b"".join(record.strings)
    if kind == "MX":
        return (record.preference, record.exchange.to_text(True))
    return record.to_text().rstrip(".")
