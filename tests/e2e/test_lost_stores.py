"""Promise: a store that lost its content is never taken for a new one, and an address of ours is never answered 550."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.mails import report_mail
from tests.support.system import COMMAND, System, wait_for

REPORTS = 3


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> System:
    """A stopped system with three reports, to be copied."""
    made = System(tmp_path_factory.mktemp("filled") / "home")
    made.start()
    rua = made.add_domain("example.com")["rua"]
    assert made.send(rua, *(report_mail(f"r{n}") for n in range(REPORTS))) == [(250, "")] * REPORTS
    made.settle()
    wait_for(lambda: list((made.home / "objects" / "domains").glob("*.json")) or _noted(made), "the domain noted")
    assert made.stop() == 0
    return made


def _noted(system: System) -> bool:
    """The server notes domains once a minute; a new start does it at once."""
    system.stop()
    system.start()
    return False


@pytest.fixture
def copy(filled: System, tmp_path: Path) -> System:
    """A copy of it, for one test to break."""
    shutil.copytree(filled.home, tmp_path / "home", symlinks=True)
    return System(tmp_path / "home", token=filled.token, account_id=filled.account_id, rua=dict(filled.rua))


def refusal(system: System, *options: str) -> str:
    """What `serve` says when it refuses to start; its exit status is 1."""
    with system.output.open("wb") as out, system.log.open("wb") as log:
        process = subprocess.Popen([*COMMAND, "serve", *options], env=system.environment, stdout=out, stderr=log)
    try:
        wait_for(lambda: process.poll() is not None or "is up" in system.output.read_text(), "up or ended")
        assert process.poll() == 1, "it started"
    finally:
        process.kill()
        process.wait()
    return system.log.read_text().splitlines()[-1]


def drop_database(home: Path) -> None:
    for path in home.glob("dmarcworks.db*"):
        path.unlink()


def empty_database(home: Path) -> None:
    with contextlib.closing(sqlite3.connect(home / "dmarcworks.db")) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            if name != "alembic_version" and not name.startswith("sqlite_"):
                connection.execute(f"DELETE FROM {name}")
        connection.commit()


def zero_database(home: Path) -> None:
    drop_database(home)
    (home / "dmarcworks.db").touch()


def only_inbox(home: Path) -> None:
    drop_database(home)
    shutil.rmtree(home / "analytics")
    for entry in (home / "objects").iterdir():
        if entry.name != "inbox":
            shutil.rmtree(entry)


def engine(home: Path, *statements: str) -> None:
    """Run statements in the figures, without a server."""
    code = "import sys, chdb; s = chdb.connect(sys.argv[1]); [s.query(t) for t in sys.argv[2:]]; s.close()"
    subprocess.run([COMMAND[0], "-c", code, str(home / "analytics"), *statements], check=True, timeout=60)


def unmark(home: Path) -> None:
    """As a version that wrote no id leaves it."""
    shutil.rmtree(home / "objects" / "system")
    with contextlib.closing(sqlite3.connect(home / "dmarcworks.db")) as connection:
        connection.execute("DELETE FROM kv WHERE key = CAST('system:id' AS BLOB)")
        connection.commit()
    engine(home, "DROP TABLE dmarcworks.system_identity", "DELETE FROM dmarcworks.schema_versions WHERE version > 7")


def old_without_database(home: Path) -> None:
    unmark(home)
    drop_database(home)


def two_ids_gone(home: Path) -> None:
    shutil.rmtree(home / "objects" / "system")
    drop_database(home)


@pytest.mark.parametrize(
    "lose", [drop_database, empty_database, zero_database, only_inbox, old_without_database, two_ids_gone]
)
def test_a_lost_database_is_named_and_rebuilt(copy: System, lose: Callable[[Path], None]) -> None:
    """`serve` and `domain add` refuse with the command; after it the address is known and the sums are as before."""
    lose(copy.home)
    said = refusal(copy)
    assert "the database sqlite:///" in said
    assert "`dmarcworks replay --catalogue`" in said
    assert "`dmarcworks restore DIR --force`" in said
    assert "replay --catalogue" in refusal(copy, "--roles", "smtp")
    assert copy.cli("domain", "add", "other.example").returncode == 1
    piped = subprocess.run(
        [*COMMAND, "deliver", "--to", copy.rua["example.com"]],
        env=copy.environment, input=report_mail("piped"), capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert piped.returncode == 75, piped.stderr
    if lose is only_inbox:  # whose address is whose is gone with domains/: only a backup knows
        return
    rebuilt = copy.cli("replay", "--catalogue")
    assert rebuilt.returncode == 0, rebuilt.stderr
    copy.start()
    assert copy.ready()["status"] == "ok"
    assert copy.send(copy.rua["example.com"], report_mail("after")) == [(250, "")]
    copy.settle()
    assert copy.json("verify")["differences"] == []
    copy.token = copy.json("token", "create")["token"]
    assert copy.total() == 5 * (REPORTS + 1)
    assert copy.stop() == 0


def test_a_rebuild_of_the_database_that_was_cut_off_is_not_a_system(copy: System) -> None:
    """Until `replay --catalogue` has ended no server starts on half a catalogue; run again, it ends."""
    drop_database(copy.home)
    broken = next((copy.home / "objects" / "domains").glob("*.json"))
    whole = broken.read_bytes()
    broken.write_bytes(b"{")
    assert copy.cli("replay", "--catalogue").returncode == 1
    assert "`dmarcworks replay --catalogue` has not finished" in refusal(copy)
    broken.write_bytes(whole)
    assert copy.cli("replay", "--catalogue").returncode == 0
    copy.start()
    assert copy.stop() == 0


def drop_analytics(home: Path) -> None:
    shutil.rmtree(home / "analytics")


def empty_analytics(home: Path) -> None:
    engine(home, *(f"TRUNCATE TABLE dmarcworks.{kind}_reports" for kind in ("dmarc", "tls", "failure")))


@pytest.mark.parametrize("lose", [drop_analytics, empty_analytics])
def test_lost_figures_are_named_and_rebuilt(copy: System, lose: Callable[[Path], None]) -> None:
    """Published reports without rows: `replay` is named; mail can be accepted meanwhile by the role smtp alone."""
    lose(copy.home)
    said = refusal(copy)
    assert "the analytics store chdb:///" in said
    assert "`dmarcworks replay`" in said
    assert copy.cli("backup", str(copy.home.parent / "backup")).returncode == 1
    assert copy.cli("verify").returncode == 1
    done = copy.cli("replay")
    assert done.returncode == 0, done.stderr
    copy.start()
    assert copy.total() == 5 * REPORTS
    assert copy.json("verify")["differences"] == []
    assert copy.stop() == 0


def test_lost_objects_are_named_and_can_be_given_up(copy: System) -> None:
    """Reports and raw mails that the database names are gone: `restore` is named; the operator may go on without."""
    shutil.rmtree(copy.home / "objects")
    said = refusal(copy)
    assert "the object store file:///" in said
    assert "`dmarcworks restore DIR --force`" in said
    assert "--accept-loss" in said
    process = subprocess.Popen(
        [*COMMAND, "serve", "--accept-loss"], env=copy.environment, stdout=copy.output.open("wb")
    )
    copy.process = process
    copy.up()
    assert copy.total() == 5 * REPORTS
    assert copy.stop() == 0
    copy.start()
    assert copy.json("verify")["differences"] == []
    assert copy.stop() == 0


def test_stores_of_two_systems_are_not_mixed(copy: System, tmp_path: Path) -> None:
    """A database, an object store or figures of another system are refused, by its settings' names."""
    other = System(tmp_path / "other")
    other.start()
    assert other.stop() == 0
    copy.settings["DMARCWORKS_DATABASE_URL"] = f"sqlite:///{other.home / 'dmarcworks.db'}"
    assert "check DMARCWORKS_DATABASE_URL and DMARCWORKS_OBJECTS_URL" in refusal(copy)
    copy.settings = {"DMARCWORKS_OBJECTS_URL": f"file://{other.home / 'objects'}"}
    assert "check DMARCWORKS_DATABASE_URL and DMARCWORKS_OBJECTS_URL" in refusal(copy)
    copy.settings = {"DMARCWORKS_ANALYTICS_URL": f"chdb://{other.home / 'analytics'}"}
    assert "check DMARCWORKS_ANALYTICS_URL" in refusal(copy)
    copy.settings = {"DMARCWORKS_DATABASE_URL": f"sqlite:///{tmp_path / 'new.db'}"}
    assert "replay --catalogue" in refusal(copy)
    copy.settings = {}
    copy.start()
    assert copy.stop() == 0


