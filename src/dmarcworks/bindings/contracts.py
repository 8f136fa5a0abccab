"""The five bindings: what the system asks of the outside world, and nothing more.

Shapes follow the platform of the original (KV, R2, Queues, Analytics Engine, D1). Every method is a coroutine and
raises `StoreError` when the store is away, full or read-only; no driver's own error crosses this wall.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

# Named in signatures only: a command without rows must not wait for Arrow.
if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

KV_KEY_BYTES = 512
KV_VALUE_BYTES = 25 * 1024 * 1024
KV_METADATA_BYTES = 1024
KV_MINIMUM_TTL = 60
KV_LIST_LIMIT = 1000
OBJECT_KEY_BYTES = 1024
QUEUE_BODY_BYTES = 128_000
QUEUE_BATCH = 100
QUEUE_TOGETHER = 1000
QUEUE_BATCH_BYTES = 256_000
QUEUE_LONGEST_DELAY = 43_200.0
# The queue of accepted mail. No worker of a user may have this name.
SYSTEM_QUEUE = "dmarc"
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class KVKey:
    """A key in a listing; `expiration` in unix seconds, or None for ever."""

    name: str
    expiration: int | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class KVPage:
    """A page of keys in UTF-8 byte order; `cursor` is None when `complete`."""

    keys: tuple[KVKey, ...]
    complete: bool
    cursor: str | None = None


@runtime_checkable
class KV(Protocol):
    """Small values by key. Keys: 1 to 512 UTF-8 bytes, not "." or ".."; values up to 25 MiB (else `BoundError`)."""

    async def get(self, key: str) -> str | None:
        """The value, or None when absent or expired."""

    async def get_with_metadata(self, key: str) -> tuple[str | None, Mapping[str, Any] | None]:
        """The value and the metadata it was put with."""

    async def put(
        self, key: str, value: str, *, ttl: int | None = None, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Set the value; last write wins. `ttl` in seconds, at least 60; metadata at most 1,024 bytes of JSON."""

    async def delete(self, key: str) -> None:
        """Remove the key; no error if it is absent."""

    async def list(self, *, prefix: str = "", limit: int = KV_LIST_LIMIT, cursor: str | None = None) -> KVPage:
        """Keys with the prefix, at most 1,000 a page."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object without its body; `size` in bytes, `sha256` in hex when the store knows it."""

    key: str
    size: int
    uploaded: datetime
    etag: str | None = None


@runtime_checkable
class Objects(Protocol):
    """Bytes by key, durable when `put` returns. A key is a relative path of safe segments (else `BoundError`)."""

    async def put(self, key: str, data: bytes, *, create_only: bool = False) -> bool:
        """Store the bytes whole or not at all. With `create_only`, False when the key exists (and nothing changes)."""

    async def get(self, key: str) -> bytes | None:
        """The bytes, or None when absent."""

    async def head(self, key: str) -> ObjectInfo | None:
        """What is known of the object, or None when absent."""

    async def delete(self, key: str) -> None:
        """Remove the object; no error if it is absent."""

    async def list(self, *, prefix: str = "", limit: int = 1000, start_after: str = "") -> Sequence[ObjectInfo]:
        """Objects with the prefix in key order, after `start_after`."""

    async def ping(self) -> None:
        """Prove that the store can be written now; `StoreError` if not."""

    async def close(self) -> None:
        """Give back what the store holds."""


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
    """A message that was given up and stays: how often it was delivered, its last error, and when it died."""

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

        With `size` they have at most so many bytes together, but one is always delivered. What a lease ran out of once
        comes apart from the rest, a few together; what that happened to again comes alone: what kills its consumer
        must not take neighbours along for ever. In company it is nobody's failure.
        """

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Remove what is done, give back what failed. Of a message that was delivered again since, or is gone, nothing
        changes."""

    async def wait(self, queue: str, timeout: float) -> bool:  # noqa: ASYNC109  how long to sleep, not a limit
        """Sleep until a message is sent to the queue or `timeout` seconds passed; True when woken."""

    async def ready(self, queue: str) -> tuple[int, float]:
        """How many could be delivered now (counted to 100), and for how many seconds the first has waited."""

    async def stats(self) -> Mapping[str, QueueStats]:
        """How much waits in each queue that holds something."""


@runtime_checkable
class Leases(Protocol):
    """Leases in other hands than a consumer's."""

    async def renew(self, messages: Sequence[LeasedMessage], *, lease: float) -> None:
        """Let the leases of these deliveries end in `lease` seconds from now; of one that has ended nothing changes."""

    async def release(self, queue: str) -> int:
        """End every lease of the queue now, for one who knows that whoever held them is dead; how many. They come as
        those whose lease ran out."""


@runtime_checkable
class DeadLetters(Protocol):
    """What the queues gave up, kept until a person decides. Unknown ids and living messages are never touched."""

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
        """Remove one (or every one of the queue, or of all but the system's) for good; how many."""


@runtime_checkable
class Database(Protocol):
    """The catalogue's tables, through SQLAlchemy Core."""

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection for reading; sees everything committed before."""

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction: commits durably at the end of the block, rolls back on any error."""

    async def step(self, work: Callable[[Connection], _Result]) -> _Result:
        """The same for work that waits for nothing else: one trip for all its statements, the write lock held briefly.

        It may run in another thread: it touches nothing but the connection and what it was given.
        """

    async def migrate(self) -> str:
        """Bring the schema up to date; the revision that it has now."""

    async def ping(self) -> None:
        """Prove that the database can be written now; `StoreError` if not."""

    async def close(self) -> None:
        """Give back connections and files."""


@dataclass(frozen=True, slots=True)
class QueryBounds:
    """What a query may take: seconds, result rows, bytes of memory."""

    seconds: float = 10.0
    rows: int = 100_000
    memory: int = 1 << 30
    extra: Mapping[str, str | int] = field(default_factory=dict)


@runtime_checkable
class Analytics(Protocol):
    """A ClickHouse, in process or far away; one dialect."""

    async def execute(self, statement: str) -> None:
        """Run DDL or another statement without a result (trusted text only)."""

    async def insert(self, table: str, data: pa.Table) -> None:
        """Durably insert, all rows or none, in one block; columns by name."""

    async def query(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        format: str = "JSONEachRow",
        bounds: QueryBounds | None = None,
    ) -> bytes:
        """Run a SELECT read-only, `{name:Type}` parameters bound by the engine; the result in the format's bytes.

        With `bounds` the engine's own limits are set; `QueryError` with the engine's text when it refuses or a
        bound is hit. Without, our own queries run under generous limits. A query whose caller is cancelled ends.
        """

    async def ping(self) -> None:
        """Prove that the engine answers; `StoreError` if not."""

    async def close(self) -> None:
        """Give back the engine's lock and files."""
