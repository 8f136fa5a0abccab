"""The tables behind KV and Queue, as SQLAlchemy Core metadata for SQLite and PostgreSQL.

Keys and values of KV are bytes, so that the order is the byte order everywhere. Times are unix seconds, UTC.
The migrations repeat these definitions on purpose; a test holds the two equal.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()

kv = Table(
    "kv",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("expiration", BigInteger),
    Column("metadata", Text),
    Index("kv_expiration", "expiration"),
)

# `ready` is when a message may be delivered (next): its delay and its lease both move it. `leased` says that a lease
# moved it, `dead` when it was given up. `attempts` counts deliveries, `failures` those that failed or whose lease ran
# out, `lost` the latter alone.
queue = Table(
    "queue",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("body", Text, nullable=False),
    Column("sent", Float, nullable=False),
    Column("ready", Float, nullable=False),
    Column("leased", Float),
    Column("attempts", Integer, nullable=False),
    Column("dead", Float),
    Column("error", Text),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("lost", Integer, nullable=False, server_default="0"),
    Index("queue_ready", "dead", "ready", "id"),
    sqlite_autoincrement=True,
)

# The queues of users' workers, all in one table; `type` says what the body's bytes are. Times as in `queue`.
worker_queue = Table(
    "worker_queue",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("queue", String(64), nullable=False),
    Column("type", String(8), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("sent", Float, nullable=False),
    Column("ready", Float, nullable=False),
    Column("leased", Float),
    Column("attempts", Integer, nullable=False),
    Column("dead", Float),
    Column("error", Text),
    Index("worker_queue_ready", "queue", "dead", "ready", "id"),
    sqlite_autoincrement=True,
)
