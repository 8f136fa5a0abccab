"""The whole way, durable at every step: small report mails over SMTP until the last one is in an answer of the SQL API.

One command: `python bench/whole.py [--mails 20000] [--connections 16] [--processes 2] [--profile] [--no-peer] [--write]`. The server is
the real one (`dmarcworks serve`) on a new home; in the same run parsedmarc from PyPI reads the same mails from a Maildir
into PostgreSQL, offline, with two processes. Memory of our process is told from the first thousand mails to the last.
`--profile` samples the server (py-spy) in a run of its own and sums by step and by function.
`--write` renews docs/benchmarks-whole.md. All of it stands in `--folder`, bench/.whole/ unless told,
which decides whose disk is measured.
"""

# ruff: noqa: E501 - tables are long lines by nature
from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import samples
import uvloop
import whole_peer
from sender import RECORDS, Load, load, send

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "bench" / ".whole"
DOMAIN = "example.com"
STEPS = 20
# Sampling slows the server down: it has a run of its own.
PROFILED = 4_000
PATIENCE = 1800.0


@dataclass
class Result:
    """Seconds, and what the process took; `memory` is (mails taken, resident MB)."""

    accepted: float = 0.0
    queryable: float = 0.0
    cpu: float = 0.0
    client_cpu: float = 0.0
    memory: list[tuple[int, float]] = field(default_factory=list)
    stacks: str = ""


