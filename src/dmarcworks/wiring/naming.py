"""The background task that looks up the names of addresses, put together from the settings."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

from dmarcworks.catalogue.source_addresses import SourceAddresses
from dmarcworks.enrich.network.addresses import AddressNames
from dmarcworks.enrich.resolver import Dns
from dmarcworks.process.supervisor import Hook
from dmarcworks.settings import Settings
from dmarcworks.upkeep.context import UpkeepContext
from dmarcworks.upkeep.names import name_forever

__all__ = ["naming"]


def naming(settings: Settings, upkeep: UpkeepContext, addresses: SourceAddresses, stack: AsyncExitStack) -> Hook | None:
    """What the task runs; None when the settings turn it off. Its resolver is closed with the stack."""
    if settings.address_names == "off":
        return None
    resolver = Dns(settings.dns_server)
    stack.callback(resolver.close)
    return partial(name_forever, upkeep, addresses, AddressNames(resolver, upkeep.stores.kv))
