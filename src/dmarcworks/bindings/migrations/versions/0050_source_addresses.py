"""Source addresses: their names from DNS, and which of them are to be looked up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "source_addresses",
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("ptr", sa.String(length=255), nullable=True),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("answered", sa.Boolean(), nullable=False),
        sa.Column("looked_up", sa.Float(), nullable=True),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.Column("due", sa.Float(), nullable=True),
        sa.Column("claimed", sa.Float(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("address"),
    )
    op.create_index("source_addresses_due", "source_addresses", ["due"], unique=False)


def downgrade() -> None:
    """Without the table; names of addresses are looked up again by the version that has it."""
    op.drop_table("source_addresses")
