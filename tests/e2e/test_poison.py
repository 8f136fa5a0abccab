"""A mail that its reader cannot bear stops neither its neighbours nor the process's end, and is a problem at last."""

from __future__ import annotations

import contextlib
import re
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import poisonous
from tests.support.mails import report_mail
from tests.support.poisonous import DEADLY, ENDLESS, KILLABLE
from tests.support.system import System, wait_for

COMMAND = [sys.executable, poisonous.__file__]


def marked(mark: bytes, name: str) -> bytes:
    return mark + b"\r\n" + report_mail(name)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    settings = {"DMARCWORKS_QUEUE_LEASE_SECONDS": "10", "DMARCWORKS_QUEUE_MAX_RETRIES": "1"}
    running = System(tmp_path / "home", settings, command=COMMAND)
    yield running
    if running.alive:
        running.stop()


def rush(system: System) -> None:
    """Let every lease run out now: a test need not wait for it."""
    with contextlib.closing(sqlite3.connect(system.home / "dmarcworks.db", timeout=10)) as connection, connection:
        connection.execute("UPDATE queue SET ready = ready - 3600, leased = leased - 3600 WHERE leased IS NOT NULL")


def idle(system: System) -> bool:
    return not system.rows("SELECT id FROM queue WHERE dead IS NULL")


def test_a_mail_that_kills_the_process_is_given_up_and_its_neighbours_are_read(system: System) -> None:
    """It takes its batch along once, and a few of it again; then each comes alone, and after its retries it is a dead
    letter with a reason."""
    system.add_domains("example.com")
    rua = system.rua["example.com"]
    mails = [report_mail("one"), marked(DEADLY, "poison"), report_mail("two")]
    system.keep(rua, *mails)
    deaths = 0
    for _ in range(5):
        rush(system)
        system.launch()
        wait_for(lambda: not system.alive or idle(system), "dead or done")
        if system.alive:
            break
        assert system.process is not None
        assert system.process.returncode == -signal.SIGKILL
        deaths += 1
    # The first try, one in company for which nobody is blamed, and one retry.
    assert deaths == 3
    system.up()
    assert system.total() == 10
    (problem,) = system.problems()
    assert (problem["reason"], problem["detail"]) == (
        "gave_up",
        "Reading this mail failed 2 times; the last error was:"
        " the process ended or it took longer than 10 s, again and again",
    )
    assert (system.home / "objects" / problem["object_key"]).read_bytes() == mails[1]
    assert system.send(rua, report_mail("three")) == [(250, "")]
    wait_for(lambda: system.total() == 15, "counted")


def test_a_read_that_outlasts_the_end_is_handed_back(system: System) -> None:
    """SIGTERM in the middle of an endless read: exit status 0 within 10 s, the mail is ready for the next process."""
    system.start()
    system.add_domains("example.com")
    rua = system.rua["example.com"]
    assert system.send(rua, report_mail("one"), marked(ENDLESS, "long")) == [(250, "")] * 2
    waiting = "SELECT count(*) AS all_, count(leased) AS leased FROM queue"
    wait_for(lambda: system.rows(waiting) == [{"all_": 1, "leased": 1}], "one read, one in hand")
    began = time.monotonic()
    assert system.stop() == 0
    assert time.monotonic() - began < 10
    assert "returned to the queue" in system.log.read_text()
    # With its fraction: SQLite's unixepoch() is of whole seconds and would still lie before this.
    assert system.rows(f"SELECT leased, dead, failures FROM queue WHERE ready <= {time.time()}") == [
        {"leased": None, "dead": None, "failures": 0}
    ]


def test_a_read_that_never_ends_is_stopped_and_its_neighbours_are_read(system: System) -> None:
    """Its neighbours go on at once; it is a problem that names the limit, its mail is kept and comes never again."""
    system.settings |= {"DMARCWORKS_READ_CPU_SECONDS": "3", "DMARCWORKS_QUEUE_LEASE_SECONDS": "300"}
    system.start()
    system.add_domains("example.com")
    rua = system.rua["example.com"]
    mails = [report_mail("one"), marked(ENDLESS, "long"), marked(KILLABLE, "end"), report_mail("two")]
    assert system.send(rua, *mails) == [(250, "")] * 4
    wait_for(lambda: system.total() == 10, "neighbours read", 60)
    wait_for(lambda: len(system.problems()) == 2, "two problems", 60)
    killable, endless = sorted(system.problems(), key=lambda problem: problem["detail"])
    assert [problem["reason"] for problem in (killable, endless)] == ["reading_stopped"] * 2
    assert killable["detail"] == "Reading this mail was stopped: it ended its process."
    assert endless["detail"] == (
        "Reading this mail was stopped: it used more than 3 s of processor time. The limit is the setting "
        "DMARCWORKS_READ_CPU_SECONDS; raise it and retry, or discard the mail."
    )
    assert (system.home / "objects" / endless["object_key"]).read_bytes() == mails[1]
    system.settle()
    assert system.rows("SELECT * FROM queue") == []
    figures = dict(re.findall(r"^(dmarcworks_isolated_kills_total\S+) (\S+)", system.get("/metrics")[1], re.MULTILINE))
    kills = "dmarcworks_isolated_kills_total"
    apart = {reason: figures.pop(f'{kills}{{pool="read_alone",reason="{reason}"}}') for reason in ("cpu", "died")}
    assert apart == {"cpu": "1.0", "died": "1.0"}
    # Once when it came alone or at the end of a turn; twice when it first took a group along.
    assert set(figures) == {f'{kills}{{pool="read",reason="{reason}"}}' for reason in ("cpu", "died")}
    assert set(figures.values()) <= {"1.0", "2.0"}
    assert system.process is not None
    assert system.alive
