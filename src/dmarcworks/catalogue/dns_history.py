"""What domains published in DNS and when: every state of a record once, with the time in which it was seen.

A look-up without an answer changes no state: a record that could not be looked up is not a removed one. Strangers write
DNS, so records are stored up to a bound, and of each domain the newest states.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.engine import Row

from dmarcworks.bindings.contracts import Database
from dmarcworks.bindings.upsert import upsert
from dmarcworks.catalogue.dns_states import DnsChange, DnsState, ObservedRecords, RecordKind, StoredCard
from dmarcworks.catalogue.dns_tables import dns_cards, dns_states
from dmarcworks.catalogue.tables import storable

__all__ = [
    "RECORD_CHARACTERS",
    "STATES",
    "DnsChange",
    "DnsHistory",
    "DnsState",
    "ObservedRecords",
    "RecordKind",
    "StoredCard",
]

# Of one state: characters of all its records, and how many records.
RECORD_CHARACTERS, _RECORDS = 8_192, 50
# States of one domain; of more, the oldest that no longer hold are deleted.
STATES = 2_000
_CODES, _CARD_CHARACTERS = 100, 1_000_000
_columns = dns_states.c


class DnsHistory:
    """The stored states and report cards. Every method names account and domain: no account sees another's."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def latest(
        self, account_id: str, domain_id: str, kinds: Collection[RecordKind] | None = None
    ) -> list[DnsState]:
        """The newest state of every name that is looked up, in the order of the kinds and of the names."""
        mine = _of(account_id, domain_id)
        statement = select(dns_states).where(mine, _columns.current.is_(True))
        if kinds is not None:
            statement = statement.where(_columns.kind.in_([str(kind) for kind in kinds]))
        async with self._database.read() as connection:
            states = [_state(row) for row in (await connection.execute(statement)).all()]
        order = list(RecordKind)
        return sorted(states, key=lambda state: (order.index(state.kind), state.name))

    async def states(self, account_id: str, domain_id: str) -> list[DnsState]:
        """Every stored state, the oldest first."""
        statement = select(dns_states).where(_of(account_id, domain_id)).order_by(_columns.id)
        async with self._database.read() as connection:
            return [_state(row) for row in (await connection.execute(statement)).all()]

    async def changes(
        self, account_id: str, domain_id: str, first: datetime | None = None, last: datetime | None = None
    ) -> list[DnsChange]:
        """The changes whose new state was seen first from `first` to `last`, the oldest first.

        The first sight of a name is one as well, with nothing before.
        """
        before: dict[tuple[RecordKind, str], DnsState] = {}
        changes = []
        for state in await self.states(account_id, domain_id):
            place = (state.kind, state.name)
            previous = before.get(place)
            before[place] = state
            # A name that was not looked up for a while may still have the same records.
            if previous is not None and previous.digest == state.digest:
                continue
            if (first is None or state.first_seen >= first) and (last is None or state.first_seen <= last):
                changes.append(DnsChange(previous, state))
        return sorted(changes, key=lambda change: (change.at, change.now.id))

    async def store(
        self,
        account_id: str,
        domain_id: str,
        observed: Sequence[ObservedRecords],
        *,
        resolver: str = "",
        complete: Collection[RecordKind] = (),
    ) -> list[RecordKind]:
        """Store what was looked up now; the kinds with a name that has new records.

        `complete` are kinds of which every name was looked up: another name of them is not looked up any more.
        """
        now = self._clock()

        def work(connection: Connection) -> list[RecordKind]:
            return _store(connection, (account_id, domain_id), observed, now, storable(resolver)[:255], complete)

        return await self._database.step(work)

    async def store_card(
        self, account_id: str, domain_id: str, card: dict[str, Any], *, resolver: str = "", answered: bool = True
    ) -> None:
        """Store the report card in place of the one before. `ValueError` for one beyond the bounds of any check."""
        text = storable(json.dumps(card, ensure_ascii=True))
        if len(text) > _CARD_CHARACTERS:
            raise ValueError(f"a report card has {len(text):,} characters; {_CARD_CHARACTERS:,} are allowed")
        values = {"checked": self._clock(), "resolver": resolver[:255], "answered": answered, "card": text}

        def work(connection: Connection) -> None:
            statement = upsert(connection.dialect.name, dns_cards).values(
                account_id=account_id, domain_id=domain_id, **values
            )
            keys = [dns_cards.c.account_id, dns_cards.c.domain_id]
            connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))

        await self._database.step(work)

    async def card(self, account_id: str, domain_id: str) -> StoredCard | None:
        """The newest report card; None before the first check."""
        table = dns_cards
        statement = select(table).where(table.c.account_id == account_id, table.c.domain_id == domain_id)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
        return None if row is None else StoredCard(_time(row.checked), row.resolver, row.answered, json.loads(row.card))


