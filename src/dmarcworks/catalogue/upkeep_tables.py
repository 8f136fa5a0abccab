"""Tables of upkeep: rebuilds of Analytics, and retention. They belong to `tables.metadata`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text

from dmarcworks.catalogue.tables import metadata

# A rebuild of Analytics: what it covers, the version of the tables that it fills, and how far it is.
replays = Table(
    "replays",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("version", String(32), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("domain_id", String(32), nullable=False),
    Column("since", String(10), nullable=False),
    Column("last_key", String(64), nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("tables", Text, nullable=False),
    Column("started", Float, nullable=False),
    Column("changed", Float, nullable=False),
)

# What a rebuild found about a report that differs from the catalogue; applied when the tables are swapped.
replay_reports = Table(
    "replay_reports",
    metadata,
    Column("replay_id", Integer, ForeignKey("replays.id"), primary_key=True),
    Column("report_key", String(64), primary_key=True),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
)

# How many days an account keeps a kind of thing, where it is not the setting's; 0 is for ever.
retention = Table(
    "retention",
    metadata,
    Column("account_id", String(32), ForeignKey("accounts.id"), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("days", Integer, nullable=False),
)

# What retention deleted, also of accounts that no longer exist; `before` as given (a day or a moment).
retention_runs = Table(
    "retention_runs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("time", Float, nullable=False),
    Column("account_id", String(32), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("before", String(40), nullable=False),
    Column("things", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Index("retention_runs_account", "account_id", "id"),
)

# Addresses that sent mail, with their name from DNS. `due`: when to look the address up; NULL: not before it is seen
# again after `expires`. `claimed`: until when a process works on it. `looked_up` NULL: not yet.
source_addresses = Table(
    "source_addresses",
    metadata,
    Column("address", String(45), primary_key=True),
    Column("ptr", String(255)),
    Column("confirmed", Boolean, nullable=False),
    Column("answered", Boolean, nullable=False),
    Column("looked_up", Float),
    Column("expires", Float, nullable=False),
    Column("due", Float),
    Column("claimed", Float, nullable=False),
    Column("failures", Integer, nullable=False),
    Index("source_addresses_due", "due"),
)
