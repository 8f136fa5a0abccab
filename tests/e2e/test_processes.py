"""Several processes take mail on one port; one that dies comes back, and none outlives the server."""

from __future__ import annotations

import json
import os
import signal
import smtplib
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mails import report_mail
from tests.support.peers import free_port
from tests.support.system import COMMAND, System, wait_for


def started(system: System) -> list[int]:
    """The processes that were started to take mail, as the log tells."""
    lines = [json.loads(line) for line in system.log.read_text().splitlines() if line.startswith("{")]
    return [line["pid"] for line in lines if line["event"] == "mail process started"]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def counter_files(pid: int) -> set[Path]:
    """Where a process keeps its counters, as the kernel tells."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {Path(line.split()[-1]) for line in lines if "dmarcworks-counters-" in line}


COUNTED = (
    'dmarcworks_mails_total{outcome="handled"}',
    'dmarcworks_mails_total{outcome="dropped"}',
    "dmarcworks_mail_bytes_total",
    "dmarcworks_recipients_refused_total",
    "dmarcworks_accept_seconds_count",
    'dmarcworks_accept_seconds_bucket{le="+Inf"}',
)


def counted(system: System) -> list[int]:
    """The front door's counters in one scrape; 0 where there is none yet."""
    status, text = system.get("/metrics")
    assert status == 200
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    assert len({name for name, _, _ in lines}) == len(lines)
    found = {name: float(value) for name, _, value in lines}
    return [int(found.get(name, 0)) for name in COUNTED]


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


def test_one_scrape_counts_what_all_processes_did(pair: System) -> None:
    """Exact sums over both and over what came in by HTTP; killed or ended processes take nothing along, and those that
    follow count on."""
    rua = pair.add_domain("example.com")["rua"]
    assert pair.cli("route", "add", "quiet@example.com", "--drop").returncode == 0
    time.sleep(2)  # a rule is in effect within two seconds
    assert counted(pair) == [0, 0, 0, 0, 0, 0]
    mails = [b"Message-ID: <m@mail.example>\r\n" + report_mail(f"r{number}") for number in range(30)]
    for raw in mails[:20]:  # a connection each, so that both take some
        assert pair.send(rua, raw) == [(250, "")]
    for number in range(6):
        assert pair.send(f"nobody{number}@reports.example.net", b"x\r\n")[0][0] == 550
        assert pair.send("quiet@example.com", b"a: b\r\n\r\nx\r\n") == [(250, "")]
    size = sum(map(len, mails[:20])) + 6 * 11
    assert counted(pair) == [20, 6, size, 6, 26, 26]

    inject = urllib.request.Request(
        f"{pair.http}/cdn-cgi/handler/email?from=a@mail.example&to={rua}", data=mails[20], method="POST"
    )
    with urllib.request.urlopen(inject, timeout=30) as answer:
        assert answer.status == 200
    size += len(mails[20])
    assert counted(pair) == [21, 6, size, 6, 27, 27]

    first, second = started(pair)
    files = counter_files(first) | counter_files(second)
    assert len(files) == 6
    for ended, (pid, how) in enumerate([(first, signal.SIGKILL), (second, signal.SIGTERM)]):
        os.kill(pid, how)
        wait_for(lambda pid=pid: not alive(pid), "ended")  # type: ignore[misc]
        assert counted(pair) == [21, 6, size, 6, 27, 27]
        wait_for(lambda ended=ended: len(started(pair)) == 3 + ended, "started again")  # type: ignore[misc]
        assert counted(pair) == [21, 6, size, 6, 27, 27]
    third, fourth = started(pair)[2:]
    assert counter_files(third) | counter_files(fourth) == files
    for raw in mails[21:]:
        assert pair.send(rua, raw) == [(250, "")]
    size += sum(map(len, mails[21:]))
    assert counted(pair) == [30, 6, size, 6, 36, 36]
    assert pair.stop() == 0
    assert [path for path in files if path.parent.exists()] == []


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
    """Even a server that is killed leaves no process behind that takes mail, and no file of their counters."""
    pids = started(pair)
    folders = {path.parent for pid in pids for path in counter_files(pid)}
    assert [folder.is_dir() for folder in folders] == [True]
    assert pair.process is not None
    pair.process.kill()
    pair.process.wait()
    wait_for(lambda: not [pid for pid in pids if alive(pid)], "all gone", 15)
    assert [folder.exists() for folder in folders] == [False]


def test_roles_part_the_work(tmp_path: Path) -> None:
    """One process only takes mail, another reads it and answers; together they do what one does."""
    home = System(tmp_path / "home")
    home.add_domains("example.com")
    rua = home.rua["example.com"]
    receiver = System(tmp_path / "taker", {"DMARCWORKS_HOME": str(home.home)})
    with receiver.log.open("wb") as log, receiver.output.open("wb") as out:
        listener = subprocess.Popen(
            [*COMMAND, "serve", "--roles", "smtp"], env=receiver.environment, stdout=out, stderr=log
        )
    try:
        wait_for(lambda: "SMTP on" in receiver.output.read_text(), "up")
        assert "Dashboard" not in receiver.output.read_text()
        host, _, port = receiver.output.read_text().split("SMTP on ")[1].split()[0].rpartition(":")
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
            assert reader.wait(60) == 0
    finally:
        listener.terminate()
        assert listener.wait(60) == 0


def test_a_process_that_only_takes_mail_can_be_watched(tmp_path: Path) -> None:
    """With a port for it: health, readiness and exact counters of both its processes, and nothing else."""
    port = free_port()
    system = System(tmp_path / "home", {"DMARCWORKS_METRICS_PORT": str(port), "DMARCWORKS_SMTP_PROCESSES": "2"})
    system.add_domains("example.com")
    rua = system.rua["example.com"]
    with system.log.open("wb") as log, system.output.open("wb") as out:
        listener = subprocess.Popen(
            [*COMMAND, "serve", "--roles", "smtp"], env=system.environment, stdout=out, stderr=log
        )
    try:
        wait_for(lambda: "SMTP on" in system.output.read_text(), "up")
        host, _, smtp = system.output.read_text().split("SMTP on ")[1].split()[0].rpartition(":")
        system.smtp, system.http = (host, int(smtp)), f"http://127.0.0.1:{port}"
        assert system.get("/healthz") == (200, '{"status":"ok"}')
        assert system.ready()["stores"] == {"database": "ok", "objects": "ok"}
        mails = [report_mail(f"r{number}") for number in range(12)]
        for raw in mails:
            assert system.send(rua, raw) == [(250, "")]
        assert counted(system) == [12, 0, sum(map(len, mails)), 0, 12, 12]
        assert 'dmarcworks_queue_mails{state="ready"} 12.0' in system.get("/metrics")[1]
        assert system.get("/")[0] == 404
        assert not (system.home / "running.json").exists()
        done = system.cli("serve", "--roles", "smtp")
        said = f"HTTP cannot listen on 127.0.0.1:{port}: Address already in use; see DMARCWORKS_METRICS_PORT"
        assert (done.returncode, said in done.stderr) == (2, True)
    finally:
        listener.terminate()
        assert listener.wait(60) == 0


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
