"""The background task that checks the set-up of domains, put together from the settings."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

from dmarcworks.catalogue.stores import Stores
from dmarcworks.enrich.resolver import Dns
from dmarcworks.process.supervisor import Hook
from dmarcworks.settings import Settings
from dmarcworks.upkeep.domain_setup import SetupChecker, check_setups_forever

__all__ = ["setup_checks"]

# Who checks again has changed something: an answer of a moment ago is too old.
_LONGEST_SECONDS = 0.5


def setup_checks(settings: Settings, stores: Stores, stack: AsyncExitStack) -> Hook | None:
    """What the task runs; None when the settings turn it off. Its resolver is closed with the stack."""
    if settings.setup_checks == "off":
        return None
    resolver = Dns(settings.dns_server, longest=_LONGEST_SECONDS)
    stack.callback(resolver.close)
    checker = SetupChecker(stores, resolver, settings.dns_server, subaddressing=settings.routing_subaddressing)
    return partial(check_setups_forever, stores, checker)
