"""The mail server's tables in the catalogue: activity log, what is genuine, rules, destinations, mail on its way out.

`metadata` is that of the whole catalogue: of `tables.py`, `api_tables.py`, `upkeep_tables.py`, `sender_tables.py`,
`setup_tables.py`, `dns_tables.py`, `mailbox_tables.py` and this module.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

# The other modules of tables are imported so that `metadata` is whole.
from dmarcworks.catalogue import (
    api_tables,
    dns_tables,
    mailbox_tables,
    sender_tables,
    setup_tables,
    upkeep_tables,
)
from dmarcworks.catalogue.tables import metadata

__all__ = [
    "activity",
    "api_tables",
    "authenticity",
    "destinations",
    "dns_tables",
    "mailbox_tables",
    "metadata",
    "outbound",
    "routing_rules",
    "routing_zones",
    "sender_tables",
    "setup_tables",
    "upkeep_tables",
]

# The outcome of each mail that reached a listener, including mail that no account's worker accepted.
activity = Table(
    "activity",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("account_id", String(32), nullable=False),
    Column("domain_id", String(32), nullable=False),
    Column("mail_id", String(32), nullable=False),
    Column("time", Float, nullable=False),
    Column("sender", String(320), nullable=False),
    Column("recipient", String(320), nullable=False),
    Column("peer", String(64), nullable=False),
    Column("helo", String(255), nullable=False),
    Column("tls", String(32), nullable=False),
    Column("size", Integer, nullable=False),
    Column("rule", String(255), nullable=False),
    Column("action", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("status", String(3), nullable=False),
    Column("error", Text, nullable=False),
    Column("message_id", String(255), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("spf", String(16), nullable=False),
    Column("dkim", String(16), nullable=False),
    Column("dmarc", String(16), nullable=False),
    Column("arc", String(16), nullable=False),
    Index("activity_account", "account_id", "time", "outcome"),
    Index("activity_mail", "mail_id"),
    Index("activity_time", "time"),
)

# Whether a report mail is genuine, found out after it was accepted.
authenticity = Table(
    "authenticity",
    metadata,
    Column("mail_id", String(32), primary_key=True),
    Column("checked", Float, nullable=False),
    Column("spf", String(16), nullable=False),
    Column("dkim", String(16), nullable=False),
    Column("dmarc", String(16), nullable=False),
    Column("arc", String(16), nullable=False),
    Column("detail", Text, nullable=False),
)

# Where mail goes: a rule per row; a catch-all has no address. `domain_id` is empty for the report host's own addresses.
routing_rules = Table(
    "routing_rules",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), nullable=False),
    Column("domain_id", String(32), nullable=False),
    Column("domain", String(253), nullable=False),
    Column("address", String(320), nullable=False),
    Column("name", String(255), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("action", String(16), nullable=False),
    Column("value", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("modified", Float, nullable=False),
    Index("routing_rules_domain", "domain", "address"),
    Index("routing_rules_zone", "domain_id"),
)

# Whether routing is on for a domain; one without a row is on.
routing_zones = Table(
    "routing_zones",
    metadata,
    Column("domain_id", String(32), primary_key=True),
    Column("enabled", Boolean, nullable=False),
    Column("created", Float, nullable=False),
    Column("modified", Float, nullable=False),
)

# Addresses that mail may be forwarded to, once a mail with a link proved them.
destinations = Table(
    "destinations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), ForeignKey("accounts.id"), nullable=False),
    Column("email", String(320), nullable=False),
    Column("verified", Float),
    Column("secret", String(64)),
    Column("expires", Float),
    Column("created", Float, nullable=False),
    Column("modified", Float, nullable=False),
    UniqueConstraint("account_id", "email", name="destinations_once"),
    Index("destinations_secret", "secret"),
)

# Mails on their way out that the relay did not take at once.
outbound = Table(
    "outbound",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("account_id", String(32), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("sender", String(320), nullable=False),
    Column("recipient", String(320), nullable=False),
    Column("object_key", String(1024), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("ready", Float, nullable=False),
    Column("dead", Float),
    Column("error", Text, nullable=False),
    Column("created", Float, nullable=False),
    Index("outbound_ready", "dead", "ready"),
)
