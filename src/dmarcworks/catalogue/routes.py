"""Routing rules as values: which address of a domain goes where, and what a rule may hold.

A rule belongs to a domain of an account (or to the report host itself, for its operator). Refused with `UsageError`: an
address outside the domain, an action that is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from dmarcworks.catalogue import tables
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.names import normal_domain
from dmarcworks.errors import UsageError

CATCH_ALL = ""
WORKER, FORWARD, DROP, REJECT = "worker", "forward", "drop", "reject"
ACTIONS = (WORKER, FORWARD, DROP, REJECT)
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
    reason for a refusal; `created` in unix seconds. `enabled` as requested; see `RouteLookup.effective`."""

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


def checked_columns(zone: Zone, address: str, action: str, value: str, name: str, priority: int) -> dict[str, Any]:
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
