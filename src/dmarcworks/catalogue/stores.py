"""The stores that every command needs: database, KV, queue and objects, opened in order and closed in reverse.

Kept apart from the server's composition root so that a command starts without the web and analytics libraries.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dmarcworks.bindings import open as bindings
from dmarcworks.bindings.contracts import KV, Database, DeadLetters, Leases, Objects, Queue
from dmarcworks.bindings.private import make_private, tighten
from dmarcworks.catalogue.accounts import Accounts
from dmarcworks.catalogue.domain_addresses import HOSTNAME
from dmarcworks.catalogue.system import System
from dmarcworks.errors import NotFoundError, SettingsError
from dmarcworks.process.settings_table import shown_url
from dmarcworks.settings import Settings

# Imported when a command first uses them: listing domains needs none of them, and each takes its time.
if TYPE_CHECKING:
    from dmarcworks.catalogue.arrivals import Arrivals
    from dmarcworks.catalogue.audit import Audit
    from dmarcworks.catalogue.dns_history import DnsHistory
    from dmarcworks.catalogue.domain_claims import DomainClaims
    from dmarcworks.catalogue.domain_setup import DomainSetups
    from dmarcworks.catalogue.mailboxes import Mailboxes
    from dmarcworks.catalogue.notices import Notices
    from dmarcworks.catalogue.problems import Problems
    from dmarcworks.catalogue.queries import QueryLog, SavedQueries
    from dmarcworks.catalogue.routing import RoutingCatalogue
    from dmarcworks.catalogue.senders import Senders

RUNNING = "running.json"
# What a data directory holds.
_OURS = ("dmarcworks.db", "objects", "analytics", RUNNING)


@dataclass(frozen=True)
class Stores:
    """The bindings that are open, and what the catalogue makes of them, each made when first used."""

    database: Database
    kv: KV
    queue: Queue
    objects: Objects
    accounts: Accounts
    dead_letters: DeadLetters
    leases: Leases
    system: System
    query_log_days: int
    secret_key_path: Path
    clock: Callable[[], float] = time.time
    # Whether an account that proves a domain receives it from another one.
    domain_claims: bool = True

    @cached_property
    def arrivals(self) -> Arrivals:
        """Mails and reports that came."""
        from dmarcworks.catalogue.arrivals import Arrivals

        return Arrivals(self.database)

    @cached_property
    def problems(self) -> Problems:
        """What could not be read or counted."""
        from dmarcworks.catalogue.problems import Problems

        return Problems(self.database, clock=self.clock)

    @cached_property
    def audit(self) -> Audit:
        """Who changed what."""
        from dmarcworks.catalogue.audit import Audit

        return Audit(self.database, clock=self.clock)

    @cached_property
    def queries(self) -> QueryLog:
        """The log of SQL statements."""
        from dmarcworks.catalogue.queries import QueryLog

        return QueryLog(self.database, self.query_log_days)

    @cached_property
    def saved(self) -> SavedQueries:
        """Queries that somebody saved."""
        from dmarcworks.catalogue.queries import SavedQueries

        return SavedQueries(self.database, clock=self.clock)

    @cached_property
    def routing(self) -> RoutingCatalogue:
        """Rules, destinations and the log of mail routing."""
        from dmarcworks.catalogue.routing import RoutingCatalogue

        return RoutingCatalogue.on(self.database, self.accounts.zones)

    @cached_property
    def mailboxes(self) -> Mailboxes:
        """Mailboxes that reports are fetched from."""
        from dmarcworks.catalogue.mailboxes import Mailboxes
        from dmarcworks.catalogue.secret_keys import SecretKeys

        return Mailboxes(self.database, SecretKeys(self.secret_key_path), clock=self.clock)

    @cached_property
    def senders(self) -> Senders:
        """What owners know about senders."""
        from dmarcworks.catalogue.senders import Senders

        return Senders(self.database, clock=self.clock)

    @cached_property
    def setups(self) -> DomainSetups:
        """What DNS showed of the domains' records."""
        from dmarcworks.catalogue.domain_setup import DomainSetups

        return DomainSetups(self.database, clock=self.clock)

    @cached_property
    def claims(self) -> DomainClaims:
        """Claims to domains that other accounts may have."""
        from dmarcworks.catalogue.domain_claims import DomainClaims

        return DomainClaims(self.database, self.accounts, enabled=self.domain_claims, clock=self.clock)

    @cached_property
    def notices(self) -> Notices:
        """What accounts must learn."""
        from dmarcworks.catalogue.notices import Notices

        return Notices(self.database)

    @cached_property
    def dns_history(self) -> DnsHistory:
        """What domains published in DNS and when."""
        from dmarcworks.catalogue.dns_history import DnsHistory

        return DnsHistory(self.database, clock=self.clock)

    async def close(self) -> None:
        """Write what a log has gathered; the bindings are closed by who opened them."""
        if "queries" in self.__dict__:
            await self.queries.close()


