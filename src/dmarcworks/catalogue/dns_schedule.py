"""When each domain's DNS records are checked next; a process claims what is due in the database.

Each domain has its own time within the interval, which follows from its id: many domains are spread evenly, and a
restart moves nothing. A claim runs out, so that the work of a process that ended is done by another one.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, update
from sqlalchemy.engine import Row

from dmarcworks.bindings.contracts import Database
from dmarcworks.bindings.upsert import upsert
from dmarcworks.catalogue.dns_tables import dns_checks
from dmarcworks.catalogue.tables import domains

__all__ = ["SELECTORS", "CheckPart", "CheckStatus", "DnsSchedule", "DueCheck", "overdue", "slot_after"]

# DKIM selectors that persons named, of one domain.
SELECTORS = 20
# Domains without a schedule that are added at a time. As few as a person adds by hand are checked first.
_ADDED, _FEW = 5_000, 20
_RETRY_SECONDS, _LONGEST_DOUBLING = 300.0, 10
_columns = dns_checks.c


class CheckPart(StrEnum):
    """What is checked at one time."""

    dmarc = "dmarc"
    # All records, with the report card.
    records = "records"


@dataclass(frozen=True, slots=True)
class DueCheck:
    """A claimed domain: its parts that are due, each with when a person requested it, None when nobody did.

    `holder` is of this claim alone; `due` is when the oldest part was due.
    """

    domain_id: str
    account_id: str
    domain: str
    holder: str
    parts: Mapping[CheckPart, float | None]
    due: float
    selectors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckStatus:
    """A domain's next check of a part; `running` while a process works on it."""

    part: CheckPart
    due: datetime
    requested: datetime | None
    checked: datetime | None
    running: bool
    failures: int
    selectors: tuple[str, ...]


def slot_after(now: float, interval: float, domain_id: str, part: CheckPart) -> float:
    """The next time after `now` at which this part of this domain is checked. Pure."""
    digest = hashlib.sha256(f"{part}:{domain_id}".encode()).digest()
    offset = int.from_bytes(digest[:8]) / 2**64 * interval
    return now + interval - (now - offset) % interval


