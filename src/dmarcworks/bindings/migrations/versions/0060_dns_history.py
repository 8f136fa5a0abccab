"""DNS records of domains: their states over time, the newest report card, and the schedule of the checks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0060"
down_revision = "0058"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _states()
    op.create_table(
        "dns_cards",
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("domain_id", sa.String(length=32), nullable=False),
        sa.Column("checked", sa.Float(), nullable=False),
        sa.Column("resolver", sa.String(length=255), nullable=False),
        sa.Column("answered", sa.Boolean(), nullable=False),
        sa.Column("card", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("account_id", "domain_id"),
    )
    op.create_table(
        "dns_checks",
        sa.Column("domain_id", sa.String(length=32), nullable=False),
        sa.Column("part", sa.String(length=16), nullable=False),
        sa.Column("due", sa.Float(), nullable=False),
        sa.Column("requested", sa.Float(), nullable=True),
        sa.Column("claimed", sa.Float(), nullable=False),
        sa.Column("holder", sa.String(length=32), nullable=False),
        sa.Column("checked", sa.Float(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("selectors", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["domains.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("domain_id", "part"),
    )
    op.create_index("dns_checks_due", "dns_checks", ["due"], unique=False)
    op.create_index("dns_checks_requested", "dns_checks", ["requested"], unique=False)
    op.create_table(
        "dns_pace",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("reserved", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _states() -> None:
    op.create_table(
        "dns_states",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("domain_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("records", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("shortened", sa.Boolean(), nullable=False),
        sa.Column("codes", sa.Text(), nullable=False),
        sa.Column("first_seen", sa.Float(), nullable=False),
        sa.Column("last_seen", sa.Float(), nullable=False),
        sa.Column("checked", sa.Float(), nullable=False),
        sa.Column("failure", sa.String(length=200), nullable=False),
        sa.Column("resolver", sa.String(length=255), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("dns_states_domain", "dns_states", ["account_id", "domain_id", "id"], unique=False)


def downgrade() -> None:
    """There is no way back: restore a backup."""
    raise RuntimeError(
        "this migration cannot be undone: restore the backup from before the upgrade (docs/upgrading.md)"
    )
