"""What owners know about senders: decisions per account and domain, and the names of an account's own systems.

A decision records what the owner knows. It changes no DNS and authorises no address. Every change is noted in the audit
log, in its own transaction.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.engine import Row

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import audit, tables
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.sender_tables import own_senders, sender_decisions
from dmarcworks.enrich.senders.classify import OwnerDecision
from dmarcworks.enrich.senders.names import name_of, selector_of
from dmarcworks.errors import ConflictError, NotFoundError, UsageError

__all__ = [
    "EVIDENCE",
    "NAME_CHARACTERS",
    "NOTE_CHARACTERS",
    "OWN_NAMES",
    "OwnName",
    "OwnerDecision",
    "SenderDecision",
    "Senders",
]

NAME_CHARACTERS, NOTE_CHARACTERS = 100, 2000
# Own names of one account: each is a condition of every question about its senders.
OWN_NAMES = 200
EVIDENCE = ("block", "dkim", "envelope", "ptr")
# Domains of one query.
_AT_ONCE = 500
# The largest block: /8 of IPv4, /16 of IPv6. No system of an account is larger.
_LARGEST = {4: 8, 6: 16}


@dataclass(frozen=True, slots=True)
class SenderDecision:
    """What the owner decided about a sender of a domain. `name` and `note` are "" for none."""

    sender: str
    decision: OwnerDecision
    name: str
    note: str
    decided: datetime
    decided_by: str


@dataclass(frozen=True, slots=True)
class OwnName:
    """A system of the account: messages with this evidence have this name. `selector` is for dkim only, "" for any."""

    id: int
    name: str
    evidence: str
    value: str
    selector: str
    created: datetime
    created_by: str


class Senders:
    """Decisions and own names."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def decisions(self, account_id: str, domain_id: str) -> dict[str, SenderDecision]:
        """The decisions on senders of a domain, by the sender's id."""
        table = sender_decisions
        statement = select(table).where(table.c.account_id == account_id, table.c.domain_id == domain_id)
        async with self._database.read() as connection:
            return {row.sender: _decision(row) for row in (await connection.execute(statement)).all()}

    async def decisions_of(
        self, domains: Collection[tuple[str, str]]
    ) -> dict[tuple[str, str], dict[str, SenderDecision]]:
        """The decisions on senders of these domains, by (account, domain) and by the sender's id."""
        table, decisions = sender_decisions, dict[tuple[str, str], dict[str, SenderDecision]]()
        wanted = sorted(domains)
        async with self._database.read() as connection:
            for first in range(0, len(wanted), _AT_ONCE):
                accounts, ids = map(set, zip(*wanted[first : first + _AT_ONCE], strict=True))
                statement = select(table).where(table.c.account_id.in_(accounts), table.c.domain_id.in_(ids))
                for row in (await connection.execute(statement)).all():
                    decisions.setdefault((row.account_id, row.domain_id), {})[row.sender] = _decision(row)
        return decisions

    async def marks(self) -> tuple[dict[str, str], dict[tuple[str, str], str]]:
        """A text per account with own names, and one per (account, domain) with decisions, which changes with them."""
        own, decisions = own_senders.c, sender_decisions.c
        names = select(own.account_id, func.count(), func.max(own.id), func.max(own.created)).group_by(own.account_id)
        decided = select(decisions.account_id, decisions.domain_id, func.count(), func.max(decisions.decided)).group_by(
            decisions.account_id, decisions.domain_id
        )
        async with self._database.read() as connection:
            of_accounts = {row[0]: _mark(row[1:]) for row in (await connection.execute(names)).all()}
            of_domains = {(row[0], row[1]): _mark(row[2:]) for row in (await connection.execute(decided)).all()}
        return of_accounts, of_domains

    async def decide(
        self, domain: Domain, sender: str, decision: OwnerDecision, *, name: str = "", note: str = ""
    ) -> SenderDecision:
        """Record what the owner knows about a sender, in place of an earlier decision on it."""
        name, note = _line(name, NAME_CHARACTERS, "a name"), tables.storable(note.strip())
        if len(note) > NOTE_CHARACTERS:
            raise UsageError(f"a note has at most {NOTE_CHARACTERS:,} characters, not {len(note):,}")
        now, table = self._clock(), sender_decisions
        values: dict[str, Any] = {
            "sender": sender,
            "decision": str(decision),
            "name": name,
            "note": note,
            "decided": now,
            "decided_by": tables.storable(audit.actor().name)[:320],
        }
        async with self._database.write() as connection:
            # Both ids are of the caller's own domain: no decision can be about a domain of another account.
            own = (table.c.account_id == domain.account_id) & (table.c.domain_id == domain.id)
            await connection.execute(delete(table).where(own, table.c.sender == sender))
            await connection.execute(insert(table).values(account_id=domain.account_id, domain_id=domain.id, **values))
            detail = {"sender": sender, "decision": str(decision), "name": name, "note": note[:200]}
            account_id = domain.account_id
            await audit.note(connection, now, "sender.decide", domain.name, account_id=account_id, detail=detail)
        return SenderDecision(**{**values, "decision": decision, "decided": datetime.fromtimestamp(now, UTC)})

    async def withdraw(self, domain: Domain, sender: str) -> None:
        """Remove the decision on a sender; `NotFoundError` when there is none."""
        table = sender_decisions
        async with self._database.write() as connection:
            gone = await connection.execute(
                delete(table).where(
                    table.c.account_id == domain.account_id, table.c.domain_id == domain.id, table.c.sender == sender
                )
            )
            if not gone.rowcount:
                raise NotFoundError("there is no decision on this sender")
            account_id, detail = domain.account_id, {"sender": sender}
            await audit.note(
                connection, self._clock(), "sender.withdraw", domain.name, account_id=account_id, detail=detail
            )

    async def own_names(self, account_id: str) -> list[OwnName]:
        """The account's own names, by name."""
        table = own_senders
        statement = select(table).where(table.c.account_id == account_id).order_by(table.c.name, table.c.id)
        async with self._database.read() as connection:
            return [_own_name(row) for row in (await connection.execute(statement)).all()]

    async def own_names_of(self, accounts: Collection[str] | None = None) -> dict[str, list[OwnName]]:
        """The own names of these accounts, or of all, by account."""
        table = own_senders
        statement = select(table).order_by(table.c.name, table.c.id)
        if accounts is not None:
            statement = statement.where(table.c.account_id.in_(accounts))
        names: dict[str, list[OwnName]] = {}
        async with self._database.read() as connection:
            for row in (await connection.execute(statement)).all():
                names.setdefault(row.account_id, []).append(_own_name(row))
        return names

    async def add_own_name(self, account_id: str, name: str, evidence: str, value: str, selector: str = "") -> OwnName:
        """Give a name to messages with this evidence; `ConflictError` when the evidence has a name already."""
        name = _line(name, NAME_CHARACTERS, "a name")
        if not name:
            raise UsageError("an own sender needs a name, such as Billing")
        value, selector = _evidence(evidence, value, selector)
        now, table = self._clock(), own_senders
        values: dict[str, Any] = {"name": name, "evidence": evidence, "value": value, "selector": selector}
        by = tables.storable(audit.actor().name)[:320]
        async with self._database.write() as connection:
            rows = (await connection.execute(select(table).where(table.c.account_id == account_id))).all()
            for row in rows:
                if (row.evidence, row.value, row.selector) == (evidence, value, selector):
                    raise ConflictError(f"this evidence has the name {row.name} already; remove that first")
            if len(rows) >= OWN_NAMES:
                raise ConflictError(f"an account has at most {OWN_NAMES} own names; remove one first")
            made = await connection.execute(
                insert(table).values(account_id=account_id, created=now, created_by=by, **values).returning(table.c.id)
            )
            own_id = int(made.scalar_one())
            await audit.note(connection, now, "sender.name", name, account_id=account_id, detail=values)
        return OwnName(own_id, **values, created=datetime.fromtimestamp(now, UTC), created_by=by)

    async def remove_own_name(self, account_id: str, own_id: int) -> None:
        """Remove one of the account's own names; `NotFoundError` when it has no such name."""
        table = own_senders
        mine = (table.c.account_id == account_id) & (table.c.id == own_id)
        async with self._database.write() as connection:
            row = (await connection.execute(select(table).where(mine))).first()
            if row is None:
                raise NotFoundError("there is no such own name")
            await connection.execute(delete(table).where(mine))
            detail = {"evidence": row.evidence, "value": row.value, "selector": row.selector}
            await audit.note(connection, self._clock(), "sender.unname", row.name, account_id=account_id, detail=detail)


