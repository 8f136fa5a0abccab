"""Mails that are made to take long stop nobody: who connects gets an answer, and the next mail is in the figures soon.

Over forty of them, of 100 kB to 24 MB, go by SMTP into a running server; after each comes an ordinary mail. Meanwhile a
process of its own asks for /healthz and for a greeting, all the time.
"""

from __future__ import annotations

import base64
import contextlib
import json
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

# The issue's own numbers: seconds of an answer, and times as long as an ordinary mail takes by itself.
ANSWER, TIMES = 0.5, 5.0
PROBE = r"""
import http.client, json, socket, sys, time
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
while True:
    for name, probe in (("healthz", healthz), ("greeting", greeting)):
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
        command = [sys.executable, "-c", PROBE, system.http, system.smtp[0], str(system.smtp[1])]
        # What measures must not itself wait for a processor.
        probe = subprocess.Popen(command, stdout=out)
        try:
            yield
            assert probe.poll() is None, "the probe failed"
        finally:
            probe.send_signal(signal.SIGKILL)
            probe.wait()


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
        for probe, began, seconds in waits
        if seconds > ANSWER
    ]
    late = {name: round(seconds, 2) for name, seconds in measured.items() if seconds > TIMES * alone}
    told = f"{len(waits)} probes, longest {max(wait[2] for wait in waits):.2f} s; an ordinary mail alone {alone:.2f} s"
    print(told, {name: round(seconds, 2) for name, seconds in measured.items()})
    assert (slow, late) == ([], {}), told
    assert system.rows("SELECT id FROM queue") == []
    assert system.alive
