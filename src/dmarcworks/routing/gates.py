"""Whose reports a rua address accepts: the KV entries, remembered for a moment by the router."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from dmarcworks.bindings.contracts import KV
from dmarcworks.routing.router import Gate
from dmarcworks.workers import dmarc

__all__ = ["gate"]

_GATE_SECONDS = 1.0
_GATES = 10_000


def gate(kv: KV) -> Gate:
    """The KV entries of rua addresses; one that was found is remembered for a second, so that RCPT and DATA of a mail
    share a look-up (the worker looks again before it accepts the mail)."""
    cache: dict[str, tuple[float, Mapping[str, str]]] = {}

    async def look_up(address: str) -> Mapping[str, str] | None:
        if not address.isascii() or len(address) > dmarc.ADDRESS_LENGTH:
            return None  # none of our addresses looks like this, so no store is queried
        now = time.monotonic()
        held = cache.get(address)
        if held is not None and now - held[0] < _GATE_SECONDS:
            return held[1]
        entry = await kv.get(f"dmarc:{address}")
        if entry is None:
            cache.pop(address, None)
            return None
        if len(cache) >= _GATES:
            cache.clear()
        gate_entry: dict[str, str] = json.loads(entry)
        cache[address] = (now, gate_entry)
        return gate_entry

    return look_up
