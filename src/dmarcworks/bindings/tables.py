"""The tables behind KV and Queue, as SQLAlchemy Core metadata for SQLite and PostgreSQL.

Keys and values of KV are bytes, so that the order is the byte order everywhere. Times are unix seconds, UTC.
The migrations repeat these definitions deliberately; a test holds the two equal.
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

# All queues. `type` is the type of the body's bytes. `ready` is when a message may be delivered (next): its delay and
# its lease both move it. `leased` is true when a lease moved it, `dead` is when it failed permanently. `attempts`
# counts deliveries, `failures` those that failed or whose lease ran out, `lost` the latter alone.
queue_messages = Table(
    "queue",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("queue", String(64), nullable=False),
    Column("type", String(8), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("sent", Float, nullable=False),
    Column("ready", Float, nullable=False),
    Column("leased", Float),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("lost", Integer, nullable=False),
    Column("dead", Float),
    Column("error", Text),
    Index("queue_waiting", "queue", "dead", "ready", "id"),
    sqlite_autoincrement=True,
)
