"""DNS for the checks: name and type in, plain values out; within a deadline, through a server that may be named.

No such name and no such record are an empty answer. `NoAnswerError` when nobody answered in time: that is no verdict.
Answers are kept as long as their TTL allows, failures for some seconds (RFC 9520). A query for something that is
already being queried waits for that answer: a hundred mails from one reporter cause each query only once. Sockets and
the parsing of answers belong to a thread of their own, so that no answer, however long, holds up the event loop of the
caller.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.resolver

from dmarcworks.errors import DmarcworksError
from dmarcworks.reports.a_labels import a_labels

QUERY_SECONDS = 3.0
# Seconds: the longest that an answer is kept, an answer without a time of its own, and an absent answer.
_LONGEST, _EMPTY, _FAILED = 3600.0, 60.0, 5.0
_REMEMBERED = 10_000
# Questions on their way at once; each has a socket.
_AT_ONCE = 256
# Aliases (CNAME) in a row that are followed by questions of ours.
_ALIASES = 8
_Result = TypeVar("_Result")


class NoAnswerError(DmarcworksError):
    """No name server answered in time, or none is configured."""

    temporary = True


class Resolver(Protocol):
    """TXT records come as one bytes each, MX as (preference, host), all else as text."""

    async def __call__(self, name: str, kind: str, deadline: float) -> list[Any]:
        """The records; `deadline` in seconds of time.monotonic."""

    async def alive(self) -> bool:
        """Whether DNS answers at all, by a question of our own that no stranger has a part in."""


@dataclass(frozen=True, slots=True)
class DnsRecords:
    """The records of a name, and for how many seconds they, or their absence, hold; None: nobody stated that.

    `exists` is False when no such name exists (NXDOMAIN), True when it exists, with or without such records (RFC 8020).
    """

    records: list[Any]
    ttl: float | None = None
    exists: bool = True


class RecordResolver(Resolver, Protocol):
    """A resolver that also knows whether a name exists, as `Dns` does."""

    async def lookup(self, name: str, kind: str, deadline: float) -> DnsRecords:
        """The records with `exists`; `NoAnswerError` when nobody answered."""


@dataclass(frozen=True, slots=True)
class _Answer:
    records: list[Any]
    failure: str = ""
    ttl: float | None = None
    exists: bool = True


class Dns:
    """The system's name servers, or one that is named ("192.0.2.53" or "192.0.2.53:5353", "[2001:db8::1]:53").

    To be used from one event loop. `before_query` is awaited before each query is sent, and its time does not count as
    the query's; answers are kept for `longest` seconds at most.
    """

    def __init__(
        self,
        server: str = "",
        clock: Callable[[], float] = time.monotonic,
        *,
        before_query: Callable[[], Awaitable[None]] | None = None,
        longest: float = _LONGEST,
    ) -> None:
        self._server = server
        self._longest = longest
        self._clock = clock
        self._before_query = before_query
        self._sockets = _SocketThread()
        self._resolver: dns.asyncresolver.Resolver | None = None
        # By name and type: when it expires (None while the query runs), and the answer.
        self._known: OrderedDict[tuple[str, str], tuple[float | None, asyncio.Task[_Answer]]] = OrderedDict()

    async def __call__(self, name: str, kind: str, deadline: float) -> list[Any]:
        """The records of a name; CNAMEs are followed."""
        return (await self.lookup(name, kind, deadline)).records

    async def lookup(self, name: str, kind: str, deadline: float) -> DnsRecords:
        """The same with the time to live; for what does not exist that of the zone's SOA (RFC 2308)."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise NoAnswerError(f"no time left to query {name}")
        key = (name.rstrip(".").lower(), kind)
        until, task = self._known.get(key, (0.0, None))
        if task is None or (until is not None and until <= self._clock()):
            task = asyncio.get_running_loop().create_task(self._find(key, name, kind))
            self._known[key] = (None, task)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        # Most answers are there already, and a time-out costs more than all the rest here.
        if task.done() and not task.cancelled() and task.exception() is None:
            answer = task.result()
        else:
            try:
                async with asyncio.timeout(left):
                    # Others wait for the same answer, and it is worth keeping when nobody does any more.
                    answer = await asyncio.shield(task)
            except TimeoutError:
                raise NoAnswerError(f"DNS gave no answer about {name} in time") from None
        if answer.failure:
            raise NoAnswerError(answer.failure)
        return DnsRecords(list(answer.records), answer.ttl, answer.exists)

    async def alive(self) -> bool:
        """Whether the servers answer a question about the root; no such record is an answer, so is a refusal."""
        try:
            await self._sockets.run(self._query(".", "NS", asyncio.get_running_loop()))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return True
        except dns.resolver.NoNameservers as error:
            replies = [one[4] for one in error.kwargs.get("errors", ()) if len(one) > 4 and one[4] is not None]
            return any(reply.rcode() != dns.rcode.SERVFAIL for reply in replies)
        except (dns.exception.DNSException, OSError, ValueError):
            return False
        return True

    def close(self) -> None:
        """Stop all queries."""
        self._sockets.close()

    async def _find(self, key: tuple[str, str], name: str, kind: str) -> _Answer:
        answer, keep = await self._looked_up(name, kind)
        keep = min(keep, self._longest)
        cached = self._known.get(key)
        if cached is not None and cached[1] is asyncio.current_task():
            self._known[key] = (self._clock() + keep, cached[1])
        return answer

    async def _looked_up(self, name: str, kind: str) -> tuple[_Answer, float]:
        """The answer and for how many seconds it holds."""
        ascii_name = a_labels(name)
        if ascii_name is None:
            return _Answer([], exists=False), _EMPTY  # no name in DNS
        try:
            if self._before_query is not None:
                await self._before_query()
            records, expires = await self._sockets.run(self._query(ascii_name, kind, asyncio.get_running_loop()))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer) as absent:
            exists = not isinstance(absent, dns.resolver.NXDOMAIN)
            return _Answer([], ttl=_negative_ttl(absent), exists=exists), _EMPTY
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel):
            return _Answer([], exists=False), _EMPTY
        except (dns.exception.DNSException, DmarcworksError, OSError, ValueError) as error:
            return _Answer([], f"DNS gave no answer about {name}: {type(error).__name__}"), _FAILED
        ttl = max(expires - time.time(), 0.0)
        return _Answer(records, ttl=ttl), min(ttl, self._longest)

    async def _query(self, name: str, kind: str, caller: asyncio.AbstractEventLoop) -> tuple[list[Any], float]:
        """In the thread of the sockets: the records and when they expire. `caller` is the event loop of the caller."""
        if self._resolver is None:
            self._resolver = _opened(self._server)
        ends, expires = time.monotonic() + QUERY_SECONDS, float("inf")
        for _ in range(_ALIASES):
            async with self._sockets.limit:
                try:
                    left = max(ends - time.monotonic(), 0.01)
                    answer = await self._resolver.resolve(name, kind, lifetime=left, search=False)
                except dns.resolver.NoAnswer as absent:
                    # A server that is no resolver returns an alias alone: the next question is ours.
                    alias = _alias(absent, name)
                    if alias is None:
                        raise
                    name, seconds = alias
                    expires = min(expires, time.time() + seconds)
                    ends += await self._wait_again(caller)
                    continue
            return [_plain(record, kind) for record in answer], min(expires, answer.expiration)
        raise dns.resolver.NoNameservers

    async def _wait_again(self, caller: asyncio.AbstractEventLoop) -> float:
        """Wait until another query may be sent; for how many seconds."""
        if self._before_query is None:
            return 0.0
        began = time.monotonic()
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_awaited(self._before_query), caller))
        return time.monotonic() - began


