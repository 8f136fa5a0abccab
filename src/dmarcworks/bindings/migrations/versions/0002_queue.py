"""What the queue remembers of failed deliveries, and what became of a problem."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Count failures apart from deliveries; store a problem's report, dead letter and last change."""
    op.add_column("queue", sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("queue", sa.Column("lost", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("problems", sa.Column("report_key", sa.String(length=64), nullable=True))
    op.add_column("problems", sa.Column("letter", sa.BigInteger(), nullable=True))
    op.add_column("problems", sa.Column("tried", sa.Float(), nullable=True))
    op.add_column("problems", sa.Column("changed", sa.Float(), nullable=True))
    op.add_column("problems", sa.Column("changed_by", sa.String(length=320), nullable=True))
    op.create_index("problems_report", "problems", ["report_key"], unique=False)
