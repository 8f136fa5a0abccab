"""What ingest works with: the bindings by name, the services that use them, and a delivery of the queue as it sees
it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from dmarcworks.bindings.contracts import KV, Analytics, Leases, Objects, Queue
from dmarcworks.catalogue.arrivals import Arrivals
from dmarcworks.catalogue.problems import Problems
from dmarcworks.ingest.backpressure import never_full
from dmarcworks.ingest.reading import InProcess, Reader
from dmarcworks.process.metrics import Metrics
from dmarcworks.reports.bounds import Bounds

# Arrow comes with it, which a process that only accepts mail does not need.
if TYPE_CHECKING:
    from dmarcworks.ingest.enriching import Enricher

__all__ = ["Delivery", "Env", "Prove"]

Prove = Callable[[Sequence[Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Env:
    """The bindings by name, and the services that use them."""

    kv: KV
    objects: Objects
    queue: Queue
    analytics: Analytics
    arrivals: Arrivals
    problems: Problems
    bounds: Bounds
    now: Callable[[], datetime]
    # What is kept of the message that a failure report quotes: keep, headers or drop.
    failure_originals: str = "headers"
    metrics: Metrics | None = None
    # Called with the mails that were read: are they genuine (`ingest.authentication`).
    prove: Prove | None = None
    # What is known of the sources of mail, for the rows of reports (`ingest.enriching`).
    enricher: Enricher | None = None
    # Why no more mail is accepted now, or "".
    full: Callable[[], Awaitable[str]] = never_full
    # Held by the consumer that reads a batch, so that two large reports are not in memory at once, and by the one that
    # publishes a batch: what it looks for in Analytics must not be on its way there from another batch.
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    publishing: asyncio.Lock = field(default_factory=asyncio.Lock)
    # Reads mails and files in processes of its own.
    isolated: Reader | None = None
    # Renews the lease of what is worked on for long.
    leases: Leases | None = None

    @property
    def reader(self) -> Reader:
        """What reads mails and files; without isolated processes threads of this one."""
        return self.isolated or InProcess(self.bounds, self.failure_originals)


class Delivery(Protocol):
    """A queue message as ingest sees it: `timestamp` is when it was sent, `deliveries` counts this one too."""

    timestamp: datetime
    deliveries: int
    failures: int

    def ack(self) -> None:
        """Done."""

    def retry(self, *, delay_seconds: float | None = None, error: str = "", temporary: bool = False) -> None:
        """Deliver it again, in so many seconds when that is given; `temporary` when this one does not count."""
