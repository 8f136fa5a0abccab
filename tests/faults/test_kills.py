"""SIGKILL at random moments under load: what was answered with 250 is counted exactly once or stands under Problems.

Ten kills here; `python tests/faults/long.py` makes two hundred.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.long import run
from tests.support.killable import KillableServer, Senders
from tests.support.load import KINDS, Counted, parcels
from tests.support.verdict import judge


def test_ten_kills_lose_nothing_and_count_nothing_twice(tmp_path: Path) -> None:
    """Accepted = counted + problems, for 200 mails of all kinds, a part of them sent twice."""
    verdict, tries = run(tmp_path / "home", kills=10, mails=200, seed=3)
    verdict.check()
    assert verdict.accepted == verdict.counted + verdict.problems
    assert verdict.accepted > 150
    assert tries["5xx"] == 0
    assert tries["broken"] > 0


@pytest.fixture
def system(tmp_path: Path) -> KillableServer:
    made = KillableServer(tmp_path / "home")
    made.start()
    made.add_domains("example.com")
    return made


def test_the_harness_sees_what_it_looks_for(system: KillableServer) -> None:
    """Without a kill the verdict is clean; told of one mail more, one sum more or one report less, it says so."""
    try:
        crowd = Senders(system, system.rua["example.com"], parcels(len(KINDS)))
        crowd.release(1000)
        crowd.finish_when_sent()
        system.settle()
        stories = list(crowd.stories.values())
        judge(system, stories).check()

        kinds = {story.parcel.kind: story for story in stories}
        story = kinds["gzip"]
        true = story.parcel
        ((key, sums),) = true.reports.items()
        story.parcel = replace(true, reports={key: Counted(sums.rows, sums.messages + 1)})
        assert len(judge(system, stories).lost) == 1
        story.parcel = replace(true, reports={key: Counted(sums.rows, sums.messages - 1)})
        assert len(judge(system, stories).doubled) == 1
        story.parcel = replace(true, reports={**true.reports, (key[0], "never"): sums})
        assert judge(system, stories).difference == 1
        story.parcel = replace(true, reports={})
        assert len(judge(system, stories).doubled) == 1
        story.parcel = true
        broken = kinds["truncated"]
        broken.tries += ["250"]
        assert judge(system, stories).difference == 1
        (archived,) = [path for path in (system.home / "objects").rglob("*.json.gz") if path.is_file()]
        archived.write_bytes(b"other")
        assert len(judge(system, stories).wrong) == 1
    finally:
        system.end()
