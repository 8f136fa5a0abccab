"""SIGKILL while mailboxes are fetched from: no mail is lost, and none is counted twice.

At the two steps where mail is accepted or settled and nothing is noted yet, and once in between; `python
tests/faults/mailbox_long.py` makes twenty kills over twenty thousand mails.
"""

from __future__ import annotations

from pathlib import Path

from tests.faults.mailbox_long import run
from tests.support.dovecot import Dovecot


def test_kills_lose_nothing_and_count_nothing_twice(tmp_path: Path) -> None:
    """Accepted = counted + problems + kept for an unknown domain; the rest is left alone."""
    dovecot = Dovecot()
    try:
        dovecot.start()
        steps = ("mailbox.accepted:2", "mailbox.settled")
        outcome = run(tmp_path / "home", dovecot, 160, 1, steps=steps)
    finally:
        dovecot.end()
    outcome.check()
    assert outcome.kills == 3
