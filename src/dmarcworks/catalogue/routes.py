"""Routing rules and destinations: which address of a domain goes where, and to whom mail may be forwarded.

A rule belongs to a domain of an account (or to the report host itself, for its operator). At most 200 rules a domain
and 200 destinations an account. A rule that forwards works while its destination is verified, and any rule only while
its domain is the one that is responsible for the address (`zones`). Refused with `UsageError`: an address outside the
domain, an action that is none; with `DeniedError` an address that is not for this domain's rules; with `NotFoundError`
what is not there.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from dmarcworks.bindings.contracts import Database
from dmarcworks.bindings.groups import GroupedCalls
from dmarcworks.catalogue import audit, mail_tables, tables
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.names import normal_domain
from dmarcworks.catalogue.zones import Held, Zones
from dmarcworks.errors import BoundError, DeniedError, NotFoundError, UsageError

RULES = 200
CATCH_ALL = ""
WORKER, FORWARD, DROP, REJECT = "worker", "forward", "drop", "reject"
ACTIONS = (WORKER, FORWARD, DROP, REJECT)
# A change is in effect everywhere within this many seconds.
FRESH_SECONDS = 1.0
_CACHED = 10_000
_LOCAL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
_WORKER_NAME = re.compile(r"[A-Za-z0-9_-]{1,48}")


@dataclass(frozen=True, slots=True)
class Zone:
    """What rules belong to: a domain of an account, or the report host itself (`domain_id` is "" then)."""

    account_id: str
    domain_id: str
    name: str


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """A rule. `address` is a normal address or "" for the catch-all; `value` the worker's name, the destination or the
    reason for a refusal; `created` in unix seconds. `enabled` as asked for; see `Routes.effective`."""

    id: str
    account_id: str
    domain_id: str
    domain: str
    address: str
    name: str
    enabled: bool
    priority: int
    action: str
    value: str
    created: float
    modified: float

    @property
    def label(self) -> str:
        """What the activity log calls it."""
        return self.name or self.address or f"catch-all of {self.domain}"


def zone_of(domain: Domain) -> Zone:
    """The zone that a domain is."""
    return Zone(domain.account_id, domain.id, domain.name)


def plain_address(text: str) -> str:
    """A mail address in lower case with an A-label domain; `UsageError` for any other (and quoted forms)."""
    local, at, domain = text.strip().lower().rpartition("@")
    if not at or not _LOCAL.fullmatch(local) or len(text) > 320:
        raise UsageError(f"{text!r} is not a mail address; write it like name@example.com")
    return f"{local}@{normal_domain(domain)}"


class Routes:
    """Rules by zone, and the look-up that the front door asks."""

    def __init__(self, database: Database, zones: Zones, *, clock: Callable[[], float] = time.time) -> None:
        self.zones = zones
        self._database = database
        self._clock = clock
        self._cache: dict[str, tuple[float, tuple[RoutingRule, ...]]] = {}
        self._asking = GroupedCalls(self._look_up, "routing rules")

    async def effective(self, mail_domain: str) -> tuple[RoutingRule, ...]:
        """The rules that hold now for addresses of the domain; as they were at most a second ago."""
        now = self._clock()
        known = self._cache.get(mail_domain)
        if known is not None and now - known[0] < FRESH_SECONDS:
            return known[1]
        return await self._asking.ask(mail_domain)

    async def _look_up(self, domains: list[str]) -> list[tuple[RoutingRule, ...]]:
        """Many connections ask at the same moment, mostly about one domain: each is read once."""
        now = self._clock()
        found = {domain: await self._read(domain) for domain in dict.fromkeys(domains)}
        if len(self._cache) + len(found) > _CACHED:
            self._cache.clear()
        self._cache.update({domain: (now, held) for domain, held in found.items()})
        return [found[domain] for domain in domains]

    async def _read(self, mail_domain: str) -> tuple[RoutingRule, ...]:
        rules, zones, found = mail_tables.routing_rules, mail_tables.routing_zones, mail_tables.destinations
        verified = select(found.c.account_id, found.c.email).where(found.c.verified.is_not(None))
        off = select(zones.c.domain_id).where(zones.c.enabled.is_(False))
        view = await self.zones.view([mail_domain])
        zone = view.nearest(mail_domain)
        responsible = [] if zone is None else [zone.domain_id]
        if mail_domain in view.hosts:
            responsible.append("")
        if not responsible:
            return ()
        mine = (rules.c.domain == mail_domain) & rules.c.domain_id.in_(responsible)
        async with self._database.read() as connection:
            statement = select(rules).where(mine, rules.c.enabled.is_(True), rules.c.domain_id.not_in(off))
            rows = (await connection.execute(statement)).all()
            targets = {row.value for row in rows if row.action == FORWARD}
            proven = set()
            if targets:
                asked = verified.where(found.c.email.in_(targets))
                proven = {(row.account_id, row.email) for row in (await connection.execute(asked)).all()}
        # The last wall: whatever was written, and however, it is looked at once more before mail follows it.
        held = [row for row in rows if not view.objection(row.account_id, row.domain_id, mail_domain)]
        kept = [row for row in held if row.action != FORWARD or (row.account_id, row.value) in proven]
        return tuple(_rule(row) for row in kept)

    async def responsible(self, mail_domain: str) -> Held | None:
        """The domain, of whichever account, that is responsible for addresses at `mail_domain`."""
        return (await self.zones.view([mail_domain])).nearest(mail_domain)

    async def objections(self, rules: Sequence[RoutingRule]) -> dict[str, str]:
        """Why rules have no effect, by their ids; rules that have one are absent."""
        view = await self.zones.view({rule.domain for rule in rules})
        found = {rule.id: view.objection(rule.account_id, rule.domain_id, rule.domain) for rule in rules}
        return {rule_id: reason for rule_id, reason in found.items() if reason}

    async def rules(self, zone: Zone | None = None, account_id: str | None = None) -> list[RoutingRule]:
        """The zone's rules, the catch-all last, then by address and newest first; of all zones when None."""
        table = mail_tables.routing_rules
        statement = select(table)
        if zone is not None:
            statement = statement.where(_of(zone))
        if account_id is not None:
            statement = statement.where(table.c.account_id == account_id)
        order = (table.c.domain, table.c.address == CATCH_ALL, table.c.address, table.c.created.desc(), table.c.id)
        async with self._database.read() as connection:
            return [_rule(row) for row in (await connection.execute(statement.order_by(*order))).all()]

    async def rule(self, zone: Zone, rule_id: str) -> RoutingRule:
        """The zone's rule with that id; `NotFoundError` when there is none."""
        statement = select(mail_tables.routing_rules).where(_of(zone), mail_tables.routing_rules.c.id == rule_id)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
        if row is None:
            raise NotFoundError("there is no such rule")
        return _rule(row)

    async def add(
        self,
        zone: Zone,
        address: str,
        action: str,
        value: str = "",
        *,
        name: str = "",
        enabled: bool = True,
        priority: int = 0,
    ) -> RoutingRule:
        """A new rule on an address of the zone; `BoundError` for the 201st."""
        values = _checked(zone, address, action, value, name, priority)
        await self._may(zone, values)
        table, now = mail_tables.routing_rules, self._clock()
        row = {"id": uuid.uuid4().hex, "enabled": enabled, "created": now, "modified": now, **_whose(zone), **values}
        async with self._database.write() as connection:
            counted = select(func.count()).select_from(table).where(_of(zone), table.c.address != CATCH_ALL)
            if (await connection.execute(counted)).scalar_one() >= RULES:
                raise BoundError(f"a domain has at most {RULES} routing rules")
            await connection.execute(insert(table).values(row))
            await self._note(connection, "route.add", row)
        return self._changed(row)

    async def change(self, zone: Zone, rule_id: str, **changes: Any) -> RoutingRule:
        """Set address, action, value, name, enabled or priority of a rule; the whole rule is checked again."""
        old = await self.rule(zone, rule_id)
        asked = {**{name: getattr(old, name) for name in _CHECKED}, **changes}
        enabled = bool(asked.pop("enabled", old.enabled))
        values = {**_checked(zone, **asked), "enabled": enabled, "modified": self._clock()}
        # Turning a rule off must always be possible.
        if enabled or values["address"] != old.address:
            await self._may(zone, values)
        table = mail_tables.routing_rules
        async with self._database.write() as connection:
            await connection.execute(update(table).where(_of(zone), table.c.id == rule_id).values(values))
            await self._note(connection, "route.change", {**values, **_whose(zone)})
        self._cache.clear()
        return await self.rule(zone, rule_id)

    async def remove(self, zone: Zone, rule_id: str) -> RoutingRule:
        """Take a rule away; what it was."""
        old = await self.rule(zone, rule_id)
        async with self._database.write() as connection:
            await connection.execute(delete(mail_tables.routing_rules).where(mail_tables.routing_rules.c.id == rule_id))
            await self._note(connection, "route.remove", asdict(old))
        self._cache.clear()
        return old

    async def _may(self, zone: Zone, values: Mapping[str, Any]) -> None:
        """`DeniedError` when a rule of the zone could have no effect. Checked again whenever mail is routed."""
        view = await self.zones.view([values["domain"]])
        subject = values["address"] or f"the catch-all of {values['domain']}"
        if reason := view.objection(zone.account_id, zone.domain_id, values["domain"]):
            raise DeniedError(f"{zone.name} cannot have a rule for {subject}: {reason}")
        if values["address"] and await self.zones.report_address(values["address"]) is not None:
            raise DeniedError(
                f"{subject} is an address for reports: its mail goes to the DMARC worker, no rule applies"
            )

    async def catch_all(self, zone: Zone) -> RoutingRule | None:
        """The zone's rule for what no other rule matches."""
        table = mail_tables.routing_rules
        async with self._database.read() as connection:
            row = (await connection.execute(select(table).where(_of(zone), table.c.address == CATCH_ALL))).first()
        return None if row is None else _rule(row)

    async def set_catch_all(
        self, zone: Zone, action: str, value: str = "", *, name: str = "", enabled: bool = True
    ) -> RoutingRule:
        """Say what happens to addresses that no rule matches; there is one such rule a zone."""
        values = {**_checked(zone, CATCH_ALL, action, value, name, 0), "enabled": enabled}
        if enabled:
            await self._may(zone, values)
        table, now = mail_tables.routing_rules, self._clock()
        async with self._database.write() as connection:
            same = (_of(zone), table.c.address == CATCH_ALL)
            found = (await connection.execute(select(table).where(*same))).first()
            if found is None:
                row = {"id": uuid.uuid4().hex, "created": now, "modified": now, **_whose(zone), **values}
                await connection.execute(insert(table).values(row))
            else:
                row = {**found._mapping, **values, "modified": now}
                await connection.execute(update(table).where(table.c.id == found.id).values(**values, modified=now))
            await self._note(connection, "route.catch-all", row)
        return self._changed(row)

    async def enabled(self, zone: Zone) -> bool:
        """Whether routing is on for the zone."""
        table = mail_tables.routing_zones
        statement = select(table.c.enabled).where(table.c.domain_id == zone.domain_id)
        async with self._database.read() as connection:
            found = (await connection.execute(statement)).scalar_one_or_none()
        return found is None or bool(found)

    async def enable(self, zone: Zone, enabled: bool) -> None:
        """Turn routing on or off for the zone; its rules stay. Its rua address is not concerned."""
        table, now = mail_tables.routing_zones, self._clock()
        async with self._database.write() as connection:
            same = table.c.domain_id == zone.domain_id
            if (await connection.execute(select(table.c.domain_id).where(same))).first() is None:
                row = {"domain_id": zone.domain_id, "enabled": enabled, "created": now, "modified": now}
                await connection.execute(insert(table).values(row))
            else:
                await connection.execute(update(table).where(same).values(enabled=enabled, modified=now))
            action = "routing.enable" if enabled else "routing.disable"
            await audit.note(connection, now, action, zone.name, account_id=zone.account_id)
        self._cache.clear()

    def forget(self) -> None:
        """Read anew at the next look-up: something that rules depend on has changed."""
        self._cache.clear()

    async def _note(self, connection: AsyncConnection, action: str, row: Mapping[str, Any]) -> None:
        detail = {name: row[name] for name in ("action", "value", "enabled")}
        target = str(row["address"] or f"*@{row['domain']}")
        await audit.note(connection, self._clock(), action, target, account_id=str(row["account_id"]), detail=detail)

    def _changed(self, row: dict[str, Any]) -> RoutingRule:
        self._cache.clear()
        return RoutingRule(**row)


