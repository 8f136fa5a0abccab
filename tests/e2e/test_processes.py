"""Several processes take mail on one port; one that dies comes back, and none outlives the server."""

from __future__ import annotations

import json
import os
import signal
import smtplib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mails import report_mail

from .conftest import COMMAND, System, wait_for


def started(system: System) -> list[int]:
    """The processes that were started to take mail, as the log tells."""
    lines = [json.loads(line) for line in system.log.read_text().splitlines() if line.startswith("{")]
    return [line["pid"] for line in lines if line["event"] == "mail process started"]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[System]:
    path = tmp_path / "lmtp.sock"
    system = System(
        tmp_path / "home",
        {"DMARCWORKS_SMTP_PROCESSES": "2", "DMARCWORKS_SMTP_LISTEN": f"127.0.0.1:0 [::1]:0 unix:{path}"},
    )
    system.start()
    yield system
    if system.alive:
        system.stop()


def test_two_processes_take_mail_and_one_reads_it(pair: System, tmp_path: Path) -> None:
    """Mail over TCP and over the Unix socket, taken by both, is counted once; SIGTERM ends all with status 0."""
    rua = pair.add_domain("example.com")["rua"]
    assert len(started(pair)) == 2
    replies = [pair.send(rua, report_mail(f"r{number}"))[0] for number in range(24)]  # a connection each
    assert replies == [(250, "")] * 24
    with smtplib.LMTP(str(tmp_path / "lmtp.sock")) as client:
        client.sendmail("a@mail.example", [rua], report_mail("lmtp"))
    wait_for(lambda: pair.total() == 25 * 5, "counted")
    taken = [
        json.loads(line) for line in pair.log.read_text().splitlines() if '"event":"mail"' in line.replace(" ", "")
    ]
    assert len(taken) == 25
    pids = started(pair)
    assert pair.stop() == 0
    assert [pid for pid in pids if alive(pid)] == []
    assert not (tmp_path / "lmtp.sock").exists()


def test_one_that_dies_is_started_again(pair: System) -> None:
    """Mail is taken on while one is down, and after a moment there are two again."""
    rua = pair.add_domain("example.com")["rua"]
    first, second = started(pair)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: len(started(pair)) == 3, "started again")
    assert alive(second)
    assert [pair.send(rua, report_mail(f"r{number}"))[0] for number in range(8)] == [(250, "")] * 8
    wait_for(lambda: pair.total() == 40, "counted")


def test_none_outlives_the_server(pair: System) -> None:
    """Even a server that is killed leaves no process behind that takes mail."""
    pids = started(pair)
    assert pair.process is not None
    pair.process.kill()
    pair.process.wait()
    wait_for(lambda: not [pid for pid in pids if alive(pid)], "all gone", 15)


def test_roles_part_the_work(tmp_path: Path) -> None:
    """One process only takes mail, another reads it and answers; together they do what one does."""
    home = System(tmp_path / "home")
    rua = home.json("domain", "add", "example.com")["rua"]
    taker = System(tmp_path / "taker", {"DMARCWORKS_HOME": str(home.home)})
    with taker.log.open("wb") as log, taker.output.open("wb") as out:
        door = subprocess.Popen([*COMMAND, "serve", "--roles", "smtp"], env=taker.environment, stdout=out, stderr=log)
    try:
        wait_for(lambda: "SMTP on" in taker.output.read_text(), "up")
        assert "Dashboard" not in taker.output.read_text()
        host, _, port = taker.output.read_text().split("SMTP on ")[1].split()[0].rpartition(":")
        assert not (home.home / "running.json").exists()
        with smtplib.SMTP(host, int(port), "mail.example") as client:
            client.sendmail("a@mail.example", [rua], report_mail("early"))
        token = home.json("token", "create")
        home.token, home.account_id = token["token"], token["account_id"]
        reader = subprocess.Popen(
            [*COMMAND, "serve", "--roles", "worker,web"],
            env=home.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: (home.home / "running.json").exists(), "up")
            running = json.loads((home.home / "running.json").read_text())
            home.http = running["http"]
            assert running["smtp"] == ""
            wait_for(lambda: home.total() == 5, "counted")
        finally:
            reader.terminate()
            assert reader.wait(15) == 0
    finally:
        door.terminate()
        assert door.wait(15) == 0


@pytest.mark.parametrize("roles", ["", "smtp,other"])
def test_roles_that_are_none_are_wrong_usage(tmp_path: Path, roles: str) -> None:
    """Status 2 and the list of roles."""
    done = System(tmp_path / "home").cli("serve", "--roles", roles)
    assert (done.returncode, "smtp, worker, web" in done.stderr) == (2, True)


def test_two_processes_share_an_addresss_limit(tmp_path: Path) -> None:
    """Four connections of one address in all, two in each process, however the kernel deals them out."""
    system = System(
        tmp_path / "home",
        {"DMARCWORKS_SMTP_PROCESSES": "2", "DMARCWORKS_SMTP_CONNECTIONS_PER_ADDRESS": "4"},
    )
    system.start()
    opened = [socket.create_connection(system.smtp, timeout=10) for _ in range(40)]
    try:
        said = [connection.recv(200)[:3] for connection in opened]
        assert sorted(said) == [b"220"] * 4 + [b"421"] * 36
    finally:
        for connection in opened:
            connection.close()
        assert system.stop() == 0


def test_a_port_that_is_taken_is_said(pair: System, tmp_path: Path) -> None:
    """Before any process is started, by name."""
    port = pair.smtp[1]
    second = System(
        tmp_path / "second", {"DMARCWORKS_SMTP_PROCESSES": "2", "DMARCWORKS_SMTP_LISTEN": f"127.0.0.1:{port}/lmtp"}
    )
    second.settings["DMARCWORKS_SMTP_PROCESSES"] = "1"
    done = second.cli("serve")
    assert done.returncode == 2
    assert f"SMTP cannot listen on 127.0.0.1:{port}: Address already in use" in done.stderr
