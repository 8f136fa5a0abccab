"""The stores that every command needs: database, KV, queue and objects, opened in order and closed in reverse.

Kept apart from the server's composition root so that a command starts without the web and analytics libraries.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from dmarcworks.bindings import open as bindings
from dmarcworks.bindings.contracts import KV, Database, DeadLetters, Leases, Objects, Queue
from dmarcworks.catalogue.accounts import Accounts
from dmarcworks.catalogue.arrivals import Arrivals
from dmarcworks.catalogue.audit import Audit
from dmarcworks.catalogue.problems import Problems
from dmarcworks.catalogue.queries import QueryLog, SavedQueries
from dmarcworks.catalogue.routing import RoutingCatalogue
from dmarcworks.errors import SettingsError
from dmarcworks.settings import Settings

RUNNING = "running.json"


@dataclass(frozen=True, slots=True)
class Stores:
    """The bindings that are open, and what the catalogue makes of them."""

    database: Database
    kv: KV
    queue: Queue
    objects: Objects
    accounts: Accounts
    arrivals: Arrivals
    problems: Problems
    audit: Audit
    queries: QueryLog
    saved: SavedQueries
    mailroom: RoutingCatalogue
    letters: DeadLetters
    leases: Leases


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Stores]:
    """Database, KV, queue and objects, migrated and ready; closed in reverse."""
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"DMARCWORKS_HOME={settings.home} cannot be made: {error.strerror}") from None
    async with AsyncExitStack() as stack:
        database = bindings.open_database(settings.database)
        stack.push_async_callback(database.close)
        await database.migrate()
        objects = bindings.open_objects(settings.objects)
        stack.push_async_callback(objects.close)
        kv, queue = bindings.open_kv(database), bindings.open_queue(database)
        hostname = settings.hostname.lower().rstrip(".")
        accounts = Accounts(database, kv, hostname, operator_account=settings.operator_account)
        queries = QueryLog(database, settings.query_log_days)
        stack.push_async_callback(queries.close)
        catalogue = (Arrivals(database), Problems(database), Audit(database), queries, SavedQueries(database))
        routing = RoutingCatalogue.on(database, accounts.zones)
        yield Stores(database, kv, queue, objects, accounts, *catalogue, routing, queue, queue)


def running_server(settings: Settings) -> dict[str, object] | None:
    """Where the running server of this home is, or None when none runs."""
    try:
        found: dict[str, object] = json.loads((settings.home / RUNNING).read_text())
        os.kill(int(str(found["pid"])), 0)
    except (OSError, ValueError, KeyError):
        return None
    return found
