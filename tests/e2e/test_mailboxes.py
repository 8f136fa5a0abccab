"""Mailboxes end to end: commands, the running server, IDLE, states, and no password anywhere."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.dovecot import PASSWORD, PASSWORD_PART, Dovecot
from tests.support.mailboxes import PRIVATE
from tests.support.mails import report_mail
from tests.support.system import System, wait_for


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    server = Dovecot()
    try:
        server.start()
        yield server
    finally:
        server.end()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, dovecot: Dovecot) -> Iterator[System]:
    home = tmp_path_factory.mktemp("mailboxes") / "home"
    secret = home.parent / "password"
    secret.write_text(PASSWORD + "\n")
    dovecot.deliver("file", [report_mail("file")])
    config = home.parent / "dmarcworks.toml"
    config.write_text(
        f'[[mailbox]]\nname = "of-file"\nurl = "{dovecot.url("file")}"\npassword_file = "{secret}"\nsettle = "seen"\n'
    )
    settings = {"DMARCWORKS_MAILBOX_CA_FILE": str(dovecot.ca_file), "DMARCWORKS_CONFIG": str(config)}
    made = System(home, settings)
    made.start()
    made.add_domain("example.com")
    try:
        yield made
    finally:
        made.stop()


COLUMNS = ("state", "paused", "error_code", "error", "failures", "last_run", "accepted", "left_alone", "waiting")


def box(system: System, name: str) -> dict[str, Any]:
    """Its row, without a command, which takes a second to start."""
    (row,) = system.rows(f"SELECT {', '.join(COLUMNS)} FROM mailboxes WHERE name = '{name}'")
    return row


def test_a_mailbox_of_the_file_is_read(system: System, dovecot: Dovecot) -> None:
    """It is there after the start; a command can pause it and cannot remove it."""
    wait_for(lambda: box(system, "of-file")["last_run"], "read")
    assert system.json("mailbox", "run", "of-file")["accepted"] == 1
    assert dovecot.count("file", "INBOX", "SEEN") == 1
    refused = system.cli("mailbox", "remove", "of-file")
    assert refused.returncode == 1
    assert "is in the TOML file; change it there and restart the server" in refused.stderr


def test_the_commands_and_new_mail_by_idle(system: System, dovecot: Dovecot) -> None:
    """Add and test, first mail, a new mail by IDLE, pause, resume, run, remove."""
    before = system.total()
    dovecot.deliver("ann", [report_mail("a1"), PRIVATE])
    secret = system.home.parent / "password"
    added = system.json(
        *("mailbox", "add", "ann", "--url", dovecot.url("ann"), "--password-file", str(secret), "--settle", "move:Done")
    )
    assert (added["name"], added["account"], added["settle"]) == ("ann", "default", "move:Done")
    assert (added["test"]["ok"], added["test"]["folders"][0]["folder"]) == (True, "INBOX")
    wait_for(lambda: system.total() == before + 5, "counted")
    dovecot.deliver("ann", [report_mail("a2")])
    wait_for(lambda: system.total() == before + 10, "counted by IDLE")
    # An idle connection that ends is no failure.
    dovecot.restart()
    row = wait_for(lambda: (r := box(system, "ann"))["state"] == "idle" and not r["error"] and r, "done")
    assert (row["accepted"], row["left_alone"], row["waiting"], row["error"]) == (2, 1, 0, "")
    assert [one["subject"] for one in system.json("mailbox", "left", "ann")] == ["Holidays"]
    assert system.json("mailbox", "pause", "ann")["state"] == "paused"
    refused = system.cli("mailbox", "run", "ann")
    assert (refused.returncode, "is paused" in refused.stderr) == (1, True)
    dovecot.deliver("ann", [report_mail("a3")])
    assert system.cli("mailbox", "resume", "ann").returncode == 0
    wait_for(lambda: system.total() == before + 15, "counted after it was resumed")
    assert system.json("mailbox", "run", "ann")["accepted"] == 3
    assert (dovecot.count("ann"), dovecot.count("ann", "Done")) == (1, 3)
    assert system.json("mailbox", "remove", "ann") == {"removed": "ann"}
    assert "ann" not in [row["name"] for row in system.json("mailbox", "list")]


def test_a_wrong_password_is_a_state_and_a_warning(system: System, dovecot: Dovecot, tmp_path: Path) -> None:
    """In the list, /readyz and /metrics; the status of /readyz stays 200. A new password is tried at once."""
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong password of bob")
    added = system.cli("mailbox", "add", "bob", "--url", dovecot.url("bob"), "--password-file", str(wrong))
    assert added.returncode == 1
    assert "could not log in as bob: [AUTHENTICATIONFAILED]" in added.stdout
    wait_for(lambda: box(system, "bob")["error"], "failed")
    (row,) = [row for row in system.json("mailbox", "list") if row["name"] == "bob"]
    assert (row["state"], row["error"]["code"], row["failures"]) == ("failing", "login", 1)
    status, _ = system.get("/readyz")
    assert (status, system.ready()["status"]) == (200, "ok")
    assert system.ready()["mailboxes"] == {
        "state": "warning: 1 of 2 mailboxes fail",
        "mailboxes": 2,
        "failing": 1,
        "waiting": 0,
    }
    metrics = system.get("/metrics")[1]
    assert 'dmarcworks_mailboxes{state="failing"} 1.0' in metrics
    assert 'dmarcworks_mailbox_mails_total{outcome="accepted"}' in metrics
    wrong.write_text(PASSWORD)
    assert system.cli("mailbox", "password", "bob", "--password-file", str(wrong)).returncode == 0
    wait_for(lambda: not box(system, "bob")["error"], "well again")


def test_no_password_is_found_anywhere(system: System, dovecot: Dovecot, tmp_path: Path) -> None:
    """Not in the data directory, the log, the metrics, a backup, the output of commands or the process list."""
    secret = system.home.parent / "password"
    added = system.cli("mailbox", "add", "hush", "--url", dovecot.url("hush"), "--password-file", str(secret))
    assert added.returncode == 0, added.stdout + added.stderr
    in_url = system.cli("mailbox", "add", "url", "--url", "imaps://ann:open-secret@localhost/INBOX")
    assert in_url.returncode == 2
    assert "a password in the URL can be read by every user of this machine" in in_url.stderr
    wait_for(lambda: box(system, "hush")["last_run"], "read")
    backup = tmp_path / "backup"
    assert system.cli("backup", str(backup)).returncode == 0
    shown = [system.cli(*line.split()) for line in ("mailbox list --json", "mailbox test hush", "audit", "settings")]
    assert [one.returncode for one in shown] == [0, 0, 0, 0]
    texts = [one.stdout + one.stderr for one in (added, *shown)]
    texts += [system.get("/metrics")[1], system.get("/readyz")[1], system.log.read_text(), system.output.read_text()]
    texts.append(subprocess.run(["ps", "axeww"], capture_output=True, text=True, check=True).stdout)
    for text in texts:
        assert PASSWORD_PART not in text
        assert "wrong password of bob" not in text
    files = [path for folder in (system.home, backup) for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    key = (system.home / "secret.key").read_bytes().strip()
    for path in files:
        content = path.read_bytes()
        assert PASSWORD_PART.encode() not in content, path
        assert b"wrong password of bob" not in content, path
        assert path.name == "secret.key" or key not in content, path


def test_a_mailbox_is_read_without_a_server(tmp_path: Path, dovecot: Dovecot) -> None:
    """`mailbox run` fetches and processes by itself; again it finds nothing new."""
    alone = System(tmp_path / "home", {"DMARCWORKS_MAILBOX_CA_FILE": str(dovecot.ca_file)})
    alone.add_domains("example.com")
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    dovecot.deliver("alone", [report_mail(f"n{number}") for number in range(3)])
    assert alone.json("mailbox", "add", "alone", "--url", dovecot.url("alone"), "--password-file", str(secret))
    for _ in range(2):
        ran = alone.json("mailbox", "run", "alone")
        assert (ran["accepted"], ran["known"], ran["waiting"], ran["error"]) == (3, 0, 0, None)
    done = alone.cli("sql", "SELECT sum(count) FROM dmarc_reports")
    assert done.stdout.strip() == "15"
