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
class QueueMessage:
    """A leased message. `attempts` counts this delivery too (1 at first).

    `failures`: earlier deliveries that failed or whose lease ran out, because their consumer died or took too long.
    """

    id: int
    body: Mapping[str, Any]
    sent: datetime
    attempts: int
    failures: int = 0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up: how often it was delivered, its last error, and when it died."""

    id: int
    body: Mapping[str, Any]
    sent: datetime
    attempts: int
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
    """At least once. A message that is neither acknowledged nor retried comes back when its lease ends."""

    async def send(self, body: Mapping[str, Any], *, delay: float = 0.0) -> int:
        """Durably enqueue; the id. Body: JSON of at most 128,000 bytes (else `BoundError`). `delay` in seconds."""

    async def receive(self, *, limit: int = 10, lease: float = 60.0) -> Sequence[QueueMessage]:
        """Lease up to `limit` (at most 1,000) messages for `lease` seconds, oldest first; empty when none is ready.

        What a lease ran out of once comes apart from the rest, a few together; what that happened to again comes alone:
        what kills its consumer must not take neighbours along for ever. In company it is nobody's failure.
        """

    async def ack(self, ids: Sequence[int]) -> None:
        """Done: remove them. Unknown ids are no error."""

    async def retry(
        self, message_id: int, *, delay: float = 0.0, error: str = "", max_retries: int = 3, counts: bool = True
    ) -> bool:
        """Give it back after `delay` seconds; False when it had its `max_retries` and is now a dead letter, kept.

        With `counts=False` the delivery was no try (a store was away, the consumer stops): it never dies of it.
        A retry of `max_retries=0` makes a dead letter at once.
        """

    async def release(self) -> int:
        """End every lease now, for one who knows that whoever held them is dead; how many. They come as
        those whose lease ran out."""

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109  how long to sleep, not a limit
        """Sleep until a message is sent or `timeout` seconds passed; True when woken."""

    async def stats(self) -> QueueStats:
        """How much waits."""


@runtime_checkable
class Leases(Protocol):
    """For who works on a message longer than its lease."""

    async def renew(self, ids: Sequence[int], *, lease: float) -> None:
        """Let the leases of these messages end in `lease` seconds from now; of one that is not leased nothing
        changes."""


@runtime_checkable
class DeadLetters(Protocol):
    """What the queue gave up, kept until a person decides. Unknown ids and living messages are answered with False."""

    async def dead(self, *, limit: int = 100, before: int | None = None) -> Sequence[DeadLetter]:
        """Dead letters, newest id first, at most 1,000; `before` pages by id."""

    async def requeue(self, message_id: int) -> bool:
        """Deliver it again, at once, with all its retries; it keeps its id, body and number of deliveries."""

    async def discard(self, message_id: int) -> bool:
        """Remove it for good."""


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


@runtime_checkable
class Wakes(Protocol):
    """A database that carries a word to other processes."""

    async def notify(self, connection: AsyncConnection, topic: str) -> None:
        """Wake who listens to the topic, in every process, when the connection's transaction commits."""

    def listen(self, topic: str, heard: Callable[[], None]) -> None:
        """Call `heard` at each `notify` of any process."""


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
