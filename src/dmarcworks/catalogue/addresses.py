"""The rua addresses of domains: the current one at the report host, and earlier ones at names that it had before.

When the host's name changes, each domain gets the same local part at the new name. The address of before still
accepts mail, because reporters use it until the domain's record is changed and has expired from their caches.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Select, delete, func, insert, select, update

from dmarcworks.catalogue import tables

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["HostChange", "earlier", "elsewhere", "host_of", "hosts", "move", "of_domain", "owner"]

_DOMAINS, _EARLIER = tables.domains, tables.rua_addresses


@dataclass(frozen=True, slots=True)
class HostChange:
    """The report host's name changed: how many domains got a new address, and at which names they had theirs."""

    hostname: str
    before: tuple[str, ...]
    domains: int


def host_of(address: str) -> str:
    """The part of an address behind its @."""
    return address.rpartition("@")[2].rstrip(".")


async def hosts(connection: AsyncConnection) -> frozenset[str]:
    """Every name of the report host at which some domain has an address."""
    names: set[str] = set()
    for column in (_DOMAINS.c.rua, _EARLIER.c.address):
        # The local part always has 32 characters; to look for the @ instead would take ten times as long.
        rests = (await connection.execute(select(func.substr(column, 33)).distinct())).scalars()
        names |= {host_of(rest) for rest in rests}
    return frozenset(names - {""})


async def earlier(connection: AsyncConnection, domain_ids: Collection[str] | None) -> dict[str, tuple[str, ...]]:
    """The earlier addresses by domain, oldest first; of all domains when None."""
    statement = select(_EARLIER.c.domain_id, _EARLIER.c.address).order_by(_EARLIER.c.replaced, _EARLIER.c.address)
    if domain_ids is not None:
        statement = statement.where(_EARLIER.c.domain_id.in_(domain_ids))
    addresses: dict[str, tuple[str, ...]] = {}
    for row in (await connection.execute(statement)).all():
        addresses[row.domain_id] = (*addresses.get(row.domain_id, ()), row.address)
    return addresses


async def of_domain(connection: AsyncConnection, domain_id: str) -> set[str]:
    """Every address of the domain, current and earlier."""
    current = select(_DOMAINS.c.rua).where(_DOMAINS.c.id == domain_id)
    before = select(_EARLIER.c.address).where(_EARLIER.c.domain_id == domain_id)
    return {*(await connection.execute(current)).scalars(), *(await connection.execute(before)).scalars()}


async def owner(connection: AsyncConnection, address: str) -> str | None:
    """The id of the domain that has this address, current or earlier."""
    current = select(_DOMAINS.c.id).where(_DOMAINS.c.rua == address)
    before = select(_EARLIER.c.domain_id).where(_EARLIER.c.address == address)
    current_owner = (await connection.execute(current)).scalar_one_or_none()
    return current_owner or (await connection.execute(before)).scalar_one_or_none()


async def elsewhere(connection: AsyncConnection, hostname: str) -> bool:
    """Whether the current address of some domain is not at `hostname`."""
    return (await connection.execute(_elsewhere(hostname).limit(1))).first() is not None


async def move(connection: AsyncConnection, hostname: str, now: float) -> HostChange | None:
    """Give every domain its address at `hostname`; None when all have one there already."""
    rows = (await connection.execute(_elsewhere(hostname))).all()
    if not rows:
        return None
    for row in rows:
        address = f"{row.rua.rpartition('@')[0]}@{hostname}"
        # The name may be one that the host had before.
        await connection.execute(delete(_EARLIER).where(_EARLIER.c.address == address))
        await connection.execute(insert(_EARLIER).values(address=row.rua, domain_id=row.id, replaced=now))
        await connection.execute(update(_DOMAINS).where(_DOMAINS.c.id == row.id).values(rua=address))
    before = sorted({host_of(row.rua) for row in rows})
    return HostChange(hostname, tuple(before), len(rows))


def _elsewhere(hostname: str) -> Select[tuple[str, str]]:
    return select(_DOMAINS.c.id, _DOMAINS.c.rua).where(func.substr(_DOMAINS.c.rua, 33) != f"@{hostname}")
