"""Setting up domains: what DNS showed, who has proven a domain, claims to domains, and notices to accounts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0062"
down_revision = "0060"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; the first rows of the domains that there are come with their first check."""
    op.create_table(
        "domain_setups",
        sa.Column("domain_id", sa.String(length=32), nullable=False),
        sa.Column("parked", sa.Boolean(), nullable=False),
        sa.Column("proven", sa.Float(), nullable=True),
        sa.Column("evidence", sa.String(length=8), nullable=False),
        sa.Column("answers", sa.Text(), nullable=False),
        sa.Column("checked", sa.Float(), nullable=True),
        sa.Column("resolver", sa.String(length=255), nullable=False),
        sa.Column("due", sa.Float(), nullable=True),
        sa.Column("claimed", sa.Float(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("domain_id"),
    )
    op.create_index("domain_setups_due", "domain_setups", ["due"], unique=False)
    op.create_table(
        "domain_claims",
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=253), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("checked", sa.Float(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("due", sa.Float(), nullable=False),
        sa.Column("claimed", sa.Float(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token"),
        sa.UniqueConstraint("account_id", "name", name="domain_claims_once"),
    )
    op.create_index("domain_claims_due", "domain_claims", ["due"], unique=False)
    op.create_table(
        "account_notices",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("domain", sa.String(length=253), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("account_notices_account", "account_notices", ["account_id", "id"], unique=False)


def downgrade() -> None:
    """There is no way back: restore a backup."""
    raise RuntimeError(
        "this migration cannot be undone: restore the backup from before the upgrade (docs/upgrading.md)"
    )