_CHECKED = ("address", "action", "value", "name", "priority")


def _checked(zone: Zone, address: str, action: str, value: str, name: str, priority: int) -> dict[str, Any]:
    """The columns that a caller decides, checked."""
    if address != CATCH_ALL:
        address = plain_address(address)
        domain = address.rpartition("@")[2]
        inside = domain == zone.name or (zone.domain_id and domain.endswith("." + zone.name))
        if not inside:
            raise UsageError(f"{address} is not an address of {zone.name}")
    else:
        domain = zone.name
    if action not in ACTIONS:
        raise UsageError(f"there is no action {action!r}; choose one of {', '.join(ACTIONS)}")
    value = " ".join(str(value).split())[:400]
    if action == WORKER and not _WORKER_NAME.fullmatch(value):
        raise UsageError("the action worker needs the worker's name")
    if action == FORWARD:
        value = plain_address(value)
    if not -1_000_000 <= priority <= 1_000_000:
        raise UsageError("a priority is a number between -1,000,000 and 1,000,000")
    return {
        "domain": domain,
        "address": address,
        "action": action,
        "value": "" if action == DROP else tables.storable(value),
        "name": tables.storable(" ".join(name.split()))[:255],
        "priority": priority,
    }


def _of(zone: Zone) -> Any:
    """The condition that a rule belongs to the zone."""
    table = mail_tables.routing_rules
    if zone.domain_id:
        return (table.c.domain_id == zone.domain_id) & (table.c.account_id == zone.account_id)
    return (table.c.domain_id == "") & (table.c.domain == zone.name)


def _whose(zone: Zone) -> dict[str, str]:
    return {"account_id": zone.account_id, "domain_id": zone.domain_id}


def _rule(row: Row[Any]) -> RoutingRule:
    return RoutingRule(**row._mapping)


def moment(seconds: float) -> datetime:
    """Unix seconds as a moment, UTC."""
    return datetime.fromtimestamp(seconds, UTC)
