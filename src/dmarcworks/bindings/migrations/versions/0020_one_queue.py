"""One table for all queues, the system's own and those of users' workers.

Accepted mail keeps its numbers, because problems refer to dead letters by them. Workers' messages get new ones after
the largest that was ever given.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0008"
branch_labels = None
depends_on = None

_COLUMNS = "queue, type, body, sent, ready, leased, attempts, failures, lost, dead, error"


def upgrade() -> None:
    """Make the new table, move what the two before it hold, drop those, and give it the name of the first."""
    op.create_table(
        "queue_new",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=8), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sent", sa.Float(), nullable=False),
        sa.Column("ready", sa.Float(), nullable=False),
        sa.Column("leased", sa.Float(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("lost", sa.Integer(), nullable=False),
        sa.Column("dead", sa.Float(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    body = "CAST(body AS BLOB)" if sqlite else "convert_to(body, 'UTF8')"
    op.execute(
        f"INSERT INTO queue_new (id, {_COLUMNS}) SELECT id, 'dmarc', 'json', {body},"  # noqa: S608 - our names
        " sent, ready, leased, attempts, failures, lost, dead, error FROM queue ORDER BY id"
    )
    if sqlite:
        # Ids are never reused: continue after the largest, also when its message is gone.
        op.execute("DELETE FROM sqlite_sequence WHERE name = 'queue_new'")
        op.execute(
            "INSERT INTO sqlite_sequence (name, seq)"
            " SELECT 'queue_new', coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'queue'"
        )
    else:
        op.execute("SELECT setval(pg_get_serial_sequence('queue_new', 'id'), last_value, is_called) FROM queue_id_seq")
    # A worker's `attempts` counts tries; `failures` are those before the next one.
    op.execute(
        f"INSERT INTO queue_new ({_COLUMNS}) SELECT queue, type, body,"  # noqa: S608 - our names
        " sent, ready, leased, attempts, attempts, 0, dead, error FROM worker_queue ORDER BY id"
    )
    op.drop_table("queue")
    op.drop_table("worker_queue")
    op.rename_table("queue_new", "queue")
    op.create_index("queue_waiting", "queue", ["queue", "dead", "ready", "id"], unique=False)


def downgrade() -> None:
    """There is no way back: restore a backup."""
    raise RuntimeError(
        "this migration cannot be undone: restore the backup from before the upgrade (docs/upgrading.md)"
    )
