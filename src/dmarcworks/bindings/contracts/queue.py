"""The binding Queue: named queues, the leases of their messages, and the messages that failed permanently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

__all__ = [
    "QUEUE_BATCH",
    "QUEUE_BATCH_BYTES",
    "QUEUE_BODY_BYTES",
    "QUEUE_LONGEST_DELAY",
    "QUEUE_TOGETHER",
    "SYSTEM_QUEUE",
    "DeadLetter",
    "DeadLetters",
    "LeasedMessage",
    "Leases",
    "OutgoingMessage",
    "Queue",
    "QueueStats",
    "Settlement",
]

QUEUE_BODY_BYTES = 128_000
QUEUE_BATCH = 100
QUEUE_TOGETHER = 1000
QUEUE_BATCH_BYTES = 256_000
QUEUE_LONGEST_DELAY = 43_200.0
# The queue of accepted mail. No worker of a user may have this name.
SYSTEM_QUEUE = "dmarc"


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to send: what its bytes are ("json", "text" or "bytes"), and seconds until it may be delivered."""

    type: str
    body: bytes
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class LeasedMessage:
    """A delivered message. `deliveries` counts this one too.

    `failures`: earlier deliveries that failed or whose lease ran out, because their consumer died or took too long.
    """

    id: int
    queue: str
    type: str
    body: bytes
    sent: datetime
    deliveries: int
    failures: int = 0


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as the queue holds it, whether it is ready, delayed or leased."""

    id: int
    queue: str
    type: str
    body: bytes
    sent: datetime


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a delivery: done; or failed with `error`, to be delivered again after `delay` seconds.

    `dead` gives the message up: it moves to the queue `dead_letters`, or stays as a dead letter when that is empty.
    A delivery that does not `count` was no try (a store was unavailable, the consumer stops).
    """

    message: LeasedMessage
    done: bool = False
    error: str = ""
    delay: float = 0.0
    dead: bool = False
    counts: bool = True
    dead_letters: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that failed permanently and stays: how often it was delivered, its last error, and when it died."""

    id: int
    queue: str
    type: str
    body: bytes
    sent: datetime
    deliveries: int
    failures: int
    error: str
    died: datetime


@dataclass(frozen=True, slots=True)
class QueueStats:
    """How much waits: ready now, delayed, leased, dead; age of the oldest that waits, in seconds."""

    ready: int
    delayed: int
    leased: int
    dead: int
    oldest_age: float = 0.0


@runtime_checkable
class Queue(Protocol):
    """Named queues, at least once: a message that is not settled before its lease ends is delivered again."""

    async def send(self, queue: str, messages: Sequence[OutgoingMessage]) -> Sequence[int]:
        """Durably enqueue, all or none; their ids. A body has at most 128,000 bytes (else `BoundError`)."""

    async def receive(
        self, queue: str, *, limit: int = 10, lease: float = 60.0, size: int | None = None
    ) -> Sequence[LeasedMessage]:
        """Lease up to `limit` (at most 1,000) messages for `lease` seconds, oldest first; empty when none is ready.

        With `size` they have at most so many bytes together, but one is always delivered. Messages whose lease ran out
        once are delivered apart from the rest, a few together; those whose lease ran out again are delivered alone: a
        message that kills its consumer must not fail its neighbours for ever. In a batch such a failure counts for no
        message.
        """

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Remove what is done, give back what failed. Of a message that was delivered again since, or is gone, nothing
        changes."""

    async def wait(self, queue: str, timeout: float) -> bool:  # noqa: ASYNC109  how long to sleep, not a limit
        """Sleep until a message is sent to the queue or `timeout` seconds passed; True when woken."""

    async def ready(self, queue: str) -> tuple[int, float]:
        """How many could be delivered now (counted to 100), and for how many seconds the first has waited."""

    async def peek(self, queue: str, *, after: int = 0, limit: int = QUEUE_TOGETHER) -> Sequence[StoredMessage]:
        """Look at the queue's messages, leased and delayed ones too but no dead letters, without changing anything.

        They come by id, at most `limit` (1 to 1,000) with an id above `after`.
        """

    async def stats(self) -> Mapping[str, QueueStats]:
        """How much waits in each queue that holds something."""


@runtime_checkable
class Leases(Protocol):
    """Leases that are not held by a consumer of this process."""

    async def renew(self, messages: Sequence[LeasedMessage], *, lease: float) -> None:
        """Let the leases of these deliveries end in `lease` seconds from now; of one that has ended nothing changes."""

    async def release(self, queue: str) -> int:
        """End every lease of the queue now, for a caller that knows that their holders are dead; how many. They are
        delivered like those whose lease ran out."""


@runtime_checkable
class DeadLetters(Protocol):
    """The dead letters of the queues, kept until a person decides. Unknown ids and live messages are never touched."""

    async def dead(
        self,
        queue: str = "",
        *,
        limit: int = 100,
        message_id: int | None = None,
        before: tuple[float, int] | None = None,
    ) -> Sequence[DeadLetter]:
        """Dead letters of one queue, or of all but the system's own; newest first, at most 1,000; or the one by its id.

        `before`: only what comes after the message that died at this unix second and has this id.
        """

    async def requeue(self, queue: str = "", message_id: int | None = None) -> int:
        """Deliver one (or every one of the queue, or of all but the system's) again with all its tries; how many."""

    async def discard(self, queue: str = "", message_id: int | None = None) -> int:
        """Remove one (or every one of the queue, or of all but the system's) permanently; how many."""
