"""The user's own workers put together from the settings, with the consumers of those that have a queue."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dmarcworks.bindings.contracts import SYSTEM_QUEUE
from dmarcworks.catalogue.stores import Stores
from dmarcworks.settings import Settings
from dmarcworks.workers import load
from dmarcworks.workers.consumer import Consumer
from dmarcworks.workers.environment import environment
from dmarcworks.workers.isolated import IsolatedWorker
from dmarcworks.workers.points import DataPoints

__all__ = ["user_workers", "worker_names"]

# Beyond a handler's own time: what a batch may take to be settled before it counts as lost.
_LEASE_MARGIN = 30.0


def user_workers(settings: Settings, stores: Stores, points: DataPoints) -> tuple[list[IsolatedWorker], list[Consumer]]:
    """The user's own workers, imported now, and what feeds those with a queue; `SettingsError` names a bad one."""
    named = load.parse_workers(settings.workers, SYSTEM_QUEUE)
    bindings = load.parse_bindings(settings.worker_bindings, named)
    feeding = load.parse_queues(settings.worker_queues, named)
    modules = {name: load.load(name, where) for name, where in named.items()}
    with_queue = {name for name, module in modules.items() if hasattr(module, "queue")}
    load.check_queues(with_queue, bindings, feeding)

    def made(name: str) -> Any:
        consumes = name in with_queue
        return lambda loop, owner: environment(
            name, bindings[name], stores.kv, stores.objects, points, stores.queue, consumes, loop, owner
        )

    seconds = settings.worker_seconds
    workers = [IsolatedWorker(name, module, made(name), seconds=seconds) for name, module in modules.items()]
    policies = {name: replace(policy, lease=seconds + _LEASE_MARGIN) for name, policy in feeding.items()}
    consumers = [Consumer(one, stores.queue, policies[one.name]) for one in workers if one.consumes]
    return workers, consumers


def worker_names(settings: Settings) -> list[str]:
    """Every worker that a rule may give mail to."""
    return [SYSTEM_QUEUE, *load.parse_workers(settings.workers, SYSTEM_QUEUE)]
