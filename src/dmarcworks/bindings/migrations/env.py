"""Alembic's entry point, run by `SqliteDatabase.migrate` on the connection that it hands in; no alembic.ini needed."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], target_metadata=None)
with context.begin_transaction():
    context.run_migrations()