@asynccontextmanager
async def opened(
    settings: Settings,
    *,
    tolerated: Collection[str] = (),
    accept_loss: bool = False,
    create: bool = True,
    recorded_hostname: bool = False,
) -> AsyncIterator[Stores]:
    """Database, KV, queue and objects, migrated and ready; closed in reverse.

    `LostStoreError` when one of them has lost its content, unless the caller repairs that (`tolerated`) or the operator
    accepts the loss (`accept_loss`). Without `create` a data directory that does not exist is a `NotFoundError`. With
    `recorded_hostname` the name that the last server had takes precedence over the setting.
    """
    if create:
        try:
            make_private(settings.home)
        except OSError as error:
            raise SettingsError(f"DMARCWORKS_HOME={settings.home} cannot be made: {error.strerror}") from None
    elif missing := _missing(settings):
        raise NotFoundError(missing)
    # A command that has set up no log prints its result alone.
    open_to_others = tighten(settings.home, _OURS)
    if open_to_others and (structlog := sys.modules.get("structlog")) and structlog.is_configured():
        log = structlog.get_logger("dmarcworks.catalogue.stores")
        log.warning("data directory is open to others", reason=open_to_others)
    async with AsyncExitStack() as stack:
        database = bindings.open_database(settings.database)
        stack.push_async_callback(database.close)
        await database.migrate()
        objects = bindings.open_objects(settings.objects)
        stack.push_async_callback(objects.close)
        kv, queue = bindings.open_kv(database), bindings.open_queue(database)
        system = System(database, kv, objects, (shown_url(settings.database), shown_url(settings.objects)))
        await system.settle(tolerated, accept=accept_loss)
        hostname = (recorded_hostname and await kv.get(HOSTNAME)) or settings.hostname.lower().rstrip(".")
        accounts = Accounts(database, kv, hostname, operator_account=settings.operator_account)
        key_path = settings.secret_key_path(settings.home)
        stores = Stores(
            database,
            kv,
            queue,
            objects,
            accounts,
            queue,
            queue,
            system,
            settings.query_log_days,
            key_path,
            domain_claims=settings.domain_claims == "on",
        )
        stack.push_async_callback(stores.close)
        yield stores


def _missing(settings: Settings) -> str:
    """Which data directory was looked for in vain, and how to name it; "" when it is there."""
    data_directory = settings.home.resolve()
    stores = [(settings.database_url, "dmarcworks.db"), (settings.objects_url, "objects")]
    embedded = [data_directory / name for url, name in stores if not url]
    if not embedded or any(path.exists() for path in embedded):
        return ""
    what = (
        f"{data_directory} contains no data of dmarcworks"
        if data_directory.exists()
        else f"there is no data directory {data_directory}"
    )
    return f"{what}; name it with DMARCWORKS_HOME=/path (`dmarcworks serve` prints the path and creates a new one)"


def running_server(settings: Settings) -> dict[str, object] | None:
    """Where the running server of this data directory is, or None when none runs."""
    try:
        server: dict[str, object] = json.loads((settings.home / RUNNING).read_text())
        pid = int(str(server["pid"]))
        if pid == os.getpid():  # in a container a new process has the number of the one that was killed
            return None
        os.kill(pid, 0)
    except (OSError, ValueError, KeyError):
        return None
    return server
