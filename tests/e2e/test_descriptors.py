"""Thousands of idle HTTP connections and few open files: mail still comes in, and is counted."""

from __future__ import annotations

import contextlib
import re
import resource
import smtplib
import socket
from collections.abc import Iterator

import pytest

from tests.support.mails import report_mail
from tests.support.system import COMMAND, System, wait_for

IDLE = 2_250
FILES = 512


def limited(files: int) -> list[str]:
    """The command with so many open files, soft and hard."""
    return ["/bin/sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *COMMAND]


@pytest.fixture(scope="module")
def many_files() -> Iterator[None]:
    """We hold the other ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + 1024
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.fail(f"this machine allows only {hard} open files")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def system(tmp_path_factory: pytest.TempPathFactory, many_files: None) -> Iterator[System]:
    settings = {"DMARCWORKS_HTTP_IDLE_SECONDS": "600", "DMARCWORKS_HTTP_HEADER_SECONDS": "600"}
    running = System(tmp_path_factory.mktemp("files") / "home", settings, command=limited(FILES))
    running.start()
    yield running
    if running.alive:
        running.stop()


def flood(system: System) -> list[socket.socket]:
    """As many connections as asked for that say nothing."""
    host, port = system.http.removeprefix("http://").split(":")
    found = []
    for _ in range(IDLE):
        client = socket.socket()
        client.settimeout(30)
        client.connect((host, int(port)))
        found.append(client)
    return found


def still_open(client: socket.socket) -> bool:
    client.setblocking(False)
    with contextlib.suppress(ConnectionError):
        try:
            while client.recv(4096):
                pass
        except BlockingIOError:
            return True
    return False


def test_idle_http_connections_leave_smtp_alone(system: System) -> None:
    system.add_domain("example.com")
    metrics = system.get("/metrics")[1]
    assert f'dmarcworks_descriptor_limit{{of="files"}} {FILES}.0' in metrics
    assert 'dmarcworks_descriptor_limit{of="http_connections"} 32.0' in metrics
    assert 'dmarcworks_descriptor_limit{of="smtp_connections"} 224.0' in metrics
    warning = "fewer connections than the settings allow, since the system allows too few open files"
    assert warning in system.log.read_text()

    clients = flood(system)
    try:
        with smtplib.SMTP(*system.smtp, timeout=30) as smtp:
            assert smtp.ehlo()[0] == 250
        raw = report_mail("1", records=[("192.0.2.1", 1000, "pass", "pass")])
        assert system.send(system.rua["example.com"], raw) == [(250, "")]
        wait_for(lambda: sum(map(still_open, clients)) <= 32, "ended but for as many as there are places")
        # The idle ones make room for those who ask.
        wait_for(lambda: answered(system) == 200, "answering")
        wait_for(lambda: system.total() == 1000, "counted")
        assert re.search(r"^dmarcworks_http_ended_total.bound=.connections.. [1-9]", system.get("/metrics")[1], re.M)
    finally:
        for client in clients:
            client.close()
    assert "Too many open files" not in system.log.read_text()
    assert "Traceback" not in system.log.read_text()


def answered(system: System) -> int:
    with contextlib.suppress(OSError):
        return system.get("/healthz")[0]
    return 0


def test_smtp_connections_up_to_their_limit_leave_http_and_the_stores_alone(system: System) -> None:
    """Both at their limits at once: a mail over a connection that was there before is accepted."""
    system.settings["DMARCWORKS_SMTP_CONNECTIONS_PER_ADDRESS"] = "1000"
    system.stop()
    system.start()
    system.add_domain("example.com")
    clients = flood(system)
    try:
        with smtplib.SMTP(*system.smtp, timeout=30) as smtp:
            for _ in range(300):
                client = socket.create_connection(system.smtp, timeout=30)
                clients.append(client)
            replies = [client.recv(100)[:3] for client in clients[IDLE:]]
            assert replies.count(b"220") == 223
            assert set(replies) == {b"220", b"421"}
            raw = report_mail("1", records=[("192.0.2.1", 1000, "pass", "pass")])
            assert smtp.sendmail("a@mail.example", [system.rua["example.com"]], raw) == {}
    finally:
        for client in clients:
            client.close()
    wait_for(lambda: answered(system) == 200, "answering")
    wait_for(lambda: system.total() == 1000, "counted")


def test_too_few_files_for_anything_end_the_start(tmp_path_factory: pytest.TempPathFactory) -> None:
    running = System(tmp_path_factory.mktemp("few") / "home", command=limited(300))
    running.launch()
    assert running.process is not None
    assert running.process.wait(60) == 2
    said = running.log.read_text()
    assert "this process may open only 300 files, and 320 are the least that it needs" in said
    assert "Traceback" not in said
