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
    known: dict[str, tuple[float, Mapping[str, str]]] = {}

    async def ask(address: str) -> Mapping[str, str] | None:
        if not address.isascii() or len(address) > dmarc.ADDRESS_LENGTH:
            return None  # none of our addresses looks like this, so no store is queried
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
