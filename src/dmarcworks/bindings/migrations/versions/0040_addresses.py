"""Addresses at earlier host names, removed domains by their ids, and users who are disabled.

A domain that was removed before this version is found by its line in the audit log and by the reports about it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, and note what was removed before."""
    op.create_table(
        "rua_addresses",
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("domain_id", sa.String(length=32), nullable=False),
        sa.Column("replaced", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["domains.id"]),
        sa.PrimaryKeyConstraint("address"),
    )
    op.create_index("rua_addresses_domain", "rua_addresses", ["domain_id"], unique=False)
    op.create_table(
        "removed_domains",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=253), nullable=False),
        sa.Column("removed", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("removed_domains_name", "removed_domains", ["account_id", "name"], unique=False)
    op.add_column("users", sa.Column("disabled", sa.Float(), nullable=True))
    op.execute(
        "INSERT INTO removed_domains (id, account_id, name, removed)"
        " SELECT reports.domain_id, audit.account_id, min(audit.target), max(audit.at) FROM audit"
        " JOIN reports ON reports.account_id = audit.account_id AND reports.policy_domain = audit.target"
        " JOIN accounts ON accounts.id = audit.account_id"
        " WHERE audit.action = 'domain.remove' AND reports.state = 'counted'"
        " AND reports.domain_id NOT IN (SELECT id FROM domains)"
        " GROUP BY reports.domain_id, audit.account_id"
    )


def downgrade() -> None:
    """There is no way back: restore a backup."""
    raise RuntimeError(
        "this migration cannot be undone: restore the backup from before the upgrade (docs/upgrading.md)"
    )