class DnsSchedule:
    """The schedule; `intervals` are the seconds between two checks of each part."""

    def __init__(
        self, database: Database, intervals: Mapping[CheckPart, float], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._intervals = dict(intervals)
        self._clock = clock

    async def settle(self) -> int:
        """Add the domains that have no schedule, and apply shorter intervals; how many were added."""
        now = self._clock()

        def work(connection: Connection) -> int:
            missing = select(domains.c.id).outerjoin(dns_checks, _columns.domain_id == domains.c.id)
            missing = missing.where(_columns.domain_id.is_(None)).order_by(domains.c.created, domains.c.id)
            ids = list(connection.execute(missing.limit(_ADDED)).scalars())
            if ids:
                requested = now if len(ids) <= _FEW else None
                rows = [_new(one, part, now, requested) for one in ids for part in CheckPart]
                # Another process may add the same ones, and a domain may be removed meanwhile.
                connection.execute(upsert(connection.dialect.name, dns_checks).on_conflict_do_nothing(), rows)
            for part, interval in self._intervals.items():
                late = (_columns.part == str(part)) & (_columns.due > now + interval)
                connection.execute(update(dns_checks).where(late).values(due=now + interval))
            return len(ids)

        return await self._database.step(work)

    async def claim(self, most: int, seconds: float, *, only_requested: bool = False) -> list[DueCheck]:
        """Domains to check, for the caller alone for so many seconds: first what was requested, then by due."""
        now, holder = self._clock(), uuid.uuid4().hex
        requested = _columns.requested.is_not(None)
        due = requested if only_requested else requested | (_columns.due <= now)
        async with self._database.read() as connection:
            # Mostly there is nothing to do, which needs no transaction that writes.
            anything = select(_columns.domain_id).where(due, _columns.claimed <= now).limit(1)
            if (await connection.execute(anything)).first() is None:
                return []

        def work(connection: Connection) -> list[DueCheck]:
            ids = _first(connection, requested & (_columns.claimed <= now), _columns.requested, most)
            if len(ids) < most and not only_requested:
                others = ~requested & (_columns.due <= now) & (_columns.claimed <= now)
                ids = list(dict.fromkeys(ids + _first(connection, others, _columns.due, most - len(ids))))
            rows = _all_due(connection, ids, due & (_columns.claimed <= now))
            for row in rows:
                place = (_columns.domain_id == row.domain_id) & (_columns.part == row.part)
                connection.execute(update(dns_checks).where(place).values(claimed=now + seconds, holder=holder))
            by_domain: dict[str, list[Row[Any]]] = {one: [] for one in ids}
            for row in rows:
                by_domain[row.domain_id].append(row)
            return [_due(parts, holder) for parts in by_domain.values() if parts]

        return await self._database.step(work)

    async def done(self, check: DueCheck, *, answered: bool = True) -> bool:
        """The check has ended; without an answer it is repeated sooner. False when the claim had run out."""
        now = self._clock()

        def work(connection: Connection) -> bool:
            rows = connection.execute(select(dns_checks).where(_mine(check))).all()
            for row in rows:
                part = CheckPart(row.part)
                due = slot_after(now, self._intervals[part], check.domain_id, part)
                if not answered:
                    due = min(due, now + _RETRY_SECONDS * 2 ** min(row.failures, _LONGEST_DOUBLING))
                failures = 0 if answered else row.failures + 1
                values: dict[str, Any] = {"due": due, "claimed": 0.0, "holder": "", "checked": now}
                # What was requested while the check ran is done once more.
                if row.requested == check.parts.get(part):
                    values["requested"] = None
                place = _mine(check) & (_columns.part == row.part)
                connection.execute(update(dns_checks).where(place).values(failures=failures, **values))
            return bool(rows)

        return await self._database.step(work)

    async def release(self, checks: Sequence[DueCheck]) -> None:
        """Leave claimed checks to the process that claims them next: this process ends."""

        def work(connection: Connection) -> None:
            for check in checks:
                connection.execute(update(dns_checks).where(_mine(check)).values(claimed=0.0, holder=""))

        await self._database.step(work)

    async def bring_forward(self, domain_id: str, part: CheckPart) -> None:
        """A part that was checked before is due now: what it depends on has changed since."""
        now = self._clock()

        def work(connection: Connection) -> None:
            place = (_columns.domain_id == domain_id) & (_columns.part == str(part)) & (_columns.due > now)
            place &= _columns.checked.is_not(None)
            connection.execute(update(dns_checks).where(place).values(due=now))

        await self._database.step(work)

    async def request(self, account_id: str, domain_id: str, selectors: Sequence[str] = ()) -> bool:
        """Check everything of a domain as soon as possible; False when the account has no such domain.

        `selectors` are checked from now on.
        """
        now = self._clock()

        def work(connection: Connection) -> bool:
            mine = select(domains.c.id).where(domains.c.id == domain_id, domains.c.account_id == account_id)
            if connection.execute(mine).first() is None:
                return False
            rows = [_new(domain_id, part, now, now) for part in CheckPart]
            connection.execute(upsert(connection.dialect.name, dns_checks).on_conflict_do_nothing(), rows)
            place = _columns.domain_id == domain_id
            connection.execute(update(dns_checks).where(place).values(requested=now))
            if selectors:
                all_records = place & (_columns.part == str(CheckPart.records))
                text = connection.execute(select(_columns.selectors).where(all_records)).scalar_one()
                named = list(dict.fromkeys((*selectors, *json.loads(text))))[:SELECTORS]
                connection.execute(update(dns_checks).where(all_records).values(selectors=json.dumps(named)))
            return True

        return await self._database.step(work)

    async def status(self, account_id: str, domain_id: str) -> dict[CheckPart, CheckStatus]:
        """When the parts of a domain are checked; empty before it has a schedule."""
        now = self._clock()
        statement = select(dns_checks).join(domains, domains.c.id == _columns.domain_id)
        statement = statement.where(_columns.domain_id == domain_id, domains.c.account_id == account_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return {CheckPart(row.part): _status(row, now) for row in rows}


async def overdue(database: Database, clock: Callable[[], float] = time.time) -> tuple[int, float]:
    """How many checks are due, and for how many seconds the oldest has been."""
    now = clock()
    statement = select(func.count(), func.min(_columns.due)).where(_columns.due <= now)
    async with database.read() as connection:
        count, oldest = (await connection.execute(statement)).one()
    return count, 0.0 if oldest is None else now - oldest


def _first(connection: Connection, which: ColumnElement[bool], order: Any, most: int) -> list[str]:
    """The domains of the first rows in an order; a domain that another process is claiming is passed over.

    A domain is claimed as a whole: its own row is locked, and each of its parts may be among the rows.
    """
    statement: Select[Any] = select(_columns.domain_id).join(domains, domains.c.id == _columns.domain_id).where(which)
    statement = statement.order_by(order, _columns.domain_id, _columns.part).limit(most * len(CheckPart))
    if connection.dialect.name == "postgresql":
        statement = statement.with_for_update(skip_locked=True, key_share=True, of=domains)
    return list(dict.fromkeys(connection.execute(statement).scalars()))[:most]


def _all_due(connection: Connection, ids: Sequence[str], which: ColumnElement[bool]) -> Sequence[Row[Any]]:
    """The parts of these domains that are to be checked, with the domains' names."""
    statement: Select[Any] = select(dns_checks, domains.c.account_id, domains.c.name.label("domain"))
    statement = statement.join(domains, domains.c.id == _columns.domain_id)
    statement = statement.where(_columns.domain_id.in_(ids), which).order_by(_columns.domain_id, _columns.part)
    if connection.dialect.name == "postgresql":
        statement = statement.with_for_update(of=dns_checks)
    return connection.execute(statement).all()


def _mine(check: DueCheck) -> ColumnElement[bool]:
    return (_columns.domain_id == check.domain_id) & (_columns.holder == check.holder)


def _new(domain_id: str, part: CheckPart, now: float, requested: float | None) -> dict[str, Any]:
    values = {"claimed": 0.0, "holder": "", "failures": 0, "selectors": "[]"}
    return {"domain_id": domain_id, "part": str(part), "due": now, "requested": requested, **values}


def _due(rows: Sequence[Row[Any]], holder: str) -> DueCheck:
    selectors = dict.fromkeys(one for row in rows for one in json.loads(row.selectors))
    parts = {CheckPart(row.part): row.requested for row in rows}
    first = rows[0]
    due = min(row.due for row in rows)
    return DueCheck(first.domain_id, first.account_id, first.domain, holder, parts, due, tuple(selectors))


def _status(row: Row[Any], now: float) -> CheckStatus:
    def moment(seconds: float | None) -> datetime | None:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

    return CheckStatus(
        part=CheckPart(row.part),
        due=datetime.fromtimestamp(row.due, UTC),
        requested=moment(row.requested),
        checked=moment(row.checked),
        running=row.claimed > now,
        failures=row.failures,
        selectors=tuple(json.loads(row.selectors)),
    )
