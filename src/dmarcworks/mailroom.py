"""Email routing put together: rules, workers, the activity log and the way out → one router for every front door.

`routing` opens it for a process that takes mail and closes it in reverse: what is in the log is written at the end.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from dmarcworks.bindings.contracts import KV
from dmarcworks.metrics import Metrics
from dmarcworks.routing.router import Gate, Hand, Router
from dmarcworks.routing.rules import DMARC_WORKER
from dmarcworks.settings import Settings
from dmarcworks.stores import Stores
from dmarcworks.workers import dmarc
from dmarcworks.workers.hands import Own
from dmarcworks.workers.runtime import Env

_GATE_SECONDS = 1.0
_GATES = 10_000


@asynccontextmanager
async def routing(settings: Settings, stores: Stores, env: Env, metrics: Metrics) -> AsyncIterator[Router]:
    """The router, with the activity log being written while it is open."""
    hands: dict[str, Hand] = {DMARC_WORKER: Own(dmarc, env, seconds=settings.worker_seconds)}
    activity = stores.mailroom.activity
    activity.start(days=settings.activity_days)
    try:
        yield Router(
            hostname=settings.hostname,
            subaddressing=settings.routing_subaddressing,
            routes=stores.mailroom.routes,
            gate=gate(stores.kv),
            hands=hands,
            activity=activity,
            metrics=metrics,
        )
    finally:
        await activity.stop()


def gate(kv: KV) -> Gate:
    """The KV entries of rua addresses; one that was found is remembered for a second, so that RCPT and DATA of a mail
    share a look-up (the worker looks again before it takes the mail)."""
    known: dict[str, tuple[float, Mapping[str, str]]] = {}

    async def ask(address: str) -> Mapping[str, str] | None:
        if not address.isascii() or len(address) > dmarc.ADDRESS_LENGTH:
            return None  # none of ours looks so, and no store need be asked
        now = time.monotonic()
        held = known.get(address)
        if held is not None and now - held[0] < _GATE_SECONDS:
            return held[1]
        entry = await kv.get(f"dmarc:{address}")
        if entry is None:
            known.pop(address, None)
            return None
        if len(known) >= _GATES:
            known.clear()
        found: dict[str, str] = json.loads(entry)
        known[address] = (now, found)
        return found

    return ask
