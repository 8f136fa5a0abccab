"""QUIRKS §10 T9 and T12: mail for postmaster is accepted however it is addressed, and mail that is no report is listed
apart from problems.
"""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.system import System, wait_for

MAIL = b"From: someone@peer.example\r\nSubject: Your host\r\n\r\nIs it well?\r\n"


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    running = System(tmp_path / "home", settings={"DMARCWORKS_HOSTNAME": "reports.example.net"})
    running.start()
    yield running
    if running.alive:
        running.stop()


def replies(system: System, to: str) -> list[int]:
    """The codes of MAIL, RCPT and the mail itself, with the null sender that bounces have."""
    with smtplib.SMTP(*system.smtp, local_hostname="mx.peer.example", timeout=30) as client:
        client.ehlo()
        codes = [client.docmd("MAIL", "FROM:<>")[0], client.docmd("RCPT", f"TO:{to}")[0]]
        return [*codes, client.data(MAIL)[0]] if codes[1] == 250 else codes


def test_T9_mail_for_postmaster_is_kept_and_listed_apart(system: System) -> None:
    """With the host, without, in any case; by default it is other mail. Nobody else's address is accepted."""
    system.add_domain("example.com")
    for to in ("<postmaster@reports.example.net>", "<postmaster>", "<Postmaster@Reports.Example.Net>", "<POSTMASTER>"):
        assert replies(system, to) == [250, 250, 250], to
    for to in ("<postmaster@example.org>", "<postmaster2@reports.example.net>", "<root>"):
        assert replies(system, to)[1] == 550, to
    other = wait_for(lambda: (rows := system.json("problems", "other")) and len(rows) == 4 and rows, "the mails")
    assert {row["reason"] for row in other} == {"no_report"}
    assert system.json("problems", "list") == []
    assert system.json("problems", "other", "--discard-all", "--yes") == {"discarded": 4}
    assert system.json("problems", "other") == []


def test_T9_mail_for_postmaster_is_kept_while_its_destination_is_not_verified(tmp_path: Path) -> None:
    """RFC 5321 §4.5.1: accepted, and nothing is lost; the relay is not asked, so there need be none."""
    settings = {
        "DMARCWORKS_HOSTNAME": "reports.example.net",
        "DMARCWORKS_RELAY_URL": "smtp://127.0.0.1:1",
        "DMARCWORKS_POSTMASTER": "admin@corp.example",
    }
    running = System(tmp_path / "home", settings=settings)
    running.start()
    try:
        assert replies(running, "<postmaster>") == [250, 250, 250]
        wait_for(lambda: [row["reason"] for row in running.json("problems", "other")] == ["no_report"], "the mail")
        assert running.rows("SELECT id FROM outbound") == []
    finally:
        running.stop()
