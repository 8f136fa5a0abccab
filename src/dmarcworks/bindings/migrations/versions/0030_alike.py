"""Reports: the hash of the document without line ends, so that one report is counted once however it was transported.

Revision ID: 0030
Revises: 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0030"
down_revision: str | None = "0020"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Reports from before have none: their bytes are compared."""
    op.add_column("reports", sa.Column("alike", sa.String(length=64), nullable=True))
    # Mail that is no report was an open problem; it is listed as other mail.
    op.execute("UPDATE problems SET state = 'other' WHERE state = 'open' AND reason = 'no_report'")


def downgrade() -> None:
    """Without the column; other mail is a problem again."""
    op.drop_column("reports", "alike")
    op.execute("UPDATE problems SET state = 'open' WHERE state = 'other'")
