"""The database's schema brought up to date by Alembic, on a connection whose transaction is the caller's.

Most processes find a database that is up to date. They read its revision themselves and do not load Alembic, which
takes longer than the command that they were started for.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from dmarcworks.errors import SettingsError

__all__ = ["newest_revision", "upgrade"]

_MIGRATIONS = Path(__file__).parent / "migrations"
_NAME = re.compile(r"([0-9]{4})_\w+\.py")


def upgrade(connection: Connection, name: object) -> str:
    """Run the missing migrations; the revision then. `SettingsError`, which names `name`, for a schema of a newer
    version."""
    current = _revision(connection)
    if current == newest_revision():
        return current
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise SettingsError(
            f"database {name} cannot be migrated ({error}); was it made by a newer dmarcworks?"
        ) from error
    return _revision(connection)


@cache
def newest_revision() -> str:
    """The revision that this version's migrations end with: their files are named by it, in order."""
    names = (_NAME.fullmatch(path.name) for path in (_MIGRATIONS / "versions").iterdir())
    return max(match[1] for match in names if match is not None)


def _revision(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""