def test_a_system_of_a_version_without_ids_is_adopted(copy: System) -> None:
    """Stores that fit together get the id at the first start; nothing else changes."""
    unmark(copy.home)
    copy.start()
    assert copy.total() == 5 * REPORTS
    assert copy.stop() == 0
    with contextlib.closing(sqlite3.connect(copy.home / "dmarcworks.db")) as connection:
        (found,) = connection.execute("SELECT value FROM kv WHERE key = CAST('system:id' AS BLOB)").fetchone()
    assert (copy.home / "objects" / "system" / "id").read_bytes() == found + b"\n"


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize("lose", [drop_database, empty_database])
def test_a_database_lost_under_a_running_server_is_451(
    copy: System, lose: Callable[[Path], None], processes: str
) -> None:
    """The file is removed or emptied: RCPT is 451, never 550 or 250; /readyz is 503 and names the database."""
    copy.settings["DMARCWORKS_SMTP_PROCESSES"] = processes
    copy.start()
    rua = copy.rua["example.com"]
    assert copy.send("nobody@reports.example.net", report_mail("x"))[0][0] == 550
    lose(copy.home)
    for to in (rua, "nobody@reports.example.net"):
        ((code, words),) = copy.send(to, report_mail("lost"))
        assert (code, words[:5]) == (451, "4.3.0"), words
    status, body = copy.get("/readyz")
    assert status == 503
    assert "serve` then names the command" in json.loads(body)["stores"]["database"]
    assert copy.stop() == 0
    assert "replay --catalogue" in refusal(copy)


