"""The addresses that sent mail: their names from DNS, and the queue of those to be looked up.

An address is due when it is seen for the first time, or again after its name has expired. A process claims due
addresses for a while; a claim that runs out is free again, so that nothing is lost when a process ends.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import structlog
from sqlalchemy import Connection, delete, func, literal, select, true, update

from dmarcworks.bindings.contracts import Database
from dmarcworks.bindings.text_values import text_values
from dmarcworks.bindings.upsert import upsert
from dmarcworks.catalogue.upkeep_tables import source_addresses
from dmarcworks.enrich.network.addresses import AddressName
from dmarcworks.enrich.network.host_names import looked_up, looked_up_number
from dmarcworks.enrich.network.ipv4 import ipv4_numbers
from dmarcworks.errors import DmarcworksError

__all__ = ["ClaimedAddress", "SourceAddresses"]

log = structlog.get_logger("dmarcworks.catalogue")

# Addresses that may wait; what is seen beyond that is added when it is seen again.
WAITING = 500_000
# Answers that are remembered in process, and for how long.
_REMEMBERED, _SECONDS = 100_000, 600.0
# Addresses per statement.
_AT_ONCE = 5000
# Addresses that are queued in one transaction; how long new ones are collected for it, and for how long the number of
# those that wait is remembered: counting them takes longer than adding to them.
_QUEUED_AT_ONCE = 5000
_COLLECT_SECONDS, _COUNTED_SECONDS = 1.0, 60.0
_RETRIES, _RETRY_SECONDS, _LONGEST_SECONDS = 5, 600.0, 86_400.0
_FORGET_SECONDS = 90 * 86_400.0
_columns = source_addresses.c


@dataclass(frozen=True, slots=True)
class ClaimedAddress:
    """An address to be looked up; `before` is its name that rows may have already, None when it has none yet."""

    address: str
    before: AddressName | None


class SourceAddresses:
    """The catalogue's addresses. Without `queued` no address becomes due: nobody looks names up."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time, *, queued: bool = True) -> None:
        self._database, self._clock, self._queued = database, clock, queued
        # By address: until when it is remembered, and its name (None: it is queued).
        self._memory: dict[str, tuple[float, AddressName | None]] = {}
        # What is to be queued (True: again), and the task that does it: publishing does not wait for this.
        self._unqueued: dict[str, bool] = {}
        self._queueing: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()
        # How many more may wait, and until when that is remembered.
        self._free, self._counted_until = 0, 0.0

    async def known(self, addresses: Collection[str]) -> Mapping[str, AddressName]:
        """The names of those that were looked up; the others, and the expired ones, become due."""
        now = self._clock()
        known_names: dict[str, AddressName] = {}
        missing: list[str] = []
        for address in addresses:
            until, name = self._memory.get(address, (0.0, None))
            if until <= now:
                missing.append(address)
            elif name is not None:
                known_names[address] = name
        valid = _valid(missing)
        for start in range(0, len(valid), _AT_ONCE):
            some = valid[start : start + _AT_ONCE]
            names = await self._looked_at(some, now)
            known_names |= names
            self._remember(some, now, names)
        return known_names

    async def stored(self, addresses: Collection[str]) -> Mapping[str, AddressName]:
        """The names of those that were looked up, however old; nothing becomes due."""
        names: dict[str, AddressName] = {}
        some = sorted(addresses)
        for start in range(0, len(some), _AT_ONCE):
            async with self._database.read() as connection:
                wanted = _columns.address.in_(text_values(connection.dialect.name, some[start : start + _AT_ONCE]))
                statement = select(source_addresses).where(wanted, _columns.looked_up.is_not(None))
                rows = (await connection.execute(statement)).all()
            names |= {row.address: AddressName(row.ptr, row.confirmed, row.answered) for row in rows}
        return names

    async def _looked_at(self, some: Sequence[str], now: float) -> dict[str, AddressName]:
        async with self._database.read() as connection:
            wanted = _columns.address.in_(text_values(connection.dialect.name, some))
            rows = {row.address: row for row in await connection.execute(select(source_addresses).where(wanted))}
        new = [address for address in some if address not in rows]
        again = [row.address for row in rows.values() if row.due is None and row.expires <= now]
        if self._queued and (new or again):
            self._unqueued |= dict.fromkeys(new, False) | dict.fromkeys(again, True)
            if self._queueing is None or self._queueing.done():
                self._queueing = asyncio.create_task(self._queue_later(), name="queueing addresses")
        return {
            row.address: AddressName(row.ptr, row.confirmed, row.answered)
            for row in rows.values()
            if row.looked_up is not None
        }

    async def settle(self) -> None:
        """Queue what waits for it: before due addresses are read, and before the database is closed."""
        async with self._one_at_a_time:
            while self._unqueued:
                some = dict(islice(self._unqueued.items(), _QUEUED_AT_ONCE))
                now = self._clock()
                if now >= self._counted_until:
                    self._free, self._counted_until = WAITING - await self._count(), now + _COUNTED_SECONDS
                self._free -= await self._database.step(partial(_queue, some, self._free, now))
                for address in some:
                    self._unqueued.pop(address, None)

    async def _queue_later(self) -> None:
        try:
            await asyncio.sleep(_COLLECT_SECONDS)
            await self.settle()
        # They are queued with the next report, or before the next round of look-ups.
        except DmarcworksError as error:
            log.warning("addresses are queued later", error=str(error))

    def _remember(self, addresses: Collection[str], now: float, names: Mapping[str, AddressName]) -> None:
        until = now + _SECONDS
        self._memory.update({address: (until, names.get(address)) for address in addresses})
        for address in list(islice(self._memory, max(len(self._memory) - _REMEMBERED, 0))):
            del self._memory[address]

    async def claim(self, most: int, seconds: float) -> list[ClaimedAddress]:
        """The addresses that are due, oldest first; no other process gets them for so many seconds."""
        await self.settle()
        now = self._clock()

        def work(connection: Connection) -> list[ClaimedAddress]:
            due = select(_columns.address).where(_columns.due <= now, _columns.claimed <= now)
            due = due.order_by(_columns.due, _columns.address).limit(most)
            if connection.dialect.name == "postgresql":
                due = due.with_for_update(skip_locked=True)
            some = list(connection.execute(due).scalars())
            statement = update(source_addresses).where(_columns.address.in_(some)).values(claimed=now + seconds)
            rows = connection.execute(statement.returning(source_addresses)).all() if some else []
            return [
                ClaimedAddress(
                    row.address,
                    None if row.looked_up is None else AddressName(row.ptr, row.confirmed, row.answered),
                )
                for row in rows
            ]

        return await self._database.step(work)

    async def store(self, names: Mapping[str, AddressName]) -> None:
        """The names, from now on for new rows; the addresses stay claimed until `done`."""
        await self.settle()
        now = self._clock()

        def work(connection: Connection) -> None:
            for address, name in names.items():
                values = {"ptr": name.ptr, "confirmed": name.confirmed, "answered": name.answered}
                statement = update(source_addresses).where(_columns.address == address)
                connection.execute(statement.values(**values, looked_up=now, expires=now + name.seconds))

        await self._database.step(work)
        self._remember(names, now, names)

    async def done(self, names: Mapping[str, AddressName]) -> None:
        """Rows have these names: nothing is due, but for a few more tries where no name server answered."""
        now = self._clock()

        def work(connection: Connection) -> None:
            answered = [address for address, name in names.items() if name.answered]
            mine = update(source_addresses).where(_columns.address.in_(answered))
            connection.execute(mine.values(due=None, claimed=0.0, failures=0))
            for address in names.keys() - set(answered):
                one = _columns.address == address
                failures = connection.execute(select(_columns.failures).where(one)).scalar() or 0
                pause = min(_RETRY_SECONDS * 4**failures, _LONGEST_SECONDS)
                due = now + pause if failures < _RETRIES else None
                values = {"due": due, "expires": now + pause, "failures": failures + 1, "claimed": 0.0}
                connection.execute(update(source_addresses).where(one).values(**values))

        await self._database.step(work)

    async def forget(self) -> int:
        """Delete what was not seen for a long time; how many."""
        old = (_columns.due.is_(None)) & (_columns.looked_up < self._clock() - _FORGET_SECONDS)
        async with self._database.write() as connection:
            return (await connection.execute(delete(source_addresses).where(old))).rowcount

    async def release(self, addresses: Collection[str]) -> None:
        """Give back claimed addresses, which were not looked up: they are due as before."""

        def work(connection: Connection) -> None:
            wanted = _columns.address.in_(text_values(connection.dialect.name, addresses))
            connection.execute(update(source_addresses).where(wanted).values(claimed=0.0))

        await self._database.step(work)

    async def waiting(self) -> int:
        """How many addresses are due now or later."""
        await self.settle()
        return await self._count()

    async def _count(self) -> int:
        async with self._database.read() as connection:
            statement = select(func.count()).where(_columns.due.is_not(None))
            return (await connection.execute(statement)).scalar_one()


