"""What becomes of routing rules when a domain comes or goes: each step is part of the caller's transaction.

A new domain is the nearest one for the addresses at and below it: rules that its account has there already go over to
it, so that no mail stops. Removing a domain removes its rules as well: the next owner of the name has none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, delete, select, update

from dmarcworks.catalogue import audit, mail_tables, tables
from dmarcworks.catalogue.names import chain

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["adopt", "at_or_below", "remove"]

_RULES, _DOMAINS = mail_tables.routing_rules, tables.domains


async def at_or_below(connection: AsyncConnection, name: str, domain_ids: Sequence[str]) -> bool:
    """Whether one of these domains has a rule, enabled or not, on an address at the name or below it."""
    statement = select(_RULES.c.id).where(_RULES.c.domain_id.in_(domain_ids), _at_or_below(name)).limit(1)
    return bool(domain_ids) and (await connection.execute(statement)).first() is not None


async def adopt(connection: AsyncConnection, at: float, domain_id: str, name: str, account_id: str) -> None:
    """Move the account's own rules on addresses at and below a new domain to it, from its parent domains."""
    parents = select(_DOMAINS.c.id).where(_DOMAINS.c.name.in_(list(chain(name))), _DOMAINS.c.account_id == account_id)
    moved = (_RULES.c.account_id == account_id, _RULES.c.domain_id.in_(parents), _at_or_below(name))
    rows = (await connection.execute(select(_RULES.c.id, _RULES.c.address).where(*moved))).all()
    for row in rows:
        await connection.execute(update(_RULES).where(_RULES.c.id == row.id).values(domain_id=domain_id, modified=at))
        await audit.note(connection, at, "route.move", row.address, account_id=account_id, detail={"domain": name})


async def remove(connection: AsyncConnection, at: float, domain_id: str) -> None:
    """Remove the rules of a domain, each with its line in the audit log, and its switch."""
    mine = _RULES.c.domain_id == domain_id
    for row in (await connection.execute(select(_RULES).where(mine))).all():
        detail = {"action": row.action, "value": row.value, "enabled": row.enabled, "because": "the domain was removed"}
        target = row.address or f"*@{row.domain}"
        await audit.note(connection, at, "route.remove", target, account_id=row.account_id, detail=detail)
    await connection.execute(delete(_RULES).where(mine))
    zones = mail_tables.routing_zones
    await connection.execute(delete(zones).where(zones.c.domain_id == domain_id))


def _at_or_below(name: str) -> ColumnElement[Any]:
    """Rules on single addresses at the name or below; a catch-all covers its own domain only."""
    below = _RULES.c.domain.endswith("." + name, autoescape=True)
    return (_RULES.c.address != "") & ((_RULES.c.domain == name) | below)
