"""Receiving, side by side in one run: durable accepts a second, 16 connections, mails of 8 kB, one process and two.

One command: `python bench/receiving.py [--seconds 8] [--rounds 3] [--write]`. The yardstick is bare aiosmtpd on uvloop
that writes each mail to a file and fsyncs it before it says 250 (in the loop and in threads; the faster one counts).
Where Postfix's smtp-source and smtp-sink are installed they are run too. Ours is `dmarcworks serve`: with the role
"smtp" alone, and whole, reading what it takes at the same time. One client for all, a process of its own; what more processes bring
is asked with smtp-source, which takes next to nothing from the cores. Each round runs all in turn, the medians count. `--write` renews docs/benchmarks-receiving.md.
"""

# ruff: noqa: E501 - the table is long lines by nature
from __future__ import annotations

import argparse
import asyncio
import atexit
import base64
import gzip
import json
import os
import re
import secrets
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import uvloop

ROOT = Path(__file__).resolve().parent.parent
CONNECTIONS = 16
MANY = 64
ONE = f"Postfix smtp-source over {MANY} connections → one process"
TWO = f"Postfix smtp-source over {MANY} connections → two processes"
MAIL_BYTES = 8192
HOST = "reports.example.net"


class Sender(asyncio.Protocol):
    """A connection that sends mail after mail and counts the 250s."""

    def __init__(self, rua: str, mails: list[bytes], deadline: float) -> None:
        self._commands = (
            b"EHLO bench.example\r\n",
            b"MAIL FROM:<bench@mail.example>\r\n",
            f"RCPT TO:<{rua}>\r\n".encode(),
            b"DATA\r\n",
        )
        self._mails = mails
        self._deadline = deadline
        self._step = self._next = 0
        self.accepted = 0
        self.refused = ""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._last = b""

    def data_received(self, data: bytes) -> None:
        data = self._last + data
        self._last = b""
        if not data.endswith(b"\n") or data[data.rfind(b"\n", 0, -1) + 1 :][3:4] == b"-":
            self._last = data
            return
        if data[:1] not in b"23":
            self.refused = data.decode("latin-1").strip()
            self._transport.close()
            return
        if self._step == 5:
            self.accepted += 1
            self._step = 1
            if time.monotonic() > self._deadline:
                self._transport.close()
                return
        if self._step == 4:
            self._transport.write(self._mails[self._next % len(self._mails)])
            self._next += 1
        else:
            self._transport.write(self._commands[self._step])
        self._step += 1

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


def mails(number: int) -> list[bytes]:
    """Report mails of 8 kB, each with a report of its own, ready for DATA."""
    made = []
    for _ in range(number):
        report_id, rows = secrets.token_hex(12), []
        for _ in range(12):
            ip = f"192.0.{secrets.randbelow(255)}.{secrets.randbelow(255)}"
            rows.append(
                f"<record><row><source_ip>{ip}</source_ip><count>{secrets.randbelow(90) + 1}</count><policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>example.com</header_from></identifiers><auth_results><spf><domain>example.com</domain><result>fail</result></spf></auth_results></record>"
            )
        xml = f'<?xml version="1.0"?><feedback><report_metadata><org_name>bench</org_name><email>b@mail.example</email><report_id>{report_id}</report_id><date_range><begin>1790035200</begin><end>1790121599</end></date_range></report_metadata><policy_published><domain>example.com</domain><p>none</p></policy_published>{"".join(rows)}</feedback>'
        body = base64.encodebytes(gzip.compress(xml.encode(), 1)).replace(b"\n", b"\r\n")
        head = (
            "From: bench@mail.example\r\nTo: rua\r\nSubject: Report\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/gzip\r\n"
            f'Content-Disposition: attachment; filename="mail.example!example.com!1790035200!1790121599!{report_id}.xml.gz"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        ).encode()
        mail = head + body + b"\r\n--b--\r\n"
        while len(mail) < MAIL_BYTES - 72:
            mail += b"x" * 70 + b"\r\n"
        made.append(mail + b".\r\n")
    return made


async def send(port: int, rua: str, seconds: float) -> dict[str, object]:
    """What the client's process does: mails a second, and the first refusal if there was one."""
    loop = asyncio.get_running_loop()
    stock = mails(1500)
    began = time.monotonic()
    senders = [Sender(rua, stock[index::CONNECTIONS], began + seconds) for index in range(CONNECTIONS)]
    for sender in senders:
        await loop.create_connection(lambda sender=sender: sender, "127.0.0.1", port)
    await asyncio.gather(*(sender.ended for sender in senders))
    took = time.monotonic() - began
    accepted = sum(sender.accepted for sender in senders)
    return {
        "rate": accepted / took,
        "accepted": accepted,
        "refused": next((s.refused for s in senders if s.refused), ""),
    }


def client(port: int, rua: str, seconds: float) -> float:
    """Mails a second that a client in its own process had answered with 250."""
    arguments = [sys.executable, __file__, "--client", str(port), rua, str(seconds)]
    told = json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)
    if told["refused"]:
        print(f"port {port}: {told['refused']}", file=sys.stderr)
    return float(told["rate"])


