"""Tables of the APIs: idempotency keys, uploads, and SQL queries. They belong to `tables.metadata`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from dmarcworks.catalogue.tables import metadata

# Answers to writes that carried an Idempotency-Key; `status` is NULL while the write runs.
idempotency = Table(
    "idempotency",
    metadata,
    Column("token_id", String(32), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("created", Float, nullable=False),
    Column("status", Integer),
    Column("headers", Text),
    Column("body", LargeBinary),
    Index("idempotency_created", "created"),
)

# What came in over HTTP; the id is its mail's.
uploads = Table(
    "uploads",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), nullable=False),
    Column("domain_id", String(32), nullable=False),
    Column("name", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created", Float, nullable=False),
    Index("uploads_account", "account_id", "created", "id"),
)

# SQL statements that accounts ran; `error` is empty when they succeeded.
query_log = Table(
    "query_log",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("account_id", String(32), nullable=False),
    Column("who", String(320), nullable=False),
    Column("source", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("started", Float, nullable=False),
    Column("ms", Float, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("error", Text, nullable=False),
    Index("query_log_account", "account_id", "id"),
    Index("query_log_started", "started"),
)

saved_queries = Table(
    "saved_queries",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), nullable=False),
    Column("name", String(100), nullable=False),
    Column("text", Text, nullable=False),
    Column("author", String(320), nullable=False),
    Column("changed", Float, nullable=False),
    UniqueConstraint("account_id", "name", name="saved_queries_name"),
)
