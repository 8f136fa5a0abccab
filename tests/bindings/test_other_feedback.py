"""Promise of the upgrade: complaints that were open problems are other mail, and no other problem changes."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from dmarcworks.bindings.open import open_database

MIGRATIONS = Path(__file__).parents[2] / "src" / "dmarcworks" / "bindings" / "migrations"
PROBLEM = text(
    'INSERT INTO problems (account_id, domain_id, mail_id, reason, "where", detail, object_key, file_name, created,'
    " state)"
    " VALUES ('a', 'd', :mail_id, :reason, 'part 2', '', '', '', 0, :state)"
)
BEFORE = [
    {"mail_id": "1", "reason": "not_a_dmarc_failure", "state": "open"},
    {"mail_id": "2", "reason": "not_a_dmarc_failure", "state": "discarded"},
    {"mail_id": "3", "reason": "format_not_read", "state": "open"},
    {"mail_id": "4", "reason": "bounce", "state": "other"},
]


async def test_complaints_become_other_mail(tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))

    def to(connection: Connection, revision: str) -> None:
        config.attributes["connection"] = connection
        (command.upgrade if revision == "0058" else command.downgrade)(config, revision)

    def old_schema(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, "0050")

    database = open_database(f"sqlite:///{tmp_path}/test.db")
    try:
        async with database.write() as connection:
            await connection.run_sync(old_schema)
            await connection.execute(PROBLEM, BEFORE)
            await connection.run_sync(to, "0058")
            states = (await connection.execute(text("SELECT mail_id, state FROM problems ORDER BY mail_id"))).all()
            assert [tuple(row) for row in states] == [("1", "other"), ("2", "discarded"), ("3", "open"), ("4", "other")]
            await connection.run_sync(to, "0050")
            states = (await connection.execute(text("SELECT mail_id, state FROM problems ORDER BY mail_id"))).all()
            assert [tuple(row) for row in states] == [("1", "open"), ("2", "discarded"), ("3", "open"), ("4", "other")]
    finally:
        await database.close()
