"""The addresses that sent mail: their names from DNS, and the queue of those to be looked up.

An address is due when it is seen for the first time, or again after its name has expired. A process claims due
addresses for a while; a claim that runs out is free again, so that nothing is lost when a process ends.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import structlog
from sqlalchemy import Connection, delete, func, select, update

from dmarcworks.bindings.contracts import Database
from dmarcworks.bindings.upsert import upsert
from dmarcworks.catalogue.upkeep_tables import source_addresses
from dmarcworks.enrich.network.addresses import AddressName
from dmarcworks.enrich.network.host_names import looked_up
from dmarcworks.errors import DmarcworksError

__all__ = ["ClaimedAddress", "SourceAddresses"]

log = structlog.get_logger("dmarcworks.catalogue")

# Addresses that may wait; what is seen beyond that is added when it is seen again.
WAITING = 500_000
# Answers that are remembered in process, and for how long.
_REMEMBERED, _SECONDS = 100_000, 600.0
# Addresses per statement: a database allows so many parameters.
_AT_ONCE = 500
# Addresses that are queued in one transaction.
_QUEUED_AT_ONCE = 5000
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
        self._memory: OrderedDict[str, tuple[float, AddressName | None]] = OrderedDict()
        # What is to be queued (True: again), and the task that does it: publishing does not wait for this.
        self._unqueued: dict[str, bool] = {}
        self._queueing: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()

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
        valid = [address for address in missing if _valid(address)]
        for start in range(0, len(valid), _AT_ONCE):
            some = valid[start : start + _AT_ONCE]
            names = await self._looked_at(some, now)
            known_names |= names
            for address in some:
                self._remember(address, now, names.get(address))
        return known_names

    async def stored(self, addresses: Collection[str]) -> Mapping[str, AddressName]:
        """The names of those that were looked up, however old; nothing becomes due."""
        names: dict[str, AddressName] = {}
        some = sorted(addresses)
        for start in range(0, len(some), _AT_ONCE):
            statement = select(source_addresses).where(_columns.address.in_(some[start : start + _AT_ONCE]))
            async with self._database.read() as connection:
                rows = (await connection.execute(statement.where(_columns.looked_up.is_not(None)))).all()
            names |= {row.address: AddressName(row.ptr, row.confirmed, row.answered) for row in rows}
        return names

    async def _looked_at(self, some: Sequence[str], now: float) -> dict[str, AddressName]:
        statement = select(source_addresses).where(_columns.address.in_(some))
        async with self._database.read() as connection:
            rows = {row.address: row for row in (await connection.execute(statement)).all()}
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
                await self._database.step(partial(_queue, some, self._clock()))
                for address in some:
                    self._unqueued.pop(address, None)

    async def _queue_later(self) -> None:
        try:
            await self.settle()
        # They are queued with the next report, or before the next round of look-ups.
        except DmarcworksError as error:
            log.warning("addresses are queued later", error=str(error))

    def _remember(self, address: str, now: float, name: AddressName | None) -> None:
        self._memory[address] = (now + _SECONDS, name)
        self._memory.move_to_end(address)
        while len(self._memory) > _REMEMBERED:
            self._memory.popitem(last=False)

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
        for address, name in names.items():
            self._remember(address, now, name)

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

    async def waiting(self) -> int:
        """How many addresses are due now or later."""
        await self.settle()
        async with self._database.read() as connection:
            statement = select(func.count()).where(_columns.due.is_not(None))
            return (await connection.execute(statement)).scalar_one()


def _queue(addresses: Mapping[str, bool], now: float, connection: Connection) -> None:
    new = [address for address, known in addresses.items() if not known]
    if again := [address for address, known in addresses.items() if known]:
        connection.execute(update(source_addresses).where(_columns.address.in_(again)).values(due=now, failures=0))
    free = WAITING - connection.execute(select(func.count()).where(_columns.due.is_not(None))).scalar_one()
    fresh = {"confirmed": False, "answered": False, "expires": 0.0, "due": now, "claimed": 0.0, "failures": 0}
    if some := [{"address": address, **fresh} for address in new[: max(free, 0)]]:
        # Another process may add the same address at the same time.
        statement = upsert(connection.dialect.name, source_addresses).on_conflict_do_nothing()
        connection.execute(statement, some)


def _valid(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return len(text) <= 45 and looked_up(address)
