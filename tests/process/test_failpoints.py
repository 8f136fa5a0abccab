"""Failpoints: named steps of the code, armed by the environment, and nothing at all when they are off."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dmarcworks.errors import SettingsError, StoreError
from dmarcworks.process import failpoints

SOURCE = Path(__file__).parents[2] / "src" / "dmarcworks"


def test_every_name_in_the_code_is_in_the_list_and_the_reverse() -> None:
    """A step that is not in the list would never be tested; one that is only there would be tested in vain."""
    called = {
        name
        for path in SOURCE.rglob("*.py")
        for name in re.findall(r"failpoints\.hit\(\s*\"([^\"]+)\"", path.read_text())
    }
    assert sorted(called) == sorted((*failpoints.NAMES, *failpoints.MAILBOX_NAMES))


def test_off_they_do_nothing() -> None:
    """Without the variable the call is an empty function."""
    off = failpoints.armed("")
    assert off is failpoints.armed("")
    off("insert.before")


def test_an_error_at_the_hits_that_were_named() -> None:
    """`2-3:error`: the second and the third hit of that step fail as an absent store would, no other."""
    hit = failpoints.armed("insert.before:2-3:error, ack.after:9")
    hit("insert.before")
    for _ in range(2):
        with pytest.raises(StoreError, match=r"^failpoint insert\.before$"):
            hit("insert.before")
    hit("insert.before")
    hit("insert.after")


def test_a_sleep() -> None:
    """`sleep=…` holds the step for so long and lets it go on."""
    hit = failpoints.armed("read.done:sleep=0.05")
    before = time.monotonic()
    hit("read.done")
    assert time.monotonic() - before >= 0.05


def test_a_kill_is_the_default() -> None:
    """The process is gone at once: nothing after the step runs, no clean-up either."""
    code = (
        "from dmarcworks.process import failpoints\n"
        "try:\n  failpoints.hit('ack.before'); print('one', flush=True); failpoints.hit('ack.before')\n"
        "finally:\n  print('after')"
    )
    environment = {"PYTHONPATH": str(SOURCE.parent), failpoints.VARIABLE: "ack.before:2"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-9, "one\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nowhere", "there is no step 'nowhere'"),
        ("ack.after:explode", "'explode' is neither a hit nor an action"),
        ("ack.after:1-", "'1-' is neither a hit nor an action"),
        ("ack.after:sleep=x", "'sleep=x' is neither a hit nor an action"),
    ],
)
def test_a_wrong_word_is_refused(text: str, words: str) -> None:
    """A test with a typing error must not pass because nothing happened."""
    with pytest.raises(SettingsError, match=words):
        failpoints.armed(text)
