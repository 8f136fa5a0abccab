"""The domains and their rua addresses, copied to Objects as `domains/<domain_id>.json` to rebuild the catalogue from.

A file per domain: account, name and rua address; `removed` once the domain is. The server writes it within a minute of
a change, since adding a domain is rare and accepting mail must not wait for it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from dmarcworks.bindings.contracts import Objects
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
        )
        for domain in await context.stores.accounts.domains()
    }
    for domain_id, old in known.items():
        if domain_id not in current:
            current[domain_id] = Noted(**{**_fields(old), "removed": True})  # type: ignore[arg-type]
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
                fields = json.loads(content)
                yield Noted(**{**fields, "earlier": tuple(fields.get("earlier", ()))})


def _fields(one: Noted) -> dict[str, object]:
    return {name: getattr(one, name) for name in Noted.__slots__}