def baseline(way: str, folder: str) -> None:
    """Bare aiosmtpd: a file and an fsync per mail, nothing else."""
    from aiosmtpd.smtp import SMTP

    class Handler:
        number = 0

        async def handle_DATA(self, server: object, session: object, envelope: object) -> str:
            Handler.number += 1
            name, content = f"{folder}/{Handler.number}.eml", envelope.original_content  # type: ignore[attr-defined]
            if way == "threads":
                await asyncio.get_running_loop().run_in_executor(None, keep, name, content)
            else:
                keep(name, content)
            return "250 OK"

    def keep(name: str, content: bytes) -> None:
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(handle, content)
        os.fsync(handle)
        os.close(handle)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        handler = Handler()
        server = await loop.create_server(lambda: SMTP(handler, loop=loop, enable_SMTPUTF8=True), "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()

    uvloop.run(run())


@cache
def kept() -> str:
    """Where all folders of a run stay until its end: a disk that has thousands of files to forget is slow at new ones."""
    folder = tempfile.mkdtemp(dir=ROOT / "bench", prefix=".receiving-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextmanager
def bare(way: str) -> Iterator[tuple[int, str]]:
    """The yardstick as a process: its port and a recipient."""
    folder = tempfile.mkdtemp(dir=kept())
    process = subprocess.Popen(
        [sys.executable, __file__, "--yardstick", way, folder], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline()), f"rua@{HOST}"
    finally:
        process.kill()
        process.wait()


@contextmanager
def ours(*arguments: str, **settings: str) -> Iterator[tuple[int, str]]:
    """`dmarcworks serve` on a home of its own: its port and the rua address of a domain."""
    command = [sys.executable, "-c", "from dmarcworks.cli import main; main()"]
    folder = tempfile.mkdtemp(dir=kept())
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DMARCWORKS_")}
    environment = {
        **clean,
        "PYTHONPATH": str(ROOT / "src"),
        "DMARCWORKS_HOME": f"{folder}/home",
        "DMARCWORKS_HOSTNAME": HOST,
        "DMARCWORKS_SMTP_PORT": "0",
        "DMARCWORKS_HTTP_PORT": "0",
        # The domains of a benchmark are in no DNS.
        "DMARCWORKS_DNS_CHECKS": "off",
        "DMARCWORKS_SETUP_CHECKS": "off",
        "DMARCWORKS_LOG_FORMAT": "json",
        "DMARCWORKS_SMTP_CONNECTIONS_PER_ADDRESS": "100",
        **settings,
    }
    added = subprocess.run(
        [*command, "domain", "add", "example.com", "--json"], env=environment, check=True, capture_output=True
    )
    out = Path(folder) / "out"
    with out.open("wb") as told, (Path(folder) / "log").open("wb") as log:
        process = subprocess.Popen([*command, "serve", *arguments], env=environment, stdout=told, stderr=log)
    try:
        while not (found := re.search(r"SMTP on \S+:(\d+)", out.read_text())):
            if process.poll() is not None:
                raise SystemExit((Path(folder) / "log").read_text())
            time.sleep(0.05)
        yield int(found[1]), json.loads(added.stdout)["rua"]
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            process.kill()


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def postfix_sink() -> float:
    """smtp-source into smtp-sink, which keeps nothing: the conversation alone."""
    port, number = free_port(), 20_000
    sink = subprocess.Popen(
        ["smtp-sink", "-u", "nobody", "-c", f"127.0.0.1:{port}", "512"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(0.5)
        return source(port, f"rua@{HOST}", number)
    finally:
        sink.kill()
        sink.wait()


def source(port: int, rua: str, number: int, connections: int = CONNECTIONS) -> float:
    """Postfix's own client, which costs next to nothing: mails a second."""
    began = time.monotonic()
    subprocess.run(
        [
            "smtp-source",
            "-d",
            "-s",
            str(connections),
            "-l",
            str(MAIL_BYTES),
            "-m",
            str(number),
            "-f",
            "bench@mail.example",
            "-t",
            rua,
            f"127.0.0.1:{port}",
        ],
        check=True,
        capture_output=True,
    )
    return number / (time.monotonic() - began)


def unused() -> float:
    """Seconds that the cores had nothing to do since the machine started (where the kernel tells)."""
    try:
        return int(Path("/proc/stat").read_text().split()[4]) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0


def spent() -> float:
    """Seconds of a core that the living processes below this one have used: the server and what it started."""
    parents, seconds = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        number = int(stat.parent.name)
        parents[number] = int(fields[1])
        seconds[number] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    below = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in below} - below:
        below |= more
    return sum(seconds[number] for number in below - {os.getpid()})


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="regenerate docs/benchmarks-receiving.md")
    parser.add_argument("--only", default="", help="run only what has this in its name, and print (no table)")
    parser.add_argument("--client", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--yardstick", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        port, rua, seconds = options.client
        print(json.dumps(uvloop.run(send(int(port), rua, float(seconds)))))
        return 0
    if options.baseline:
        baseline(*options.baseline)
        return 0
    sources = bool(shutil.which("smtp-source") and shutil.which("smtp-sink"))

    def measured(system: Callable[[], object]) -> Callable[[], float]:
        def run() -> float:
            with system() as (port, rua):  # type: ignore[attr-defined]
                client(port, rua, 1.0)  # warm
                return client(port, rua, options.seconds)

        return run

    idle: dict[str, list[float]] = {}
    cost: dict[str, list[float]] = {}

    def by_source(name: str, connections: int, processes: int) -> Callable[[], float]:
        def run() -> float:
            many = {"DMARCWORKS_SMTP_PROCESSES": str(processes), "DMARCWORKS_SMTP_CONNECTIONS_PER_ADDRESS": "1000"}
            with ours("--roles", "smtp", **many) as (port, rua):
                source(port, rua, 500, connections)
                number, before, used, began = int(1500 * options.seconds), unused(), spent(), time.monotonic()
                rate = source(port, rua, number, connections)
                share = (unused() - before) / (time.monotonic() - began) / (os.cpu_count() or 1)
                idle.setdefault(name, []).append(share)
                cost.setdefault(name, []).append((spent() - used) / number * 1000)
                return rate

        return run

    cases: dict[str, Callable[[], float]] = {
        "aiosmtpd + uvloop, an fsync per mail in the loop": measured(lambda: bare("loop")),
        "aiosmtpd + uvloop, an fsync per mail in threads": measured(lambda: bare("threads")),
        "dmarcworks, one process (`--roles smtp`)": measured(lambda: ours("--roles", "smtp")),
        "dmarcworks, two processes (`DMARCWORKS_SMTP_PROCESSES=2`)": measured(
            lambda: ours("--roles", "smtp", DMARCWORKS_SMTP_PROCESSES="2")
        ),
        "dmarcworks, receiving and processing in one process": measured(lambda: ours()),
    }
    if sources:
        cases["Postfix smtp-source → smtp-sink (keeps nothing)"] = postfix_sink
        for name, connections, processes in (
            ("Postfix smtp-source → dmarcworks, one process", CONNECTIONS, 1),
            (ONE, MANY, 1),
            (TWO, MANY, 2),
        ):
            cases[name] = by_source(name, connections, processes)
    cases = {name: run for name, run in cases.items() if options.only in name}
    rates: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(options.rounds):
        for name, run in cases.items():
            rates[name].append(run())
            print(f"round {number + 1}: {name}: {rates[name][-1]:,.0f}/s", file=sys.stderr, flush=True)
    if options.only:
        for name in cases:
            used = [f"{share:.0%} of the cores unused" for share in idle.get(name, ())]
            used += [f"{spent_on:.2f} ms a mail" for spent_on in cost.get(name, ())]
            print(name, [round(rate) for rate in rates[name]], *used, sep=", ")
        return 0
    medians = {name: statistics.median(found) for name, found in rates.items()}
    best = max(rate for name, rate in medians.items() if name.startswith("aiosmtpd"))
    lines = ["| system | mails/s (median) | range | relative to the baseline |", "|---|---|---|---|"]
    for name, rate in medians.items():
        lines.append(f"| {name} | {rate:,.0f} | {min(rates[name]):,.0f}–{max(rates[name]):,.0f} | {rate / best:.0%} |")
    if sources:
        ratios = sorted(two / one for one, two in zip(rates[ONE], rates[TWO], strict=True))
        shares, costs = ([statistics.median(found[name]) for name in (ONE, TWO)] for found in (idle, cost))
        lines += [
            "",
            f"Several processes, with a client that needs almost no processor time: two accept {statistics.median(ratios):.2f} times as many mails as one (median of the",
            f"rounds, {ratios[0]:.2f} to {ratios[-1]:.2f}). A mail costs {costs[0]:.2f} ms of a core with one process and {costs[1]:.2f} ms with two; {shares[0]:.0%} of the cores' time",
            f"was unused with one process and {shares[1]:.0%} with two. Two processes can gain only what is unused: one process alone uses more than",
            f"a core, since its threads write and sync without Python's lock. With {CONNECTIONS} connections fewer mails share a commit, and the gain is smaller.",
        ]
    print("\n".join(lines))
    if options.write:
        text = (
            "# Benchmarks: receiving\n\n`python bench/receiving.py --write` regenerates this page. It measures mails of 8 kB, sent over 16 connections and answered with 250, per\nsecond. "
            "dmarcworks answers 250 when the raw mail (a file, its name and its folder fsynced) and the queue item (a database commit) are on\ndisk; "
            "the baseline when one file was written and fsynced, without its folder. The baseline is the faster of two variants of\naiosmtpd. "
            f"This run: {os.cpu_count()} cores shared by server, client and other processes, Python {sys.version.split()[0]}, {options.rounds} rounds of "
            f"{options.seconds:g} s each.\nCompare ratios; absolute figures depend on the machine and the day.\n\n"
            + "\n".join(lines)
            + "\n"
        )
        (ROOT / "docs" / "benchmarks-receiving.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