def _of(account_id: str, domain_id: str) -> Any:
    return (_columns.account_id == account_id) & (_columns.domain_id == domain_id)


def _store(
    connection: Connection,
    place: tuple[str, str],
    observed: Sequence[ObservedRecords],
    now: float,
    resolver: str,
    complete: Collection[RecordKind],
) -> list[RecordKind]:
    mine = _of(*place)
    statement = select(_columns.id, _columns.kind, _columns.name, _columns.digest, _columns.first_seen)
    rows = connection.execute(statement.where(mine, _columns.current.is_(True))).all()
    current = {(row.kind, row.name): row for row in rows}
    changed: list[RecordKind] = []
    for one in observed:
        if len(one.name) > 255:
            continue
        before = current.get((str(one.kind), one.name))
        row = update(dns_states).where(_columns.id == (before.id if before else -1))
        if one.failure:
            connection.execute(row.values(checked=now, failure=storable(one.failure)[:200]))
            continue
        records, digest, shortened = _bounded(one.records)
        seen: dict[str, Any] = {"checked": now, "last_seen": now, "failure": ""}
        if one.codes is not None or before is None or before.digest != digest:
            seen["codes"] = json.dumps((one.codes or ())[:_CODES])
        if before is not None and before.digest == digest:
            connection.execute(row.values(**seen, resolver=resolver))
            continue
        connection.execute(row.values(current=False))
        values = {"kind": str(one.kind), "name": one.name, "records": records, "digest": digest, "first_seen": now}
        account_id, domain_id = place
        connection.execute(
            insert(dns_states).values(
                account_id=account_id, domain_id=domain_id, shortened=shortened, resolver=resolver, current=True,
                **values, **seen,
            )
        )  # fmt: skip
        changed.append(one.kind)
    looked_up = {(str(one.kind), one.name) for one in observed}
    ended = [row.id for key, row in current.items() if row.kind in complete and key not in looked_up]
    if ended:
        connection.execute(update(dns_states).where(_columns.id.in_(ended)).values(current=False))
    if changed:
        _forget(connection, mine)
    return list(dict.fromkeys(changed))


def _forget(connection: Connection, mine: Any) -> None:
    """Delete the oldest states beyond the bound; of current ones, those that were not looked up for the longest."""
    newest = (
        select(_columns.id).where(mine).order_by(_columns.current.desc(), _columns.checked.desc(), _columns.id.desc())
    )
    beyond = list(connection.execute(newest.offset(STATES).limit(STATES)).scalars())
    for first in range(0, len(beyond), 500):
        connection.execute(delete(dns_states).where(_columns.id.in_(beyond[first : first + 500])))


def _bounded(records: Sequence[str]) -> tuple[str, str, bool]:
    """The records as JSON within the bounds, the digest of all of them, and whether something was left out.

    DNS returns records in any order, so that the order is ours.
    """
    ordered = sorted(storable(record) for record in records)
    digest = hashlib.sha256(json.dumps(ordered).encode()).hexdigest()
    kept: list[str] = []
    left = RECORD_CHARACTERS
    for record in ordered[:_RECORDS]:
        kept.append(record[:left])
        left -= len(record)
        if left <= 0:
            break
    return json.dumps(kept), digest, kept != ordered


def _state(row: Row[Any]) -> DnsState:
    return DnsState(
        id=row.id,
        kind=RecordKind(row.kind),
        name=row.name,
        records=tuple(json.loads(row.records)),
        digest=row.digest,
        codes=tuple(json.loads(row.codes)),
        first_seen=_time(row.first_seen),
        last_seen=_time(row.last_seen),
        checked=_time(row.checked),
        failure=row.failure,
        resolver=row.resolver,
        current=row.current,
        shortened=row.shortened,
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