async def _awaited(wait: Callable[[], Awaitable[None]]) -> None:
    await wait()


class _SocketThread:
    """A thread with an event loop, begun at the first question."""

    def __init__(self) -> None:
        self.limit = asyncio.Semaphore(_AT_ONCE)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    async def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """The result of a coroutine that ran there; `OSError` after `close`, while look-ups still wait."""
        if self._closed:
            work.close()
            raise OSError("the resolver is closed")
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._serve, args=(self._loop,), name="dns", daemon=True)
            self._thread.start()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()
        unfinished = asyncio.all_tasks(loop)
        for task in unfinished:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*unfinished, return_exceptions=True))
        loop.close()

    def close(self) -> None:
        """End it, and its pending queries."""
        self._closed = True
        if self._loop is not None and self._thread is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(2.0)


def _opened(server: str) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=not server)
    if server:
        ported = server.count(":") == 1 or "]:" in server
        host, _, port = server.rpartition(":") if ported else (server, "", "")
        resolver.nameservers = [host.strip("[]")]
        resolver.port = int(port) if port else 53
    resolver.timeout = QUERY_SECONDS / 2
    return resolver


def _alias(absent: dns.resolver.NoAnswer, name: str) -> tuple[str, int] | None:
    """Where the name's chain of aliases in the answer ends, and its time to live; None for a name without one."""
    response, seconds, aliased = absent.kwargs["response"], 0, False
    place = dns.name.from_text(name)
    for _ in range(_ALIASES):
        alias = response.get_rrset(response.answer, place, dns.rdataclass.IN, dns.rdatatype.CNAME)
        if alias is None:
            break
        place, seconds, aliased = alias[0].target, min(seconds, alias.ttl) if aliased else alias.ttl, True
    return (place.to_text(True), seconds) if aliased else None


def _negative_ttl(absent: dns.resolver.NXDOMAIN | dns.resolver.NoAnswer) -> float | None:
    """How long the absence holds, by the SOA that comes with the answer."""
    responses = list(absent.kwargs.get("responses", {}).values()) or [absent.kwargs.get("response")]
    for response in responses:
        for records in () if response is None else response.authority:
            if records.rdtype == dns.rdatatype.SOA:
                return float(min(records.ttl, records[0].minimum))
    return None


def _plain(record: Any, kind: str) -> Any:
    if kind == "TXT":
        return b"".join(record.strings)
    if kind == "MX":
        return (record.preference, record.exchange.to_text(True))
    return record.to_text().rstrip(".")
