"""Mails that are made to take long stop nobody: who connects gets an answer, and the next mail is in the figures soon.

Over forty of them, of 100 kB to 24 MB, go by SMTP into a running server; after each comes an ordinary mail. Meanwhile a
process of its own asks for /healthz and for a greeting, all the time.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support import adversarial
from tests.support.mails import report_mail
from tests.support.outside import Names, answering
from tests.support.system import System, wait_for

# Seconds of an answer, and times as long as an ordinary mail takes by itself.
ANSWER, TIMES = 0.5, 5.0
# A disk that pauses for half a second delays whichever mail it meets; what a mail does to the next it does each time.
TRIES = 3
# A machine that also runs other work answers later, whoever is asked: a process that does nothing but answer is asked
# in turn, and what it took at most around a probe is no fault of the server's.
AROUND = 1.0
PROBES = ("control", "healthz", "greeting")
CONTROL = r"""
import socket
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
while True:
    connection, _ = listening.accept()
    connection.sendall(b"220 ")
    connection.close()
"""
PROBE = r"""
import http.client, json, socket, subprocess, sys, time
other = subprocess.Popen([sys.executable, "-c", sys.argv[4]], stdout=subprocess.PIPE)
plain = ("127.0.0.1", int(other.stdout.readline()))
web, smtp = sys.argv[1], (sys.argv[2], int(sys.argv[3]))
host, port = web.removeprefix("http://").rsplit(":", 1)
def healthz():
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    connection.close()
def greeting():
    with socket.create_connection(smtp, timeout=60) as connection:
        assert connection.recv(4) == b"220 "
        connection.sendall(b"QUIT\r\n")
def control():
    with socket.create_connection(plain, timeout=60) as connection:
        assert connection.recv(4) == b"220 "
while True:
    for name, probe in (("control", control), ("healthz", healthz), ("greeting", greeting)):
        began = time.monotonic()
        probe()
        print(json.dumps([name, began, time.monotonic() - began]), flush=True)
    time.sleep(0.02)
"""


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """With every check on: the mails ask for them."""
    names = Names()
    # The keys are there, so that whoever checks signatures goes on to the mail itself.
    key = rsa.generate_private_key(65537, 2048).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    record = f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"
    names.add({(f"s{number}._domainkey.receiver.example", "TXT"): [record] for number in range(2000)})
    names.add({("_dmarc.receiver.example", "TXT"): ["v=DMARC1; p=none"]})
    with answering(names):
        settings = {
            "DMARCWORKS_REPORT_AUTH": "accept",
            "DMARCWORKS_DNS_SERVER": names.server,
            "DMARCWORKS_READ_CPU_SECONDS": "20",
        }
        running = System(tmp_path / "home", settings)
        running.launch()
        wait_for(lambda: "is up" in running.output.read_text(), "up", 120)
        running.up()
        yield running
        if running.alive:
            running.stop()


@contextlib.contextmanager
def probing(system: System, file: Path) -> Iterator[None]:
    """Asks the server all the time, from a process of its own."""
    with file.open("wb") as out:
        command = [sys.executable, "-c", PROBE, system.http, system.smtp[0], str(system.smtp[1]), CONTROL]
        probe = subprocess.Popen(command, stdout=out, start_new_session=True)
        try:
            yield
            assert probe.poll() is None, "the probe failed"
        finally:
            os.killpg(probe.pid, signal.SIGKILL)
            probe.wait()


def excess(waits: list[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    """Each probe of the server with the seconds that it took longer than any probe of the other process around it."""
    others = [(began, seconds) for name, began, seconds in waits if name == "control"]

    def around(began: float, seconds: float) -> float:
        near = (took for start, took in others if began - AROUND < start + took and start < began + seconds + AROUND)
        return max(near, default=0.0)

    return [(name, began, seconds - around(began, seconds)) for name, began, seconds in waits if name != "control"]


def test_what_another_process_took_is_not_the_servers() -> None:
    """A slow second of the machine is taken off, a slow answer of the server alone is not."""
    waits = [("control", 0.0, 0.01), ("healthz", 0.1, 0.9), ("control", 5.0, 0.6), ("greeting", 5.7, 0.7)]
    assert [(name, round(seconds, 2)) for name, _, seconds in excess(waits)] == [("healthz", 0.89), ("greeting", 0.1)]


def counted(system: System, number: int) -> float:
    """Send an ordinary mail and wait until it is counted; the seconds that took."""
    before = system.total("example.com")
    began = time.monotonic()
    assert system.send(system.rua["example.com"], report_mail(f"ordinary {number}")) == [(250, "")]
    wait_for(lambda: system.total("example.com") == before + 5, f"ordinary mail {number} counted", 120)
    return time.monotonic() - began


def test_adversarial_mails_hold_up_nobody(system: System, tmp_path: Path) -> None:
    """No probe waits longer than half a second, no ordinary mail five times as long as by itself."""
    system.add_domains("example.com")
    rua = system.rua["example.com"]
    counted(system, 0)
    alone = sorted(counted(system, number) for number in range(1, 10))[4]
    measured: dict[str, float] = {}
    windows: list[tuple[str, float, float]] = []
    with probing(system, tmp_path / "probe"):
        for number, name in enumerate(adversarial.NAMES, start=100):
            began = time.monotonic()
            replies = system.send(rua, adversarial.mail(name, rua))
            measured[name] = counted(system, number)
            windows.append((name, began, time.monotonic()))
            assert replies[0][0] in (250, 500, 552, 554), (name, replies)
        system.settle(600)
    waits = [json.loads(line) for line in (tmp_path / "probe").read_text().splitlines()]
    slow = [
        (probe, round(seconds, 2), next((name for name, start, end in windows if start <= began <= end), "at the end"))
        for probe, began, seconds in excess([(name, began, seconds) for name, began, seconds in waits])
        if seconds > ANSWER
    ]
    late: dict[str, list[float]] = {}
    further = itertools.count(1000)
    for name in (name for name, seconds in measured.items() if seconds > TIMES * alone):
        again = [measured[name]]
        while len(again) < TRIES and min(again) > TIMES * alone:
            system.send(rua, adversarial.mail(name, rua))
            again.append(counted(system, next(further)))
            system.settle(600)
        if min(again) > TIMES * alone:
            late[name] = [round(seconds, 2) for seconds in again]
    longest = {probe: round(max(wait[2] for wait in waits if wait[0] == probe), 2) for probe in PROBES}
    told = f"{len(waits)} probes, longest {longest} s; an ordinary mail alone {alone:.2f} s"
    print(told, {name: round(seconds, 2) for name, seconds in measured.items()})
    assert (slow, late) == ([], {}), told
    assert system.rows("SELECT id FROM queue") == []
    assert system.alive
