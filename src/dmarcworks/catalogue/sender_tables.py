"""Tables of senders: what the owner of a domain decided, and the names that an account gives to its own systems.

They belong to `tables.metadata`. A decision names its domain by id without pointing at it: a domain that is removed
and added again has its id back, and with it the decisions.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Integer, String, Table, Text, UniqueConstraint

from dmarcworks.catalogue.tables import metadata

__all__ = ["own_senders", "sender_decisions"]

sender_decisions = Table(
    "sender_decisions",
    metadata,
    Column("account_id", String(32), ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("domain_id", String(32), primary_key=True),
    # The id of a `SenderKey`.
    Column("sender", String(1700), primary_key=True),
    Column("decision", String(16), nullable=False),
    # The owner's name for it, "" for none.
    Column("name", String(100), nullable=False),
    Column("note", Text, nullable=False),
    Column("decided", Float, nullable=False),
    Column("decided_by", String(320), nullable=False),
)

own_senders = Table(
    "own_senders",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("account_id", String(32), ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(100), nullable=False),
    # block, dkim, envelope or ptr; `selector` only for dkim, "" for any.
    Column("evidence", String(16), nullable=False),
    Column("value", String(253), nullable=False),
    Column("selector", String(253), nullable=False),
    Column("created", Float, nullable=False),
    Column("created_by", String(320), nullable=False),
    UniqueConstraint("account_id", "evidence", "value", "selector", name="own_senders_once"),
)
