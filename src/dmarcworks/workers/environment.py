"""`env` of a user's worker: its bindings by name, each in a corner of its own of the stores.

A worker that nothing is configured for has KV, OBJECTS and ANALYTICS, and QUEUE if it consumes one. Keys get the
worker's prefix, so that it cannot reach what is not its own; only a binding whose prefix the operator wrote sees other
keys.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from dmarcworks.bindings.contracts import KV, QUEUE_BATCH, QUEUE_BATCH_BYTES, KVPage, ObjectInfo, Objects, Queue
from dmarcworks.errors import BoundError, UsageError
from dmarcworks.workers.batch import encode
from dmarcworks.workers.bridge import across
from dmarcworks.workers.points import DataPointOwner, DataPoints

STANDARD: Mapping[str, tuple[str, str | None]] = {
    "KV": ("kv", None),
    "OBJECTS": ("objects", None),
    "ANALYTICS": ("analytics", None),
    "QUEUE": ("queue", None),
}
_MESSAGE = {"body", "content_type", "delay_seconds"}


class KVBinding:
    """KV under a prefix: the semantics of the KV contract, keys without the prefix."""

    def __init__(self, kv: KV, prefix: str, loop: asyncio.AbstractEventLoop) -> None:
        self._kv, self._prefix, self._loop = kv, prefix, loop

    async def get(self, key: str, type: str = "text") -> Any:
        """The value as "text" or "json"; None when absent or expired."""
        value = await across(self._loop, self._kv.get(self._prefix + key))
        return json.loads(value) if type == "json" and value is not None else value

    async def get_with_metadata(self, key: str) -> tuple[str | None, Mapping[str, Any] | None]:
        """The value and the metadata it was put with."""
        return await across(self._loop, self._kv.get_with_metadata(self._prefix + key))

    async def put(
        self, key: str, value: str, *, expiration_ttl: int | None = None, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Set the value; `expiration_ttl` in seconds, at least 60."""
        if not key:
            raise UsageError("Key names must not be empty")
        await across(self._loop, self._kv.put(self._prefix + key, value, ttl=expiration_ttl, metadata=metadata))

    async def delete(self, key: str) -> None:
        """Remove the key; no error if it is absent."""
        await across(self._loop, self._kv.delete(self._prefix + key))

    async def list(self, *, prefix: str = "", limit: int = 1000, cursor: str | None = None) -> KVPage:
        """Keys with the prefix in byte order, a page of at most 1,000; continue with `cursor` until `complete`."""
        page = await across(self._loop, self._kv.list(prefix=self._prefix + prefix, limit=limit, cursor=cursor))
        return replace(page, keys=tuple(replace(key, name=key.name[len(self._prefix) :]) for key in page.keys))


class ObjectsBinding:
    """Objects under a prefix: the semantics of the Objects contract, keys without the prefix."""

    def __init__(self, objects: Objects, prefix: str, loop: asyncio.AbstractEventLoop) -> None:
        self._objects, self._prefix, self._loop = objects, prefix, loop

    async def put(self, key: str, data: bytes | str, *, create_only: bool = False) -> bool:
        """Store the bytes whole or not at all; with `create_only` False when the key exists."""
        body = data.encode() if isinstance(data, str) else data
        return await across(self._loop, self._objects.put(self._prefix + key, body, create_only=create_only))

    async def get(self, key: str) -> bytes | None:
        """The bytes, or None when absent."""
        return await across(self._loop, self._objects.get(self._prefix + key))

    async def head(self, key: str) -> ObjectInfo | None:
        """What is known of the object, or None when absent."""
        info = await across(self._loop, self._objects.head(self._prefix + key))
        return None if info is None else replace(info, key=key)

    async def delete(self, key: str) -> None:
        """Remove the object; no error if it is absent."""
        await across(self._loop, self._objects.delete(self._prefix + key))

    async def list(self, *, prefix: str = "", limit: int = 1000, start_after: str = "") -> Sequence[ObjectInfo]:
        """Objects with the prefix in key order, after `start_after`."""
        after = self._prefix + start_after if start_after else ""
        listing = self._objects.list(prefix=self._prefix + prefix, limit=limit, start_after=after)
        infos = await across(self._loop, listing)
        return [replace(info, key=info.key[len(self._prefix) :]) for info in infos]


class AnalyticsBinding:
    """A dataset; points are written in the background, without a promise."""

    def __init__(self, points: DataPoints, owner: DataPointOwner, dataset: str) -> None:
        self._points, self._owner, self._dataset = points, owner, dataset

    def write_data_point(self, event: Mapping[str, Any] | None = None) -> None:
        """Take a point: `indexes` (1), `blobs` and `doubles` (20 each); `TypeError` over a limit."""
        self._points.write(self._owner, self._dataset, event or {})


class QueueBinding:
    """A worker's queue, to send to: durable when `send` returns."""

    def __init__(self, queues: Queue, queue: str, loop: asyncio.AbstractEventLoop) -> None:
        self._queues, self._queue, self._loop = queues, queue, loop

    async def send(self, body: Any, *, content_type: str = "json", delay_seconds: float = 0) -> None:
        """Send a message of at most 128,000 bytes, as "json", "text" or "bytes", after 0 to 43,200 seconds."""
        await across(self._loop, self._queues.send(self._queue, [encode(body, content_type, delay_seconds)]))

    async def send_batch(self, messages: Iterable[Mapping[str, Any]], *, delay_seconds: float = 0) -> None:
        """Send at most 100 messages of 256,000 bytes together, all or none.

        Each is {"body", "content_type", "delay_seconds"}; the batch's delay is for those that name none.
        """
        encoded = []
        for message in messages:
            if not isinstance(message, Mapping) or "body" not in message or set(message) - _MESSAGE:
                raise UsageError('a message of a batch is {"body": …}, and maybe "content_type" and "delay_seconds"')
            delay = message.get("delay_seconds", delay_seconds)
            encoded.append(encode(message["body"], message.get("content_type", "json"), delay))
            if len(encoded) > QUEUE_BATCH:
                raise BoundError(f"a batch may have {QUEUE_BATCH} messages")
        size = sum(len(one.body) for one in encoded)
        if size > QUEUE_BATCH_BYTES:
            raise BoundError(f"a batch may have {QUEUE_BATCH_BYTES} bytes, this one has {size}")
        await across(self._loop, self._queues.send(self._queue, encoded))


def environment(
    worker: str,
    bindings: Mapping[str, tuple[str, str | None]],
    kv: KV,
    objects: Objects,
    points: DataPoints,
    queues: Queue,
    consumes: bool,
    loop: asyncio.AbstractEventLoop,
    owner: DataPointOwner,
) -> SimpleNamespace:
    """The worker's `env`; its standard bindings, and those that the operator configured in their place. What it writes
    as data points belongs to `owner`."""
    env = SimpleNamespace()
    for name, (kind, prefix) in (bindings or STANDARD).items():
        if kind == "kv":
            setattr(env, name, KVBinding(kv, f"worker:{worker}:" if prefix is None else prefix, loop))
        elif kind == "objects":
            setattr(env, name, ObjectsBinding(objects, f"workers/{worker}/" if prefix is None else prefix, loop))
        elif kind == "analytics":
            setattr(env, name, AnalyticsBinding(points, owner, prefix or worker.replace("-", "_")))
        elif kind == "queue" and (consumes or bindings):
            setattr(env, name, QueueBinding(queues, prefix or worker, loop))
    return env
