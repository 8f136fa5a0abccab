"""Where a record is published: the records at a name now, the alias that hides it, and the zone that holds it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from dmarcworks.enrich.resolver import NoAnswerError
from dmarcworks.policy.dns_records.lookup import RecordLookup

__all__ = ["RecordPlace", "record_place"]

# Labels above a name in which its zone is looked for.
_ABOVE = 6


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """A name and what is there. `alias`: what a CNAME leads to, "" for none. `zone`: the zone that holds the name, ""
    when DNS did not state it; `servers` are that zone's name servers. `answered` is False when DNS gave no answer."""

    name: str
    type: str
    domain: str
    records: tuple[str, ...] = ()
    alias: str = ""
    zone: str = ""
    servers: tuple[str, ...] = ()
    answered: bool = True

    @property
    def obstacle(self) -> str:
        """What to know before the record is changed, in words; empty when the name is an ordinary one."""
        if not self.answered:
            return f"DNS did not answer about {self.name}: what is published there now is not known. Try again."
        if self.alias:
            return (
                f"{self.name} is an alias (CNAME) of {self.alias}: no other record can be published at the same name."
                f" Change the record at {self.alias}, or remove the CNAME and publish the record at {self.name}."
            )
        if self.zone and len(self.zone) > len(self.domain):
            served = f", served by {', '.join(self.servers[:4])}" if self.servers else ""
            return f"{self.name} is in {self.zone}, a zone of its own{served}: change the record there."
        return ""


async def record_place(lookup: RecordLookup, domain: str, name: str, kind: str = "TXT") -> RecordPlace:
    """Look up a name of a domain; never raises when DNS does not answer."""
    try:
        alias, records = await asyncio.gather(lookup.alias(name), _records(lookup, name, kind))
        zone = "" if alias else await _zone(lookup, name)
        servers = await lookup.records(zone, "NS") if zone and len(zone) > len(domain) else []
    except NoAnswerError:
        return RecordPlace(name, kind, domain, answered=False)
    hosts = tuple(sorted(str(server).rstrip(".").lower() for server in servers))
    return RecordPlace(name, kind, domain, records, alias, zone, hosts)


async def _records(lookup: RecordLookup, name: str, kind: str) -> tuple[str, ...]:
    if kind == "MX":
        return tuple(f"{preference} {host or '.'}" for preference, host in await lookup.mail_hosts(name))
    return tuple(await lookup.texts(name))


async def _zone(lookup: RecordLookup, name: str) -> str:
    """The nearest name upwards that has a SOA record."""
    labels = name.split(".")
    for index in range(min(_ABOVE, len(labels) - 1)):
        above = ".".join(labels[index:])
        if above.startswith("*"):
            continue
        if await lookup.records(above, "SOA"):
            return above
    return ""
