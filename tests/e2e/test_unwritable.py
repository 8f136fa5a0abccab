"""A store that cannot be written: 451 and never 250, the process lives on, and it recovers by itself.

File permissions do not bind root, so each store stands on a small memory file system of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.disks import Disks
from tests.support.mails import report_mail
from tests.support.system import System, skip, wait_for


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disks]:
    if os.geteuid():
        skip("mounting needs root")
    made = Disks(tmp_path_factory.mktemp("disks"))
    made.mount()
    yield made
    made.unmount()


@pytest.fixture(scope="module")
def system(disks: Disks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    urls = {
        "DMARCWORKS_OBJECTS_URL": f"file://{disks.path('objects')}/objects",
        "DMARCWORKS_DATABASE_URL": f"sqlite:///{disks.path('database')}/dmarcworks.db",
        "DMARCWORKS_ANALYTICS_URL": f"chdb://{disks.path('analytics')}/analytics",
        # The disks shall be filled to the last block.
        "DMARCWORKS_INBOX_FREE_SHARE": "0",
    }
    running = System(tmp_path_factory.mktemp("unwritable") / "home", urls)
    running.start()
    yield running
    if running.alive:
        running.stop()


@pytest.fixture(scope="module")
def rua(system: System) -> str:
    system.add_domains("example.com")
    return system.rua["example.com"]


def refused_then_taken(system: System, rua: str, name: str, heal: object) -> None:
    before = system.total()
    (reply,) = system.send(rua, report_mail(name))
    assert reply == (451, "4.3.0 Cannot keep the mail now, try again later")
    assert system.alive
    assert system.get("/healthz")[0] == 200
    assert callable(heal)
    heal()
    wait_for(lambda: system.send(rua, report_mail(name)) == [(250, "")], "taken")
    wait_for(lambda: system.total() == before + 5, "counted")
    assert system.problems() == []


def test_a_full_objects_folder(system: System, disks: Disks, rua: str) -> None:
    """No room for the raw mail: 451 until there is."""
    disks.fill("objects")
    assert system.get("/readyz")[0] == 503
    refused_then_taken(system, rua, "objects-full", lambda: disks.free("objects"))
    assert system.get("/readyz")[0] == 200


def test_a_read_only_objects_folder(system: System, disks: Disks, rua: str) -> None:
    """A disk that went read-only: 451 until it is writable again."""
    disks.remount("objects", "ro")
    refused_then_taken(system, rua, "objects-read-only", lambda: disks.remount("objects", "rw"))


def test_a_full_database(system: System, disks: Disks, rua: str) -> None:
    """No room for the queue item: 451 until there is."""
    disks.fill("database")
    assert system.get("/readyz")[0] == 503
    refused_then_taken(system, rua, "database-full", lambda: disks.free("database"))
    assert system.get("/readyz")[0] == 200


def test_a_full_analytics_store(system: System, disks: Disks, rua: str) -> None:
    """No room for the figures: mail is taken and waits; once there is room it is counted, once."""
    before = system.total()
    disks.fill("analytics")
    mails = [report_mail(f"analytics-full-{number}") for number in range(3)]
    assert system.send(rua, *mails) == [(250, "")] * 3
    wait_for(lambda: "mails wait for a store" in system.log.read_text(), "told in the log")
    assert system.alive
    disks.free("analytics")
    wait_for(lambda: system.total() == before + 15, "counted", 60)
    assert system.problems() == []


def test_all_of_it_survives_a_restart(system: System) -> None:
    """After every trouble the stores are sound."""
    before = system.total()
    assert before == 30
    assert system.stop() == 0
    system.start()
    assert system.total() == before
