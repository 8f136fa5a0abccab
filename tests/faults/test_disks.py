"""A disk that is full or read-only under load: only 4xx while it is, no torn file, and recovery without a hand.

Sixteen connections send mails of all kinds; each store stands on a small memory file system of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.support.disks import Disks
from tests.support.killable import KillableServer, Senders
from tests.support.load import parcels
from tests.support.system import skip, wait_for
from tests.support.verdict import judge

SIZES = {"objects": "24m", "database": "24m", "analytics": "96m"}
CONNECTIONS = 16


@pytest.fixture
def disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disks]:
    if os.geteuid():
        skip("mounting needs root")
    made = Disks(tmp_path_factory.mktemp("disks"), SIZES)
    made.mount()
    yield made
    made.unmount()


@pytest.fixture
def system(disks: Disks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillableServer]:
    settings = {**disks.urls(), "DMARCWORKS_SMTP_CONNECTIONS_PER_ADDRESS": "100"}
    running = KillableServer(tmp_path_factory.mktemp("disks-home") / "home", settings)
    running.start()
    running.add_domains("example.com")
    yield running
    running.end()


def trouble(disks: Disks, name: str, how: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """What breaks the disk and what mends it."""
    if how == "full":
        return lambda: disks.fill(name), lambda: disks.free(name)
    return lambda: disks.remount(name, "ro"), lambda: disks.remount(name, "rw")


# A disk with a file that is open for writing cannot become read-only, and the database always is.
@pytest.mark.parametrize(("store", "how"), [("objects", "full"), ("objects", "read-only"), ("database", "full")])
def test_a_disk_that_mail_is_taken_to(system: KillableServer, disks: Disks, store: str, how: str) -> None:
    """Nothing can be kept: every sender hears 4xx, the process lives, and once it can be kept all is counted once."""
    crowd = Senders(system, system.rua["example.com"], parcels(120), connections=CONNECTIONS)
    spoil, repair = trouble(disks, store, how)
    crowd.release(50)
    wait_for(lambda: crowd.idle, "sent")
    assert set(crowd.tries()) == {"250"}
    before = crowd.tries()["250"]

    # In the midst of it: the readers are at work, and sixteen senders are.
    crowd.release(200)
    spoil()
    wait_for(lambda: crowd.idle, "answered", 90)
    during = crowd.tries()
    assert set(during) <= {"250", "4xx"}
    # What was on its way when the disk filled may have been kept; then nothing is.
    at_most = during["250"]
    crowd.release(60)
    wait_for(lambda: crowd.idle, "answered", 90)
    assert crowd.tries()["250"] == at_most
    assert crowd.tries()["4xx"] >= 60
    assert at_most - before <= 120
    assert system.alive
    assert system.get("/readyz")[0] == 503

    repair()
    wait_for(lambda: system.get("/readyz")[0] == 200, "ready")
    crowd.release(1 << 30)
    crowd.finish_when_sent(90)
    assert set(crowd.tries()) == {"250", "4xx"}
    system.settle(90)
    judge(system, crowd.stories.values()).check()


def test_a_full_disk_of_the_figures(system: KillableServer, disks: Disks) -> None:
    """Nothing can be counted for a while: mail is taken all the same, waits, and is counted once."""
    crowd = Senders(system, system.rua["example.com"], parcels(60), connections=CONNECTIONS)
    spoil, repair = trouble(disks, "analytics", "full")
    crowd.release(20)
    wait_for(lambda: crowd.idle, "sent")
    spoil()
    crowd.release(1 << 30)
    crowd.finish_when_sent(90)
    assert set(crowd.tries()) == {"250"}
    wait_for(lambda: "mails wait for a store" in system.log.read_text(), "told in the log")
    assert system.alive
    repair()
    system.settle(120)
    judge(system, crowd.stories.values()).check()