class Server:
    """`dmarcworks serve` on a home of its own."""

    def __init__(self, home: Path, processes: int, settings: Mapping[str, str]) -> None:
        self.home = home
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DMARCWORKS_")}
        self.environment = {
            **clean,
            "PYTHONPATH": str(ROOT / "src"),
            "DMARCWORKS_HOME": str(home),
            "DMARCWORKS_SMTP_PORT": "0",
            "DMARCWORKS_HTTP_PORT": "0",
            "DMARCWORKS_HOSTNAME": "reports.example.net",
            "DMARCWORKS_SMTP_CONNECTIONS_PER_ADDRESS": "1000",
            "DMARCWORKS_SMTP_PROCESSES": str(processes),
            # The domains of a benchmark are in no DNS.
            "DMARCWORKS_DNS_CHECKS": "off",
            "DMARCWORKS_SETUP_CHECKS": "off",
            "DMARCWORKS_LOG_FORMAT": "json",
            **{name: value for name, value in os.environ.items() if name.startswith("DMARCWORKS_QUEUE_")},
            **settings,
        }
        command = [sys.executable, "-c", "from dmarcworks.cli import main; main()"]
        with (home.parent / "server.log").open("wb") as log:
            self.process = subprocess.Popen([*command, "serve"], env=self.environment, stdout=log, stderr=log)
        _until(lambda: (home / "running.json").exists() or self.process.poll() is not None, "the server is up")
        running = json.loads((home / "running.json").read_text())
        self.http = running["http"]
        host, _, port = running["smtp"].rpartition(":")
        self.smtp = (host, int(port))
        self.rua: str = self._command("domain", "add", DOMAIN)["rua"]
        made = self._command("token", "create")
        self._token, self._account = made["token"], made["account_id"]

    def _command(self, *words: str) -> dict[str, Any]:
        command = [sys.executable, "-c", "from dmarcworks.cli import main; main()", *words, "--json"]
        done = subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def counted(self) -> tuple[int, int]:
        """Records and messages that the SQL API tells."""
        request = urllib.request.Request(
            f"{self.http}/client/v4/accounts/{self._account}/analytics_engine/sql",
            data=b"SELECT COUNT() AS records, SUM(double8) AS messages FROM dmarc_reports",
            headers={"Authorization": f"Bearer {self._token}"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            (row,) = json.loads(answer.read())["data"]
        return int(row["records"]), int(row["messages"] or 0)

    def waiting(self) -> int:
        """Mails that are taken and not read."""
        with closing(sqlite3.connect(f"file:{self.home / 'dmarcworks.db'}?mode=ro", uri=True, timeout=60)) as database:
            (count,) = database.execute("SELECT count(*) FROM queue").fetchone()
        return int(count)

    def _processes(self) -> list[int]:
        """It, and those that it and its children started to accept, read and check mail."""
        found = [self.process.pid]
        for number in found:
            with suppress(OSError):
                for thread in Path(f"/proc/{number}/task").iterdir():
                    found += map(int, (thread / "children").read_text().split())
        return found

    def resident(self) -> float:
        """MB of all its processes; what several share counts for each."""
        total = 0
        for number in self._processes():
            with suppress(OSError, IndexError):
                total += int(Path(f"/proc/{number}/status").read_text().split("VmRSS:")[1].split()[0])
        return total / 1024

    def cpu(self) -> float:
        """Seconds of processor time of all its processes so far, with those that have ended."""
        ticks = 0
        for number in self._processes():
            with suppress(OSError):
                stat = Path(f"/proc/{number}/stat").read_text()
                ticks += sum(map(int, stat.rsplit(")", 1)[1].split()[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """As an operator would."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()


def _until(question: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not question():
        if time.monotonic() > deadline:
            raise SystemExit(f"after {PATIENCE:g} s still not: {what}")
        time.sleep(0.2)


@contextmanager
def profiled(server: Server, how: str | None, result: Result) -> Iterator[None]:
    """Sample the threads of the server and of its children while the block runs: all at work, or the one that holds the interpreter's lock."""
    if how is None:
        yield
        return
    out = server.home.parent / "stacks.txt"
    sampler = subprocess.Popen(
        [
            *(str(samples.py_spy()), "record", "-p", str(server.process.pid), "-r", "100", "-f", "raw", "-o", str(out)),
            "--subprocesses",
            *(["--gil"] if how == "gil" else []),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        sampler.send_signal(signal.SIGINT)
        sampler.wait(60)
        result.stacks = out.read_text()


def ours(
    sent: Load,
    folder: Path,
    connections: int,
    processes: int,
    profile: str | None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Result:
    """Send it all, wait for the last to be counted."""
    home = folder / "home"
    home.mkdir(parents=True)
    server = Server(home, processes, settings)
    result = Result()
    step = max(1, len(sent.mails) // STEPS)

    def taken(number: int) -> None:
        if number % step == 0 or number == 1:
            result.memory.append((number, server.resident()))

    try:
        with profiled(server, profile, result):
            cpu, own, started = server.cpu(), time.process_time(), time.perf_counter()
            uvloop.run(send(server.smtp, server.rua, sent.mails, connections, taken))
            result.accepted, result.client_cpu = time.perf_counter() - started, time.process_time() - own
            # Looked at in the file, so that asking costs the server nothing.
            _until(lambda: not server.waiting(), "every mail is read")
            _until(lambda: server.counted()[0] >= sent.records, "every record is counted")
            result.queryable = time.perf_counter() - started
        result.cpu = server.cpu() - cpu
        result.memory.append((len(sent.mails), server.resident()))
        if server.counted() != (sent.records, sent.messages):
            raise SystemExit(f"counted {server.counted()}, sent {(sent.records, sent.messages)}")
    finally:
        server.stop()
    return result


@contextmanager
def silent_resolver() -> Iterator[str]:
    """The address of a name server that receives queries and answers none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{server.getsockname()[1]}"


def with_dead_resolver(sent: Load, folder: Path, connections: int, processes: int, rounds: int) -> list[str]:
    """The throughput without look-ups of names, and with a resolver that is dead, in turn; a table.

    On a busy machine the processor time says more than the seconds. Which comes first changes from round to round."""
    seconds: dict[str, list[float]] = {"none": [], "dead": []}
    cpu: dict[str, list[float]] = {"none": [], "dead": []}
    with silent_resolver() as address:
        for number in range(rounds):
            kinds = [("none", "off", ""), ("dead", "on", address)]
            for name, names, server in kinds if number % 2 == 0 else reversed(kinds):
                place = folder / f"{name}{number}"
                settings = {
                    "DMARCWORKS_ADDRESS_NAMES": names,
                    "DMARCWORKS_DNS_SERVER": server,
                    "DMARCWORKS_REPORT_AUTH": "off",
                }
                result = ours(sent, place, connections, processes, None, settings)
                seconds[name].append(result.queryable)
                cpu[name].append(result.cpu / len(sent.mails) * 1000)
                shutil.rmtree(place, ignore_errors=True)
    none, dead = (len(sent.mails) / statistics.median(seconds[name]) for name in ("none", "dead"))
    spent = {name: statistics.median(cpu[name]) for name in cpu}
    return [
        "| names of addresses | mails/s | of it | processor time per mail | more |",
        "|---|---|---|---|---|",
        f"| not looked up | {none:,.0f} | 100 % | {spent['none']:.2f} ms | |",
        f"| the resolver is dead | {dead:,.0f} | {dead / none:.1%} | {spent['dead']:.2f} ms | {spent['dead'] / spent['none'] - 1:+.1%} |",
    ]


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mails", type=int, default=20_000, help="how many (20,000)")
    parser.add_argument("--connections", type=int, default=16, help="concurrent SMTP connections (16)")
    parser.add_argument("--processes", type=int, default=2, help="DMARCWORKS_SMTP_PROCESSES (2)")
    parser.add_argument(
        "--profile",
        nargs="?",
        const="all",
        choices=("all", "gil"),
        help="show where the server's time goes: all threads, or the holders of the interpreter's lock",
    )
    parser.add_argument("--dead-resolver", type=int, metavar="ROUNDS", help="only compare a dead resolver with none")
    parser.add_argument("--no-peer", action="store_true", help="without parsedmarc")
    parser.add_argument("--write", action="store_true", help="regenerate docs/benchmarks-whole.md")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="the folder of all files (bench/.whole)")
    parser.add_argument("--keep", action="store_true", help="leave the folder")
    options = parser.parse_args()
    folder = options.folder.resolve()
    # ext4 makes files slowly for minutes where many were removed: name a new folder for a run right after another.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sent = load(options.mails)
    count = len(sent.mails)
    print(f"{count:,} mails, {sent.records:,} records, {sent.messages:,} messages", file=sys.stderr)
    if options.dead_resolver:
        table = with_dead_resolver(sent, folder, options.connections, options.processes, options.dead_resolver)
        print("\n".join(table))
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    mine = ours(sent, folder, options.connections, options.processes, None)
    low, high = RECORDS
    lines = [
        f"{count:,} mails of {low} to {high} records ({sum(map(len, sent.mails)) // count:,} bytes a mail, gzip and zip), "
        f"{sent.records:,} records.",
        "",
        "| system | mails/s | seconds | durable |",
        "|---|---|---|---|",
        f"| dmarcworks: SMTP, {options.connections} connections, until the last report is in the SQL API's response | "
        f"**{count / mine.queryable:,.0f}** | {mine.queryable:.1f} | every step; mail and report archived |",
        f"| of this, until every mail is answered with 250 | {count / mine.accepted:,.0f} | {mine.accepted:.1f} | raw mail and queue item |",
    ]
    if not options.no_peer:
        theirs = whole_peer.measure(folder, sent)
        lines += [
            f"| parsedmarc {theirs.version}: Maildir → PostgreSQL {theirs.postgres}, 2 processes, offline | "
            f"{theirs.reports / theirs.seconds:,.0f} | {theirs.seconds:.1f} | a commit per report, nothing archived |",
            "",
            f"Ratio {count / mine.queryable / (theirs.reports / theirs.seconds):.1f}, each until the last report is stored. parsedmarc stored {theirs.reports:,} reports, {theirs.records:,} "
            f"records, {theirs.messages:,} messages; dmarcworks all of {sent.messages:,} messages.",
        ]
    lines += [
        "",
        f"DMARCWORKS_SMTP_PROCESSES={options.processes}"
        + (
            ": this number of processes receives mail, one more processes it."
            if options.processes > 1
            else ": one process receives and processes mail."
        ),
        "",
        f"Processor time: server {mine.cpu:.1f} s ({mine.cpu / count * 1000:.2f} ms a mail), the sending client "
        f"{mine.client_cpu:.1f} s, on {os.cpu_count()} cores.",
        "",
        "Resident memory of all server processes while mails arrive; the last line is when all were counted:",
        "",
        "| mails accepted | MB |",
        "|---|---|",
        *(f"| {number:,} | {resident:.0f} |" for number, resident in mine.memory),
    ]
    if options.profile:
        some = load(min(count, PROFILED))
        watched = ours(some, folder / "profiled", options.connections, options.processes, options.profile)
        what = "the holders of the interpreter's lock" if options.profile == "gil" else "all busy threads"
        lines += ["", f"Where the time goes, in a run of {len(some.mails):,} mails, separately ({what}):", ""]
        lines += samples.tables(watched.stacks)
        lines += ["", "The largest costs, and what was done about them: [decision](decisions/2026-11-24-whole-way.md)."]
    print("\n".join(lines))
    if options.write:
        head = (
            "# Benchmarks: end to end\n\n`python bench/whole.py --write` (in the project's virtual environment) regenerates this "
            "page. It measures report mails sent over SMTP\nuntil the last report is in a response of the SQL API, with every step durable, and parsedmarc "
            "from PyPI on the same mails in the same\nrun. Compare ratios; absolute times depend on the machine and the day.\n\n"
        )
        (ROOT / "docs" / "benchmarks-whole.md").write_text(head + "\n".join(lines) + "\n")
    if not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
