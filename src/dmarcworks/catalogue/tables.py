"""The catalogue's tables as SQLAlchemy Core metadata: one definition for SQLite and PostgreSQL.

Times are unix seconds as floats, UTC. Secrets are stored as SHA-256 in hex (they are random, so no salt is needed),
passwords as Argon2id. The migrations repeat these definitions deliberately; a test holds the two equal.
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
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    true,
)

metadata = MetaData()


def storable(text: str) -> str:
    """Text from strangers as every database can hold it: no lone surrogates (no UTF-8), no NUL (not in PostgreSQL)."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


accounts = Table(
    "accounts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("created", Float, nullable=False),
)

domains = Table(
    "domains",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), ForeignKey("accounts.id"), nullable=False),
    Column("name", String(253), nullable=False, unique=True),
    Column("rua", String(320), nullable=False, unique=True),
    Column("created", Float, nullable=False),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Index("domains_account", "account_id"),
)

# Addresses at earlier names of the report host: they accept mail until they, or their domain, are removed.
rua_addresses = Table(
    "rua_addresses",
    metadata,
    Column("address", String(320), primary_key=True),
    Column("domain_id", String(32), ForeignKey("domains.id"), nullable=False),
    Column("replaced", Float, nullable=False),
    Index("rua_addresses_domain", "domain_id"),
)

# A domain that its account adds again gets its id back, and with it its reports and figures.
removed_domains = Table(
    "removed_domains",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), ForeignKey("accounts.id"), nullable=False),
    Column("name", String(253), nullable=False),
    Column("removed", Float, nullable=False),
    Index("removed_domains_name", "account_id", "name"),
)

users = Table(
    "users",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), ForeignKey("accounts.id"), nullable=False),
    Column("email", String(320), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("password", String(255)),
    Column("created", Float, nullable=False),
    # When the user was disabled; NULL: they may log in.
    Column("disabled", Float),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), ForeignKey("accounts.id"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("scope", String(16), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("created", Float, nullable=False),
    Column("last_used", Float),
    # The ids of the domains that it is limited to, as JSON; NULL: all of the account.
    Column("domains", Text),
    Column("expires", Float),
)

# One-time login links and sessions are the same thing: a hashed secret that stands for a user for a while.
secrets = Table(
    "secrets",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("user_id", String(32), ForeignKey("users.id"), nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
)

mails = Table(
    "mails",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), nullable=False),
    Column("domain_id", String(32), nullable=False),
    Column("recipient", String(320), nullable=False),
    Column("sender", String(320), nullable=False),
    Column("peer", String(64), nullable=False),
    Column("received", Float, nullable=False),
    Column("size", Integer, nullable=False),
    Column("object_key", String(1024), nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("reports", Integer, nullable=False),
    Column("problems", Integer, nullable=False),
    # The SHA-256 of the raw mail as stored in Objects, and when retention deleted it.
    Column("sha256", String(64)),
    Column("raw_taken", Float),
    Index("mails_account", "account_id", "received"),
)

reports = Table(
    "reports",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("identity", String(64), nullable=False),
    Column("content", String(64), nullable=False),
    Column("account_id", String(32), nullable=False),
    Column("domain_id", String(32), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("org_name", Text, nullable=False),
    Column("org_email", Text, nullable=False),
    Column("policy_domain", Text, nullable=False),
    Column("report_id", Text, nullable=False),
    Column("begin", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("day", String(10), nullable=False),
    Column("received", Float, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("messages", BigInteger, nullable=False),
    Column("object_key", String(1024), nullable=False),
    Column("file_name", Text, nullable=False),
    Column("mail_id", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("published", Boolean, nullable=False),
    Column("warnings", Text, nullable=False),
    # When retention deleted the archived attachment, and the rows in Analytics.
    Column("archive_taken", Float),
    Column("rows_taken", Float),
    # The hash of the document without its line ends; NULL for reports from before it was taken down.
    Column("alike", String(64)),
    UniqueConstraint("account_id", "identity", "content", name="reports_identity"),
    Index("reports_domain_day", "account_id", "domain_id", "day"),
    Index("reports_received", "account_id", "received"),
)

# Each time a report came in: the first one counts, the others are duplicates of it.
sightings = Table(
    "sightings",
    metadata,
    Column("report_key", String(64), ForeignKey("reports.key"), primary_key=True),
    Column("mail_id", String(32), primary_key=True),
    Column("where", String(1024), primary_key=True),
    Column("received", Float, nullable=False),
    Index("sightings_mail", "mail_id"),
)

problems = Table(
    "problems",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("account_id", String(32), nullable=False),
    Column("domain_id", String(32), nullable=False),
    Column("mail_id", String(32), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("where", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("object_key", String(1024), nullable=False),
    Column("file_name", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("state", String(16), nullable=False),
    # The report that it is about, the dead letter in the queue; when it was last tried again, and who changed it when.
    Column("report_key", String(64)),
    Column("letter", BigInteger),
    Column("tried", Float),
    Column("changed", Float),
    Column("changed_by", String(320)),
    UniqueConstraint("mail_id", "reason", "where", name="problems_once"),
    Index("problems_account", "account_id", "state", "id"),
    Index("problems_report", "report_key"),
)

# Who changed what. Kept when its account or user goes: it names them, it does not point at them.
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("account_id", String(32)),
    Column("actor", String(16), nullable=False),
    Column("name", String(320), nullable=False),
    Column("action", String(64), nullable=False),
    Column("target", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("peer", String(64), nullable=False),
    Index("audit_account", "account_id", "id"),
    sqlite_autoincrement=True,
)
