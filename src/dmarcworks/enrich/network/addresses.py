"""The name of an address from DNS: its PTR record, and whether that name leads back to the address.

Answers are kept in KV for as long as their TTL allows, within bounds, and so is their absence; that a name server
failed or did not answer is kept for a short time. Nothing of an answer makes a look-up fail.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

import structlog

from dmarcworks.bindings.contracts import KV
from dmarcworks.enrich.network.host_names import host_name, looked_up
from dmarcworks.enrich.resolver import DnsRecords, NoAnswerError
from dmarcworks.errors import DmarcworksError

__all__ = ["NO_NAME", "AddressName", "AddressNames", "NameLookup"]

log = structlog.get_logger("dmarcworks.enrich.network")

# Addresses that are looked up at once, seconds for one of them with all of its names.
AT_ONCE, SECONDS = 64, 8.0
# PTR names of an address and addresses of a name that are looked at; an address of a shared host has hundreds.
NAMES, ADDRESSES = 5, 500
# Seconds that an answer, its absence, and a failure are kept.
SHORTEST, LONGEST = 3600, 7 * 86_400
ABSENT_LONGEST, FAILED = 86_400, 600
_PREFIX = "ptr:"


class NameLookup(Protocol):
    """DNS as it is needed here: `enrich.resolver.Dns`."""

    async def lookup(self, name: str, kind: str, deadline: float) -> DnsRecords:
        """The records of a name with their time to live; `NoAnswerError` when nobody answered."""

    async def alive(self) -> bool:
        """Whether DNS answers at all."""


@dataclass(frozen=True, slots=True)
class AddressName:
    """What DNS states about an address.

    `confirmed`: an address record of `ptr` leads back to it. `answered`: False when a name server failed or gave no
    answer, so that the rest is what was known before or nothing. `seconds`: how long this holds.
    """

    ptr: str | None = None
    confirmed: bool = False
    answered: bool = True
    seconds: int = SHORTEST


NO_NAME = AddressName()


class AddressNames:
    """Names of addresses through `dns`, kept in `kv`. Look-ups of the same address at once share one answer."""

    def __init__(self, dns: NameLookup, kv: KV, *, at_once: int = AT_ONCE, seconds: float = SECONDS) -> None:
        self._dns, self._kv, self._seconds = dns, kv, seconds
        self._limit = asyncio.Semaphore(at_once)
        self._running: dict[str, asyncio.Task[AddressName]] = {}

    async def find(self, text: str) -> AddressName:
        """The name of the address; never raises, whatever DNS or KV do."""
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return NO_NAME
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or (IPv6Address(int(address)) if address.scope_id else address)
        if not looked_up(address):
            return NO_NAME
        key = str(address)
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.get_running_loop().create_task(self._lookup(address), name=f"PTR {key}")
            task.add_done_callback(lambda _: self._running.pop(key, None))
        # Others wait for the same answer, and it is worth keeping when nobody does any more.
        return await asyncio.shield(task)

    async def find_all(self, addresses: Iterable[str]) -> dict[str, AddressName]:
        """The names of several addresses, as many at once as the bound allows."""
        some = list(dict.fromkeys(addresses))
        return dict(zip(some, await asyncio.gather(*map(self.find, some)), strict=True))

    async def alive(self) -> bool:
        """Whether DNS answers at all."""
        return await self._dns.alive()

    async def _lookup(self, address: IPv4Address | IPv6Address) -> AddressName:
        key = _PREFIX + str(address)
        async with self._limit:
            try:
                if (kept := _read(await self._kv.get(key))) is not None:
                    return kept
            except DmarcworksError as error:
                log.warning("stored names cannot be read", error=str(error))
            name = await self._resolved(address)
            try:
                await self._kv.put(key, _written(name), ttl=name.seconds)
            except DmarcworksError as error:
                log.warning("names cannot be stored", error=str(error))
        return name

    async def _resolved(self, address: IPv4Address | IPv6Address) -> AddressName:
        deadline = time.monotonic() + self._seconds
        try:
            answer = await self._dns.lookup(address.reverse_pointer, "PTR", deadline)
            names = _names(answer.records)
            if not names:
                return AddressName(seconds=_bounded(answer.ttl, ABSENT_LONGEST))
            return await self._confirmed(address, names, answer.ttl, deadline)
        except NoAnswerError:
            return AddressName(answered=False, seconds=FAILED)
        # A name of an address is no reason to stop anything: what DNS did here is logged.
        except Exception:
            log.exception("looking up a name failed", address=str(address))
            return AddressName(answered=False, seconds=FAILED)

    async def _confirmed(
        self, address: IPv4Address | IPv6Address, names: Sequence[str], ttl: float | None, deadline: float
    ) -> AddressName:
        """The first name that leads back to the address, or the first one unconfirmed."""
        kind = "A" if address.version == 4 else "AAAA"
        answered, ttls = True, [ttl]
        for name in names:
            try:
                answer = await self._dns.lookup(name, kind, deadline)
            except NoAnswerError:
                answered = False
                continue
            if address in _addresses(answer.records):
                return AddressName(name, True, True, _bounded(_least([ttl, answer.ttl]), LONGEST))
            ttls.append(answer.ttl)
        if not answered:
            return AddressName(names[0], False, False, FAILED)
        return AddressName(names[0], False, True, _bounded(_least(ttls), ABSENT_LONGEST))


def _names(records: Sequence[object]) -> list[str]:
    """The valid host names, sorted: a server gives them in an order that changes from answer to answer."""
    valid = {name for record in records if isinstance(record, str) and (name := host_name(record))}
    return sorted(valid)[:NAMES]


def _addresses(records: Sequence[object]) -> set[IPv4Address | IPv6Address]:
    confirmed: set[IPv4Address | IPv6Address] = set()
    for record in records[:ADDRESSES]:
        try:
            confirmed.add(ipaddress.ip_address(str(record)))
        except ValueError:
            continue
    return confirmed


def _least(ttls: Sequence[float | None]) -> float | None:
    return min((ttl for ttl in ttls if ttl is not None), default=None)


def _bounded(ttl: float | None, longest: int) -> int:
    return SHORTEST if ttl is None else math.ceil(min(max(ttl, SHORTEST), longest))


def _written(name: AddressName) -> str:
    return json.dumps([name.ptr, name.confirmed, name.answered, int(time.time()) + name.seconds])


def _read(text: str | None) -> AddressName | None:
    if text is None:
        return None
    try:
        ptr, confirmed, answered, until = json.loads(text)
        return AddressName(ptr, bool(confirmed), bool(answered), max(int(until - time.time()), 1))
    except (ValueError, TypeError):
        return None  # written by another version: it is looked up again
