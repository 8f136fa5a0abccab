"""The clock jumps by hours while mails wait and are read: none is lost, none is counted twice, none waits for hours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dmarcworks.process import clock as clock_module
from dmarcworks.process import failpoints
from tests.support.killable import KillableServer, Senders
from tests.support.load import parcels
from tests.support.system import wait_for
from tests.support.verdict import judge

HOURS = 3600


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """The file with the seconds that the server's clock is off."""
    made = tmp_path / "clock"
    made.write_text("0")
    return made


@pytest.fixture
def system(tmp_path: Path, clock: Path) -> Iterator[KillableServer]:
    settings = {clock_module.VARIABLE: str(clock), "DMARCWORKS_QUEUE_LEASE_SECONDS": "3600"}
    running = KillableServer(tmp_path / "home", settings)
    running.start()
    running.add_domains("example.com")
    yield running
    running.end()


def set_clock(clock: Path, seconds: int) -> None:
    """In one step, so that it is never read half-written."""
    new = clock.with_suffix(".new")
    new.write_text(str(seconds))
    new.rename(clock)


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_jump_under_load(system: KillableServer, clock: Path, hours: int) -> None:
    """While mails come in and are read."""
    crowd = Senders(system, system.rua["example.com"], parcels(60))
    crowd.release(30)
    wait_for(lambda: crowd.idle or (len(crowd.tries()) and crowd.tries()["250"] >= 10), "some taken")
    set_clock(clock, hours * HOURS)
    crowd.release(1 << 30)
    crowd.finish_when_sent(60)
    system.settle(60)
    assert set(crowd.tries()) == {"250"}
    judge(system, crowd.stories.values()).check()


def test_a_jump_back_while_a_store_is_away(system: KillableServer, clock: Path) -> None:
    """Mails that wait for another try, and mails whose reader died, do not wait for the clock to catch up."""
    system.kill()
    system.settings[failpoints.VARIABLE] = "insert.before:1-3:error"
    system.start()
    crowd = Senders(system, system.rua["example.com"], parcels(30))
    crowd.release(1 << 30)
    crowd.finish_when_sent(60)
    wait_for(lambda: "failpoint insert.before" in system.log.read_text(), "failed")
    set_clock(clock, -5 * HOURS)
    system.settle(60)
    judge(system, crowd.stories.values()).check()


def test_a_clock_set_back_between_two_lives(system: KillableServer, clock: Path) -> None:
    """Killed with the clock ahead, started with it right: what was taken then is read now."""
    set_clock(clock, 5 * HOURS)
    system.kill()
    system.settings[failpoints.VARIABLE] = "read.done"
    system.start()
    system.settings[failpoints.VARIABLE] = ""
    crowd = Senders(system, system.rua["example.com"], parcels(30))
    crowd.release(1 << 30)
    wait_for(lambda: not system.alive, "dead")
    crowd.hold()
    system.kill()
    set_clock(clock, 0)
    system.settings["DMARCWORKS_QUEUE_LEASE_SECONDS"] = "10"
    system.start()
    crowd.release(1 << 30)
    crowd.finish_when_sent(60)
    system.settle(90)
    judge(system, crowd.stories.values()).check()
