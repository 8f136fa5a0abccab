"""The domains and their rua addresses, copied to Objects as `domains/<domain_id>.json` to rebuild the catalogue from.

A file per domain: account, name and rua address; `enabled` is false while its mail is rejected, `removed` is true
once the domain is removed. The server writes it within a minute of a change, since adding a domain is rare and
accepting mail must not wait for it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from dmarcworks.bindings.contracts import Objects
from dmarcworks.catalogue.addresses import host_of
from dmarcworks.upkeep.context import UpkeepContext

__all__ = ["Noted", "note_domains", "noted"]

_PREFIX = "domains/"
_LISTED = 1000


@dataclass(frozen=True, slots=True)
class Noted:
    """A domain as Objects know it; `created` in unix seconds."""

    domain_id: str
    name: str
    rua: str
    account_id: str
    account: str
    created: float
    removed: bool = False
    # Addresses at names that the report host had before.
    earlier: tuple[str, ...] = ()
    # Names of the report host at which it had addresses that were removed since.
    hosts: tuple[str, ...] = ()
    # Whether mail for its addresses is accepted.
    enabled: bool = True

    def addresses(self) -> tuple[str, ...]:
        """The current address and the earlier ones."""
        return (self.rua, *self.earlier)


async def note_domains(context: UpkeepContext, known: dict[str, Noted]) -> int:
    """Write the domains that are not noted yet; `known` holds those that are, filled at the first call.

    Returns how many were written.
    """
    if not known:
        async for one in noted(context.stores.objects):
            known[one.domain_id] = one
    accounts = {account.id: account.name for account in await context.stores.accounts.accounts()}
    current = {
        domain.id: Noted(
            domain.id,
            domain.name,
            domain.rua,
            domain.account_id,
            accounts.get(domain.account_id, domain.account_id),
            domain.created.timestamp(),
            earlier=domain.earlier,
            enabled=domain.enabled,
        )
        for domain in await context.stores.accounts.domains()
    }
    for domain_id, old in known.items():
        if domain_id in current:
            current[domain_id] = replace(current[domain_id], hosts=_hosts_of_before(old, current[domain_id]))
        else:
            current[domain_id] = replace(old, removed=True)
    new = [one for domain_id, one in current.items() if known.get(domain_id) != one]
    for one in new:
        await context.stores.objects.put(f"{_PREFIX}{one.domain_id}.json", json.dumps(_fields(one)).encode())
        known[one.domain_id] = one
    return len(new)


async def noted(objects: Objects) -> AsyncIterator[Noted]:
    """Every domain that Objects know."""
    after = ""
    while listed := await objects.list(prefix=_PREFIX, limit=_LISTED, start_after=after):
        after = listed[-1].key
        for info in listed:
            content = await objects.get(info.key)
            if content is not None:
                yield _read(json.loads(content))


def _hosts_of_before(old: Noted, new: Noted) -> tuple[str, ...]:
    """The names of the report host at which a domain had addresses and has none now."""
    before = {*old.hosts, *map(host_of, old.addresses())}
    return tuple(sorted(before - {*map(host_of, new.addresses())}))


def _read(fields: dict[str, Any]) -> Noted:
    # A field that a newer version wrote is left out.
    values = {name: fields[name] for name in Noted.__slots__ if name in fields}
    lists = {name: tuple(values.get(name, ())) for name in ("earlier", "hosts")}
    return Noted(**{**values, **lists})


def _fields(one: Noted) -> dict[str, object]:
    fields = {name: getattr(one, name) for name in Noted.__slots__}
    # Older versions do not know these fields: they are written when their value is not the default.
    defaults = {"hosts": (), "enabled": True}
    return {name: value for name, value in fields.items() if name not in defaults or value != defaults[name]}
