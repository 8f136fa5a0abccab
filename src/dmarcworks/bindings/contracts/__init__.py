"""The bindings: what the system requires of the outside world, and nothing more.

Shapes follow the platform of the original (KV, R2, Queues, Analytics Engine, D1). Every method is a coroutine and
raises `StoreError` when the store is unavailable, full or read-only; no driver's own error crosses this border. A
contract has at most seven methods. `bindings.open` chooses the implementation; no package above knows one by name.
"""

from __future__ import annotations

from dmarcworks.bindings.contracts.analytics import Analytics, QueryBounds
from dmarcworks.bindings.contracts.database import Database, TableCopies, TableReplacement, TableSnapshot
from dmarcworks.bindings.contracts.kv import (
    KV,
    KV_KEY_BYTES,
    KV_LIST_LIMIT,
    KV_METADATA_BYTES,
    KV_MINIMUM_TTL,
    KV_VALUE_BYTES,
    KVKey,
    KVPage,
)
from dmarcworks.bindings.contracts.objects import OBJECT_KEY_BYTES, ObjectInfo, Objects
from dmarcworks.bindings.contracts.queue import (
    QUEUE_BATCH,
    QUEUE_BATCH_BYTES,
    QUEUE_BODY_BYTES,
    QUEUE_LONGEST_DELAY,
    QUEUE_TOGETHER,
    SYSTEM_QUEUE,
    DeadLetter,
    DeadLetters,
    LeasedMessage,
    Leases,
    OutgoingMessage,
    Queue,
    QueueStats,
    Settlement,
    StoredMessage,
)

__all__ = [
    "KV",
    "KV_KEY_BYTES",
    "KV_LIST_LIMIT",
    "KV_METADATA_BYTES",
    "KV_MINIMUM_TTL",
    "KV_VALUE_BYTES",
    "OBJECT_KEY_BYTES",
    "QUEUE_BATCH",
    "QUEUE_BATCH_BYTES",
    "QUEUE_BODY_BYTES",
    "QUEUE_LONGEST_DELAY",
    "QUEUE_TOGETHER",
    "SYSTEM_QUEUE",
    "Analytics",
    "Database",
    "DeadLetter",
    "DeadLetters",
    "KVKey",
    "KVPage",
    "LeasedMessage",
    "Leases",
    "ObjectInfo",
    "Objects",
    "OutgoingMessage",
    "QueryBounds",
    "Queue",
    "QueueStats",
    "Settlement",
    "StoredMessage",
    "TableCopies",
    "TableReplacement",
    "TableSnapshot",
]
