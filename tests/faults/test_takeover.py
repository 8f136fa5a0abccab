"""Promise: after a crash a server reads on at once; nobody waits for the lease of a process that is dead."""

from __future__ import annotations

from pathlib import Path

from dmarcworks.process import failpoints
from tests.support.killable import KillableServer, Senders
from tests.support.load import KINDS, parcels
from tests.support.system import wait_for
from tests.support.verdict import judge


def test_what_a_dead_process_had_in_hand_is_read_within_seconds(tmp_path: Path) -> None:
    """Killed in the middle of a batch, with the lease as it is by default (300 s): all is counted once, soon."""
    system = KillableServer(tmp_path / "home", {failpoints.VARIABLE: "read.done:1:kill"})
    try:
        system.start()
        system.add_domains("example.com")
        crowd = Senders(system, system.rua["example.com"], parcels(len(KINDS)))
        crowd.release(1 << 30)
        wait_for(lambda: not system.alive, "dead", 60)
        crowd.hold()
        system.kill()
        assert system.rows("SELECT id FROM queue WHERE leased IS NOT NULL")
        system.settings.clear()
        system.prepare()
        system.start()
        crowd.release(1 << 30)
        crowd.finish_when_sent()
        wait_for(lambda: not system.rows("SELECT id FROM queue WHERE dead IS NULL"), "all read", 60)
        judge(system, list(crowd.stories.values())).check()
        assert "taken over from a process that died" in system.log.read_text()
    finally:
        system.end()
