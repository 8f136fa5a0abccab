"""Mail into the system without a server: the DMARC worker's `email()` and a consumer that a test turns by hand."""

from __future__ import annotations

from typing import Any

from dmarcworks.ingest.batching import BatchScheduler
from dmarcworks.ingest.environment import Env
from dmarcworks.workers.consumer import Consumer, Handler, QueuePolicy
from dmarcworks.workers.message import Message
from dmarcworks.workers.system import dmarc_worker


def policy(**parts: Any) -> QueuePolicy:
    """As the system's own queue is consumed."""
    values = {"max_batch_size": 50, "max_batch_timeout": 0.0, "max_retries": 3, "lease": 300.0, "limit": 270.0}
    return QueuePolicy(**{**values, "batch_bytes": None, **parts})  # type: ignore[arg-type]


def system_consumer(env: Env, handler: Handler | None = None, **parts: Any) -> Consumer:
    """A consumer of the system's queue, for the DMARC worker or another handler; `parts` change its policy."""
    scheduler = parts.pop("scheduler", None) or BatchScheduler()
    helps = parts.pop("helps", False)
    worker = handler or dmarc_worker(env)
    return Consumer(worker, env.queue, policy(**parts), scheduler=scheduler, helps=helps, leases=env.leases)


async def deliver(message: Message, env: Env) -> str:
    """A mail to the DMARC worker: its whole SMTP reply."""
    return (await dmarc_worker(env).deliver(message)).reply