def _mark(values: Sequence[object]) -> str:
    return " ".join(map(str, values))


def _line(text: str, most: int, what: str) -> str:
    text = tables.storable(text.strip())
    if len(text) > most or not text.isprintable():
        raise UsageError(f"{what} is one line of at most {most} printable characters")
    return text


def _evidence(evidence: str, value: str, selector: str) -> tuple[str, str]:
    """The value and selector in the one form in which they are compared."""
    if evidence not in EVIDENCE:
        raise UsageError(f"there is no evidence {evidence!r}; use one of {', '.join(EVIDENCE)}")
    if selector and evidence != "dkim":
        raise UsageError("a selector belongs to the evidence dkim only")
    if evidence == "block":
        return _block(value.strip()), ""
    domain = name_of(value.strip())
    if domain is None:
        raise UsageError(f"{value[:100]!r} is not a domain name; write it like mail.example.com")
    # One `*` stands for one character or more.
    chosen = selector.strip().lower()
    if chosen and (chosen.count("*") > 1 or selector_of(chosen.replace("*", "0")) is None):
        raise UsageError(f"{selector[:100]!r} is not a DKIM selector; write it like s1 or inv*")
    return domain, chosen


def _block(text: str) -> str:
    try:
        block = ipaddress.ip_network(text)
    except ValueError:
        raise UsageError(f"{text[:100]!r} is not a block of addresses; write it like 203.0.113.0/28") from None
    if block.prefixlen < _LARGEST[block.version]:
        raise UsageError(f"{text} is too large a block; the largest is /{_LARGEST[block.version]}")
    return str(block)


def _decision(row: Row[Any]) -> SenderDecision:
    decided = datetime.fromtimestamp(row.decided, UTC)
    return SenderDecision(row.sender, OwnerDecision(row.decision), row.name, row.note, decided, row.decided_by)


def _own_name(row: Row[Any]) -> OwnName:
    created = datetime.fromtimestamp(row.created, UTC)
    return OwnName(row.id, row.name, row.evidence, row.value, row.selector, created, row.created_by)
