"""Promise of the upgrade to one table of queues: what waited, was leased or was dead is all there, with its numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from dmarcworks.bindings.contracts import SYSTEM_QUEUE, Database, OutgoingMessage
from dmarcworks.bindings.open import open_database, open_queue
from dmarcworks.bindings.queue import SqlQueue
from dmarcworks.ingest.item import MailItem
from tests.support.postgres import Clock, fresh

MIGRATIONS = Path(__file__).parents[2] / "src" / "dmarcworks" / "bindings" / "migrations"
# As the version before wrote it: no version, and text instead of bytes.
OLD = {
    "mail_id": "a" * 32,
    "object_key": "inbox/2026/11/28/x.eml",
    "account_id": "b" * 32,
    "domain_id": "c" * 32,
    "domain": "exämple.test",
    "recipient": "r@reports.example.net",
    "sender": "noreply@receiver.example",
    "peer": "192.0.2.1",
    "helo": "mx.receiver.example",
    "received": 1_795_000_000.25,
    "size": 1234,
    "sha256": "d" * 64,
}


def old_schema(connection: Connection) -> None:
    """The schema of the version before."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "0008")


async def before(database: Database, clock: Clock) -> None:
    """Mail that waits, that was leased and that is dead; a worker's message of each kind; the newest mail is gone."""
    mail = text(
        "INSERT INTO queue (id, body, sent, ready, leased, attempts, dead, error, failures, lost)"
        " VALUES (:id, :body, :sent, :ready, :leased, :attempts, :dead, :error, :failures, :lost)"
    )
    worker = text(
        "INSERT INTO worker_queue (id, queue, type, body, sent, ready, leased, attempts, dead, error)"
        " VALUES (:id, :queue, :type, :body, :sent, :ready, NULL, :attempts, :dead, :error)"
    )
    now = clock.now
    row = {"body": json.dumps(OLD), "sent": now, "ready": now, "leased": None, "attempts": 0, "dead": None}
    row |= {"error": None, "failures": 0, "lost": 0}
    own = {"queue": "mine", "type": "text", "sent": now, "ready": now, "attempts": 0, "dead": None, "error": None}
    async with database.write() as connection:
        await connection.run_sync(old_schema)
        for values in (
            {"id": 11},
            {"id": 12, "ready": now + 60, "leased": now + 60, "attempts": 2, "failures": 1},
            {"id": 13, "attempts": 6, "failures": 6, "dead": now, "error": "boom"},
            {"id": 40},
        ):
            await connection.execute(mail, row | values)
        await connection.execute(text("DELETE FROM queue WHERE id = 40"))
        await connection.execute(worker, own | {"id": 1, "body": b"waits"})
        dead = {"id": 2, "body": b"\x00\xff", "type": "bytes", "attempts": 4, "dead": now, "error": "bad"}
        await connection.execute(worker, own | dead)
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SELECT setval('queue_id_seq', 40)"))


@pytest.mark.parametrize("form", ["sqlite", "postgresql"])
async def test_everything_is_there_after_the_upgrade(
    form: str, tmp_path: Path, clock: Clock, request: pytest.FixtureRequest
) -> None:
    """Accepted mail keeps its numbers, since problems refer to them; no number is ever given twice."""
    url = f"sqlite:///{tmp_path / 'old.db'}"
    if form == "postgresql":
        url = await fresh(request.getfixturevalue("postgres"))
    database = open_database(url)
    await before(database, clock)
    await database.migrate()
    queue: SqlQueue = type(open_queue(database))(database, clock)  # type: ignore[arg-type]

    (mail,) = await queue.receive(SYSTEM_QUEUE, lease=600)
    assert (mail.id, mail.deliveries, mail.failures) == (11, 1, 0)
    assert MailItem.from_json(mail.body) == MailItem(**OLD)  # type: ignore[arg-type]
    clock.now += 60
    (leased,) = await queue.receive(SYSTEM_QUEUE, lease=600)
    assert (leased.id, leased.deliveries, leased.failures) == (12, 3, 2)
    (dead,) = await queue.dead(SYSTEM_QUEUE)
    assert (dead.id, dead.deliveries, dead.failures, dead.error) == (13, 6, 6, "boom")

    (message,) = await queue.receive("mine")
    assert (message.id, message.type, message.body, message.failures) == (41, "text", b"waits", 0)
    (letter,) = await queue.dead()
    assert (letter.id, letter.queue, letter.type, letter.body, letter.failures, letter.error) == (
        (42, "mine", "bytes", b"\x00\xff", 4, "bad")
    )
    assert list(await queue.send("mine", [OutgoingMessage("text", b"new")])) == [43]
    await database.close()
