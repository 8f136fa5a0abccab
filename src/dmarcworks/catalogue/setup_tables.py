"""Tables of setting up domains: what DNS showed, who has proven a domain, claims to domains, and notices to accounts.

They belong to `tables.metadata`. Rows name a domain by id without pointing at it, and are deleted with it.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from dmarcworks.catalogue.tables import metadata

__all__ = ["account_notices", "domain_claims", "domain_setups"]

# The newest check of a domain's records, and whether DNS has proven that the domain is the account's.
domain_setups = Table(
    "domain_setups",
    metadata,
    Column("domain_id", String(32), primary_key=True),
    # Whether the domain neither sends nor receives mail.
    Column("parked", Boolean, nullable=False),
    # When DNS proved it first, and by which evidence: rua or txt ("" for none).
    Column("proven", Float),
    Column("evidence", String(8), nullable=False),
    # What DNS answered, as JSON ("" before the first check), when, and by which name server ("" for the system's).
    Column("answers", Text, nullable=False),
    Column("checked", Float),
    Column("resolver", String(255), nullable=False),
    # When the next check is due; NULL when everything was seen. `tries` counts the checks since the last change.
    Column("due", Float),
    Column("claimed", Float, nullable=False),
    Column("tries", Integer, nullable=False),
    Index("domain_setups_due", "due"),
)

# An account claims a domain that another account may have. `token` becomes the local part of its rua address.
domain_claims = Table(
    "domain_claims",
    metadata,
    Column("token", String(32), primary_key=True),
    Column("account_id", String(32), ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(253), nullable=False),
    Column("created", Float, nullable=False),
    Column("checked", Float),
    # Why the newest check did not prove it; "" before the first one.
    Column("reason", Text, nullable=False),
    Column("due", Float, nullable=False),
    Column("claimed", Float, nullable=False),
    Column("tries", Integer, nullable=False),
    UniqueConstraint("account_id", "name", name="domain_claims_once"),
    Index("domain_claims_due", "due"),
)

# What an account's users must learn although none of them did it, until one of them dismisses it.
account_notices = Table(
    "account_notices",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("account_id", String(32), ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("created", Float, nullable=False),
    Column("code", String(32), nullable=False),
    Column("domain", String(253), nullable=False),
    Column("text", Text, nullable=False),
    Index("account_notices_account", "account_id", "id"),
)
