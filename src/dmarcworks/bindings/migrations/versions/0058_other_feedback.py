"""Problems: feedback about abuse and the like is other mail, as all mail that is no report."""

from __future__ import annotations

from alembic import op

revision = "0058"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """List it as other mail; it was an open problem that nobody could solve."""
    op.execute("UPDATE problems SET state = 'other' WHERE state = 'open' AND reason = 'not_a_dmarc_failure'")


def downgrade() -> None:
    """It is a problem again."""
    op.execute("UPDATE problems SET state = 'open' WHERE state = 'other' AND reason = 'not_a_dmarc_failure'")
