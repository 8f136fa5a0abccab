"""An analytics store that is away holds the queue, not the front door; only the inbox's own bound does, with 451."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mails import report_mail
from tests.support.system import System, wait_for


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    # The figures' store fails five times, the pauses growing: some seconds, in which the queue grows to its bound.
    settings = {"DMARCWORKS_INBOX_ITEMS": "3", "DMARCWORKS_TEST_FAILPOINT": "insert.before:1-5:error"}
    running = System(tmp_path / "home", settings)
    running.add_domains("example.com")
    running.keep(running.rua["example.com"], report_mail("0"), report_mail("1"))
    running.start()
    yield running
    if running.alive:
        running.stop()


def rcpt(system: System, to: str) -> tuple[int, bytes]:
    """What a recipient is answered, without a mail."""
    with smtplib.SMTP(*system.smtp, timeout=30) as client:
        client.ehlo()
        client.mail("a@mail.example")
        return client.rcpt(to)


def test_a_store_that_is_away_holds_the_queue_and_a_full_inbox_refuses_mail(system: System) -> None:
    """Mails are taken while nothing can be published; the fourth hears 451 4.3.1; later all count once."""
    rua = system.rua["example.com"]
    assert system.send(rua, report_mail("2")) == [(250, "")]
    wait_for(lambda: rcpt(system, rua) == (451, b"4.3.1 The inbox is full, try again later"), "full")
    assert system.send("f" * 32 + "@reports.example.net", report_mail("4"))[0][0] == 550
    told = system.ready()
    assert (told["status"], told["inbox"]["state"], told["inbox"]["waiting"]) == (
        "full",
        "full: 3 mails wait to be read (inbox_items = 3)",
        3,
    )
    assert told["inbox"]["oldest_seconds"] > 0
    assert set(told["inbox"]["free"]) == {"objects", "database"}
    assert system.get("/readyz")[0] == 503
    wait_for(lambda: system.total() == 15, "counted once the store is back", 90)
    wait_for(lambda: system.get("/readyz")[0] == 200, "ready again")
    assert json.loads(system.get("/readyz")[1])["inbox"]["waiting"] == 0
    wait_for(lambda: system.send(rua, report_mail("3")) == [(250, "")], "taken again")
    wait_for(lambda: system.total() == 20, "counted")
    assert system.problems() == []
