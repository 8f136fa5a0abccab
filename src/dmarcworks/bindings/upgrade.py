"""The database's schema brought up to date by Alembic, on a connection whose transaction is the caller's."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util.exc import CommandError
from sqlalchemy import Connection

from dmarcworks.errors import SettingsError

__all__ = ["upgrade"]

_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(connection: Connection, name: object) -> str:
    """Run what is missing; the revision then. `SettingsError`, which says `name`, for a schema of a newer version."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise SettingsError(
            f"database {name} cannot be migrated ({error}); was it made by a newer dmarcworks?"
        ) from error
    return MigrationContext.configure(connection).get_current_revision() or ""
