"""One of several processes that accept mail: its settings at the start, its share of the limits, its sockets."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmarcworks.routing.smtp.listeners import BoundListener, bind, parse_listeners
from dmarcworks.settings import Settings

__all__ = ["ReceiverSettings", "bound_listeners", "read_settings", "share_of"]

_SHARED = (
    "smtp_connections",
    "smtp_connections_per_address",
    "smtp_connections_per_minute",
    "smtp_mails_per_minute",
)


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """What `Processes` sends to a process: settings, listeners, inherited sockets by the listener's number, how many
    processes share the work, which of them it is, and where its counters are kept."""

    settings: Mapping[str, Any]
    listen: list[str]
    sockets: dict[int, int]
    processes: int
    slot: int
    counters: Path | None


def read_settings(line: str) -> ReceiverSettings:
    """The line on a process's standard input."""
    values = json.loads(line)
    sockets = {int(number): int(handle) for number, handle in values["sockets"].items()}
    for handle in sockets.values():
        os.set_inheritable(handle, False)
    counters = None if values["counters"] is None else Path(values["counters"])
    return ReceiverSettings(
        values["settings"], list(values["listen"]), sockets, int(values["processes"]), int(values["slot"]), counters
    )


def share_of(settings: Settings, receiver: ReceiverSettings) -> Settings:
    """The settings of one process: where to listen, and its share of the limits."""
    return settings.model_copy(
        update={
            "smtp_listen": " ".join(receiver.listen),
            # Limits are held by each process for itself: its share, rounded up; 0 stays no limit.
            **{name: -(-getattr(settings, name) // receiver.processes) for name in _SHARED},
            "smtp_transfer_bytes": settings.smtp_transfer_bytes // receiver.processes,
        }
    )


def bound_listeners(receiver: ReceiverSettings) -> list[BoundListener]:
    """The sockets to accept on: inherited, or of our own alongside those of the other processes."""
    bound: list[BoundListener] = []
    for number, listener in enumerate(parse_listeners(" ".join(receiver.listen))):
        if number in receiver.sockets:
            bound.append(BoundListener(listener, socket.socket(fileno=receiver.sockets[number]), owned=False))
        else:
            bound += bind(listener, shared=True)
    return bound