def _queue(addresses: Mapping[str, bool], free: int, now: float, connection: Connection) -> int:
    """Add the new ones of these addresses as far as they may wait, and make the others due; how many were added."""
    new = [address for address, known in addresses.items() if not known]
    if again := [address for address, known in addresses.items() if known]:
        connection.execute(
            update(source_addresses)
            .where(_columns.address.in_(text_values(connection.dialect.name, again)))
            .values(due=now, failures=0)
        )
    fresh = {"confirmed": False, "answered": False, "expires": 0.0, "due": now, "claimed": 0.0, "failures": 0}
    if some := new[: max(free, 0)]:
        # Another process may add the same address at the same time. Without the condition SQLite reads ON
        # CONFLICT as a part of a join (https://sqlite.org/lang_upsert.html).
        rows = text_values(connection.dialect.name, some).add_columns(*map(literal, fresh.values())).where(true())
        statement = upsert(connection.dialect.name, source_addresses).from_select(["address", *fresh], rows)
        connection.execute(statement.on_conflict_do_nothing())
    return len(some)


def _valid(texts: Sequence[str]) -> list[str]:
    """The addresses whose names are worth a query."""
    numbers, others = ipv4_numbers(texts)
    valid = [text for text, number in zip(texts, numbers, strict=True) if looked_up_number(number)]
    return valid + [texts[place] for place in others if _valid_other(texts[place])]


def _valid_other(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return len(text) <= 45 and looked_up(address)
