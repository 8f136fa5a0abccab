"""What the routes for monitoring read: one container, in `app.state.monitored` of the application that has the routes.

It is separate from `deps`, because a port for monitoring has these routes and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from dmarcworks.bindings.contracts import Queue
from dmarcworks.catalogue.problems import Problems
from dmarcworks.process.metrics import Metrics

__all__ = ["Check", "Monitored", "MonitoredSystem"]

Check = Callable[[], Awaitable[None]]
"""Raises when a store is unavailable."""


@dataclass(frozen=True, slots=True)
class MonitoredSystem:
    """`checks` by the store's name; `outbound` counts what waits for the relay, `dns_checks` the checks of DNS records
    that are due, with the age of the oldest.

    A store that does not answer within `seconds` is unavailable.
    `inbox` returns the inbox's figures, its `state` "ok" unless it is full; `certificate` the end of the one in use.
    """

    metrics: Metrics
    checks: Mapping[str, Check]
    queue: Queue
    problems: Problems
    outbound: Callable[[], Awaitable[int]] | None = None
    dns_checks: Callable[[], Awaitable[tuple[int, float]]] | None = None
    inbox: Callable[[], Awaitable[Mapping[str, object]]] | None = None
    certificate: Callable[[], Mapping[str, object]] | None = None
    # How many mailboxes are in each condition, and how many mails wait in them.
    mailboxes: Callable[[], Awaitable[tuple[Mapping[str, int], int]]] | None = None
    seconds: float = 3.0


async def _monitored(request: Request) -> MonitoredSystem:
    monitored: MonitoredSystem = request.app.state.monitored
    return monitored


Monitored = Annotated[MonitoredSystem, Depends(_monitored)]