def test_what_is_new_starts_as_new(tmp_path: Path) -> None:
    """No directory, an empty one, empty stores, a domain in a database that no server had, a start that was cut off."""
    for name, prepare in {
        "none": lambda home: None,
        "empty": lambda home: home.mkdir(),
        "objects": lambda home: (home / "objects").mkdir(parents=True),
        "inbox": lambda home: (home / "objects" / "inbox" / "2026").mkdir(parents=True),
        "domain": lambda home: System(home).add_domains("example.com"),
    }.items():
        fresh = System(tmp_path / name)
        prepare(fresh.home)
        fresh.start()
        assert fresh.ready()["status"] == "ok"
        assert fresh.stop() == 0
    shutil.rmtree(tmp_path / "none" / "objects")  # ended before the second of the two writes
    again = System(tmp_path / "none")
    again.start()
    assert again.stop() == 0


def test_a_backup_of_an_empty_system_is_restored(tmp_path: Path) -> None:
    """And the restored one is the same system: its three stores carry one id."""
    first = System(tmp_path / "first")
    first.start()
    assert first.cli("backup", str(tmp_path / "backup")).returncode == 0
    assert first.stop() == 0
    second = System(tmp_path / "second")
    second.add_domains()  # opens the stores, and leaves them empty
    done = second.cli("restore", str(tmp_path / "backup"))
    assert done.returncode == 0, done.stderr
    second.start()
    assert second.ready()["status"] == "ok"
    assert second.stop() == 0
    ids = [(tmp_path / name / "objects" / "system" / "id").read_text() for name in ("first", "second")]
    assert ids[0] == ids[1]


def test_retention_of_everything_is_no_loss(copy: System) -> None:
    """Rows, archives and raw mails deleted by retention leave an empty archive that starts."""
    copy.start()
    with contextlib.closing(sqlite3.connect(copy.home / "dmarcworks.db", timeout=10)) as connection:
        connection.execute("UPDATE mails SET received = received - 200000000")
        connection.execute("UPDATE reports SET received = received - 200000000")
        connection.commit()
    for kind in ("raw_mails", "archived_reports", "records"):
        copy.json("retention", "set", kind, "1")
    assert copy.cli("retention", "run").returncode == 0
    assert copy.rows("SELECT key FROM reports WHERE rows_taken IS NULL OR archive_taken IS NULL") == []
    assert copy.stop() == 0
    copy.start()
    assert copy.ready()["status"] == "ok"
    assert copy.stop() == 0
