"""At each named step of the code the process dies once, and each store fails once: the same result as without.

The steps are those of `failpoints.NAMES`. A lease that a dead process holds is ended here by hand: what is tested is
what comes after it, not how long it is.
"""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from dmarcworks.process import failpoints
from tests.support.killable import KillableServer, Senders, Story
from tests.support.load import KINDS, Parcel, parcels
from tests.support.system import wait_for
from tests.support.verdict import judge

DOMAIN = "example.com"
# Steps of every mail or object die at the third: some are through, some are not begun. The others are a batch's.
SINGLE = ("objects.written", "objects.named", "accept.put", "accept.sent")


class Times:
    """One system for all steps, and everything that was ever sent to it."""

    def __init__(self, system: KillableServer) -> None:
        self.system = system
        self.stories: list[Story] = []
        self._waiting = parcels(len(KINDS) * (len(failpoints.NAMES) + 2))

    def parcels(self) -> list[Parcel]:
        """One of each kind, numbered on."""
        mine, self._waiting = self._waiting[: len(KINDS)], self._waiting[len(KINDS) :]
        return mine

    def crowd(self) -> Senders:
        """Senders of these."""
        crowd = Senders(self.system, self.system.rua[DOMAIN], self.parcels(), connections=4)
        self.stories += crowd.stories.values()
        crowd.release(1 << 30)
        return crowd

    def arm(self, text: str) -> None:
        """From the next start on."""
        self.system.settings[failpoints.VARIABLE] = text

    def settle(self) -> None:
        """Until all is read, whoever had it."""

        def read() -> bool:
            path = self.system.home / "dmarcworks.db"
            with closing(sqlite3.connect(path, timeout=10)) as database, database:
                database.execute("UPDATE queue SET ready = 0 WHERE dead IS NULL AND ready > ?", (time.time(),))
            return not self.system.rows("SELECT id FROM queue WHERE dead IS NULL")

        wait_for(read, "all mails read", 60)


@pytest.fixture(scope="module")
def times(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Times]:
    system = KillableServer(tmp_path_factory.mktemp("steps") / "home")
    system.start()
    system.add_domains(DOMAIN)
    yield Times(system)
    system.end()


@pytest.mark.parametrize("name", failpoints.NAMES)
def test_a_death_at(times: Times, name: str) -> None:
    """SIGKILL there: what was answered with 250 is counted once or listed, and the process starts again by itself."""
    system = times.system
    if system.alive:
        system.kill()
    times.arm(f"{name}:{3 if name in SINGLE else 1}:kill")
    system.start()
    times.arm("")
    system.prepare()
    crowd = times.crowd()
    wait_for(lambda: not system.alive, f"dead at {name}", 60)
    assert system.process is not None
    assert system.process.returncode == -signal.SIGKILL
    crowd.hold()
    system.kill()
    system.start()
    crowd.release(1 << 30)
    crowd.finish_when_sent()
    times.settle()
    judge(system, times.stories).check()


def test_an_error_at_every_step(times: Times) -> None:
    """Every step fails three times as if its store were away: 451 or another try, and all is counted once."""
    system = times.system
    if system.alive:
        system.kill()
    times.arm(",".join(f"{name}:1-3:error" for name in failpoints.NAMES))
    system.start()
    times.arm("")
    crowd = times.crowd()
    crowd.finish_when_sent()
    times.settle()
    judge(system, times.stories).check()
    tries = crowd.tries()
    assert tries["4xx"] > 0
    assert set(tries) == {"250", "4xx"}
    log = system.log.read_text()
    assert [name for name in failpoints.NAMES if f"failpoint {name}" not in log] == []


def test_figures_that_cannot_be_written_for_a_while(times: Times) -> None:
    """Six inserts in a row fail: every mail is taken at once with 250, waits, and is counted once."""
    system = times.system
    if system.alive:
        system.kill()
    times.arm("insert.before:1-4:error,insert.after:1-2:error")
    system.start()
    times.arm("")
    crowd = times.crowd()
    crowd.finish_when_sent()
    assert set(crowd.tries()) == {"250"}
    times.settle()
    judge(system, times.stories).check()
