"""The system's own worker put together: the DMARC worker, its environment and the consumer of its queue."""

from __future__ import annotations

from dmarcworks.bindings.contracts import SYSTEM_QUEUE
from dmarcworks.ingest.batching import BatchScheduler
from dmarcworks.ingest.environment import Env
from dmarcworks.settings import Settings
from dmarcworks.workers import dmarc
from dmarcworks.workers.bound import BoundWorker
from dmarcworks.workers.consumer import Consumer, QueuePolicy

__all__ = ["consumer_of", "dmarc_worker", "policy_of"]

# Of a lease, what a batch may take; the rest is for reporting what became of it.
_OF_LEASE = 0.9


def dmarc_worker(env: Env, seconds: float = 30.0) -> BoundWorker:
    """The DMARC worker; `seconds` bound its `email()`."""
    return BoundWorker(SYSTEM_QUEUE, dmarc, env, seconds=seconds, dead=dmarc.dead)


def policy_of(settings: Settings) -> QueuePolicy:
    """How the queue of accepted mail is consumed: what is there at once, within its lease."""
    return QueuePolicy(
        max_batch_size=settings.queue_batch,
        max_batch_timeout=0.0,
        max_retries=settings.queue_max_retries,
        lease=settings.queue_lease_seconds,
        limit=settings.queue_lease_seconds * _OF_LEASE,
        batch_bytes=None,
    )


def consumer_of(
    env: Env, settings: Settings, *, scheduler: BatchScheduler | None = None, helps: bool = False
) -> Consumer:
    """A consumer of the queue of accepted mail; several share a `scheduler`."""
    return Consumer(
        dmarc_worker(env),
        env.queue,
        policy_of(settings),
        scheduler=scheduler or BatchScheduler(),
        helps=helps,
        leases=env.leases,
    )
