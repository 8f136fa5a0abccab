"""Routing rules in the database, for the services that manage them: SQL of every change, and its line in the audit log.

At most 200 rules a domain. Refused with `DeniedError`: an address that is not for this domain's rules; with
`NotFoundError` what is not there; with `BoundError` the 201st rule.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update

from dmarcworks.catalogue import audit, mail_tables
from dmarcworks.catalogue.route_lookup import RouteLookup, rule_of
from dmarcworks.catalogue.routes import CATCH_ALL, RoutingRule, Zone, checked_columns
from dmarcworks.errors import BoundError, DeniedError, NotFoundError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

RULES = 200
_CHECKED = ("address", "action", "value", "name", "priority")


@dataclass(frozen=True, slots=True)
class RoutingSwitch:
    """Whether a zone's rules are in effect, and when that was first and last set (None when never)."""

    enabled: bool
    created: datetime | None = None
    modified: datetime | None = None


class Routes(RouteLookup):
    """Rules by zone: list, add, change and remove them; includes the look-up because each change invalidates its
    cache."""

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
            return [rule_of(row) for row in (await connection.execute(statement.order_by(*order))).all()]

    async def rule(self, zone: Zone, rule_id: str) -> RoutingRule:
        """The zone's rule with that id; `NotFoundError` when there is none."""
        statement = select(mail_tables.routing_rules).where(_of(zone), mail_tables.routing_rules.c.id == rule_id)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
        if row is None:
            raise NotFoundError("there is no such rule")
        return rule_of(row)

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
        values = checked_columns(zone, address, action, value, name, priority)
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
        wanted = {**{name: getattr(old, name) for name in _CHECKED}, **changes}
        enabled = bool(wanted.pop("enabled", old.enabled))
        values = {**checked_columns(zone, **wanted), "enabled": enabled, "modified": self._clock()}
        # Turning a rule off must always be possible.
        if enabled or values["address"] != old.address:
            await self._may(zone, values)
        table = mail_tables.routing_rules
        async with self._database.write() as connection:
            await connection.execute(update(table).where(_of(zone), table.c.id == rule_id).values(values))
            await self._note(connection, "route.change", {**values, **_whose(zone)})
        self.forget()
        return await self.rule(zone, rule_id)

    async def remove(self, zone: Zone, rule_id: str) -> RoutingRule:
        """Remove a rule and return what it was."""
        old = await self.rule(zone, rule_id)
        async with self._database.write() as connection:
            await connection.execute(delete(mail_tables.routing_rules).where(mail_tables.routing_rules.c.id == rule_id))
            await self._note(connection, "route.remove", asdict(old))
        self.forget()
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
        return None if row is None else rule_of(row)

    async def set_catch_all(
        self, zone: Zone, action: str, value: str = "", *, name: str = "", enabled: bool = True
    ) -> RoutingRule:
        """Set what happens to addresses that no rule matches; each zone has one such rule."""
        values = {**checked_columns(zone, CATCH_ALL, action, value, name, 0), "enabled": enabled}
        if enabled:
            await self._may(zone, values)
        table, now = mail_tables.routing_rules, self._clock()
        async with self._database.write() as connection:
            same = (_of(zone), table.c.address == CATCH_ALL)
            existing = (await connection.execute(select(table).where(*same))).first()
            if existing is None:
                row = {"id": uuid.uuid4().hex, "created": now, "modified": now, **_whose(zone), **values}
                await connection.execute(insert(table).values(row))
            else:
                row = {**existing._mapping, **values, "modified": now}
                await connection.execute(update(table).where(table.c.id == existing.id).values(**values, modified=now))
            await self._note(connection, "route.catch-all", row)
        return self._changed(row)

    async def switch(self, zone: Zone) -> RoutingSwitch:
        """Whether routing is on for the zone, and when that was set; on when it was never set."""
        table = mail_tables.routing_zones
        statement = select(table).where(table.c.domain_id == zone.domain_id)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
        if row is None:
            return RoutingSwitch(True)
        created, modified = (datetime.fromtimestamp(moment, UTC) for moment in (row.created, row.modified))
        return RoutingSwitch(bool(row.enabled), created, modified)

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
        self.forget()

    async def _note(self, connection: AsyncConnection, action: str, row: Mapping[str, Any]) -> None:
        detail = {name: row[name] for name in ("action", "value", "enabled")}
        target = str(row["address"] or f"*@{row['domain']}")
        await audit.note(connection, self._clock(), action, target, account_id=str(row["account_id"]), detail=detail)

    def _changed(self, row: dict[str, Any]) -> RoutingRule:
        self.forget()
        return RoutingRule(**row)


def _of(zone: Zone) -> Any:
    """The condition that a rule belongs to the zone."""
    table = mail_tables.routing_rules
    if zone.domain_id:
        return (table.c.domain_id == zone.domain_id) & (table.c.account_id == zone.account_id)
    return (table.c.domain_id == "") & (table.c.domain == zone.name)


def _whose(zone: Zone) -> dict[str, str]:
    return {"account_id": zone.account_id, "domain_id": zone.domain_id}
