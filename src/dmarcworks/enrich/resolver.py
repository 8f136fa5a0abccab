"""DNS as the checks ask it: name and type in, plain values out; within a deadline, through a server that may be named.

No such name and no such record are an empty answer. `NoAnswerError` when nobody answered in time: that is no verdict.
Answers are remembered as long as their TTL allows, failures for some seconds (RFC 9520), and who asks for what is being
asked waits for that answer: a hundred mails from one reporter cost its questions once.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from typing import Any, Protocol

import dns.exception
import dns.name
import dns.resolver

from dmarcworks.errors import DmarcworksError

QUERY_SECONDS = 3.0
# Seconds: the most that an answer is kept, what says nothing of its own time, and an absent answer.
_LONGEST, _EMPTY, _FAILED = 3600.0, 60.0, 5.0
_REMEMBERED = 10_000


class NoAnswerError(DmarcworksError):
    """No name server answered in time, or none is configured."""

    temporary = True


class Resolver(Protocol):
    """Asked in a thread. TXT records come as one bytes each, MX as (preference, host), all else as text."""

    def __call__(self, name: str, kind: str, deadline: float) -> list[Any]:
        """The records; `deadline` in seconds of time.monotonic."""


class Dns:
    """The system's name servers, or one that is named ("192.0.2.53" or "192.0.2.53:5353", "[2001:db8::1]:53")."""

    def __init__(self, server: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._clock = clock
        self._resolver: dns.resolver.Resolver | None = None
        self._lock = threading.Lock()
        # By name and type: when it is to be forgotten (None while it is asked), and the answer.
        self._known: OrderedDict[tuple[str, str], tuple[float | None, Future[list[Any]]]] = OrderedDict()

    def __call__(self, name: str, kind: str, deadline: float) -> list[Any]:
        """The records of a name; CNAMEs are followed."""
        left = min(QUERY_SECONDS, deadline - time.monotonic())
        if left <= 0:
            raise NoAnswerError(f"no time left to ask for {name}")
        key = (name.rstrip(".").lower(), kind)
        with self._lock:
            until, answer = self._known.get(key, (0.0, None))
            mine = answer is None or (until is not None and until <= self._clock())
            if mine:
                answer = Future()
                self._known[key] = (None, answer)
                self._forget_some()
            else:
                self._known.move_to_end(key)
        assert answer is not None
        if mine:
            self._find(key, name, kind, left, answer)
        try:
            return list(answer.result(left))
        except Late:
            raise NoAnswerError(f"DNS gave no answer about {name}: somebody else still asks") from None
        except NoAnswerError as error:
            # One exception object must not be raised in many threads.
            raise NoAnswerError(str(error)) from None

    def _find(self, key: tuple[str, str], name: str, kind: str, left: float, answer: Future[list[Any]]) -> None:
        keep = 0.0
        try:
            found, keep = self._ask(name, kind, left)
            answer.set_result(found)
        # Whatever it was, those who wait must hear of it.
        except BaseException as error:
            answer.set_exception(error)
            # Of a question that was cut short by its mail's deadline nothing is known.
            keep = _FAILED if isinstance(error, NoAnswerError) and left >= QUERY_SECONDS else 0.0
        finally:
            with self._lock:
                if self._known.get(key, (0.0, None))[1] is answer:
                    self._known[key] = (self._clock() + keep, answer)

    def _forget_some(self) -> None:
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _ask(self, name: str, kind: str, left: float) -> tuple[list[Any], float]:
        """The records and for how many seconds they hold."""
        try:
            answer = self._opened().resolve(name, kind, lifetime=left, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return [], _EMPTY
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel):
            return [], _EMPTY
        except (dns.exception.DNSException, OSError, ValueError) as error:
            raise NoAnswerError(f"DNS gave no answer about {name}: {type(error).__name__}") from None
        holds = min(max(answer.expiration - time.time(), 0.0), _LONGEST)
        return [_plain(record, kind) for record in answer], holds

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
