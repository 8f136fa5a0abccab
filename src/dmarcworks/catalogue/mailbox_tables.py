"""Tables of the mailboxes that reports are fetched from. They belong to `tables.metadata`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Integer, String, Table, Text, UniqueConstraint

from dmarcworks.catalogue.tables import metadata

# A mailbox: its settings, the lease of the process that fetches from it, and its state. `secret` is encrypted.
mailboxes = Table(
    "mailboxes",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), ForeignKey("accounts.id"), nullable=False),
    Column("name", String(63), nullable=False),
    Column("url", Text, nullable=False),
    Column("settle", String(255), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("secret", Text),
    Column("password_file", Text, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("created", Float, nullable=False),
    Column("changed", Float, nullable=False),
    Column("requested", Float, nullable=False),
    Column("holder", String(255), nullable=False),
    Column("lease", Float, nullable=False),
    Column("state", String(16), nullable=False),
    Column("next_try", Float, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("error_code", String(32), nullable=False),
    Column("error", Text, nullable=False),
    Column("last_run", Float),
    Column("last_mail", Float),
    # Mails that are being accepted, as JSON: [folder, key, time of receipt]. After a crash they keep that time.
    Column("taking", Text, nullable=False),
    Column("waiting", BigInteger, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("known", BigInteger, nullable=False),
    Column("left_alone", BigInteger, nullable=False),
    Column("too_large", BigInteger, nullable=False),
    Column("gone", BigInteger, nullable=False),
    UniqueConstraint("account_id", "name", name="mailboxes_once"),
)

# How far a folder is: the source's own marker (for IMAP UIDVALIDITY and the UIDs that are done), and what waits.
mailbox_folders = Table(
    "mailbox_folders",
    metadata,
    Column("mailbox_id", String(32), ForeignKey("mailboxes.id"), primary_key=True),
    Column("folder", String(255), primary_key=True),
    Column("marker", Text, nullable=False),
    Column("waiting", BigInteger, nullable=False),
    Column("error", Text, nullable=False),
)

# Mail without a report, which stays in its mailbox untouched; the newest of each mailbox.
mailbox_left = Table(
    "mailbox_left",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("mailbox_id", String(32), ForeignKey("mailboxes.id"), nullable=False),
    Column("folder", String(255), nullable=False),
    Column("uid", String(255), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
    UniqueConstraint("mailbox_id", "folder", "uid", name="mailbox_left_once"),
)
