"""parsedmarc from PyPI as its users run it: from a Maildir into PostgreSQL, two processes, offline.

A PostgreSQL cluster of its own with its default durability (fsync on, a commit per report) is made for the run and
thrown away. PostgreSQL does not run as root: then it runs as the system's user `postgres`.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reading import peer_python
from sender import Load

PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Peer:
    """What it took and what it stored."""

    version: str
    postgres: str
    seconds: float
    reports: int
    records: int
    messages: int


def measure(folder: Path, sent: Load) -> Peer:
    """Run it over the mails; `SystemExit` where PostgreSQL is not installed."""
    python = peer_python()
    have = subprocess.run([str(python), "-c", "import psycopg"], capture_output=True, check=False)
    if have.returncode:
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "psycopg[binary]>=3.2,<4"], check=True)
    box = folder / "maildir"
    for part in ("cur", "new", "tmp"):
        (box / part).mkdir(parents=True)
    for number, raw in enumerate(sent.mails):
        (box / "new" / f"1764547200.{number}.mail").write_bytes(raw)
    with postgres(folder / "postgres") as (connection, psql):
        config = folder / "parsedmarc.ini"
        config.write_text(
            f"[general]\nsave_aggregate = True\noffline = True\nsilent = True\nn_procs = {PROCESSES}\n"
            # One batch is all that a run without `watch` takes.
            f"[mailbox]\nbatch_size = {len(sent.mails)}\n"
            f"[maildir]\nmaildir_path = {box}\n"
            f"[postgresql]\nconnection_string = {connection}\n"
        )
        started = time.perf_counter()
        peer = subprocess.Popen([str(python.parent / "parsedmarc"), "-c", str(config)], stderr=subprocess.PIPE)
        # Until the last report is stored, like ours; what it does with the mails after that counts for nobody.
        while _stored(psql) < len(sent.mails) and peer.poll() is None:
            time.sleep(0.2)
        seconds = time.perf_counter() - started
        if peer.poll():
            raise SystemExit(f"parsedmarc failed: {peer.communicate()[1].decode()[-2000:]}")
        peer.kill()
        peer.communicate()
        stored = psql(
            "SELECT (SELECT count(*) FROM dmarc_aggregate_report), count(*), sum(message_count)"
            " FROM dmarc_aggregate_record"
        )
        reports, records, messages = (int(number or 0) for number in stored.split("|"))
        version = subprocess.run(
            [str(python), "-c", "from importlib.metadata import version; print(version('parsedmarc'))"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        return Peer(version, psql("SHOW server_version").split()[0], seconds, reports, records, messages)


def _stored(psql: Callable[[str], str]) -> int:
    """How many reports are in its table, which it makes itself at its start."""
    there = psql("SELECT to_regclass('dmarc_aggregate_report')")
    return int(psql("SELECT count(*) FROM dmarc_aggregate_report")) if there else 0


@contextmanager
def postgres(data: Path) -> Iterator[tuple[str, Callable[[str], str]]]:
    where = shutil.which("pg_ctl") or next(iter(sorted(glob.glob("/usr/lib/postgresql/*/bin/pg_ctl"))[::-1]), None)
    if where is None:
        raise SystemExit("PostgreSQL is not installed (Debian: apt install postgresql); or run with --no-peer")
    programs = Path(where).resolve().parent
    # Only its owner may reach into our folder: the cluster stands in a place that user may reach.
    socket = Path("/tmp" if os.geteuid() == 0 else data.parent)
    data.mkdir(mode=0o700)
    as_user = []
    if os.geteuid() == 0:
        shutil.chown(data, "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    def run(program: str, *words: str) -> str:
        command = [*as_user, str(programs / program), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd="/").stdout

    run("initdb", "-D", str(data), "-U", "bench", "--auth=trust", "--no-sync")
    port = 20_000 + os.getpid() % 20_000
    log = str(data / "log")
    options = f"-c listen_addresses='' -c unix_socket_directories={socket} -p {port}"
    run("pg_ctl", "-D", str(data), "-w", "-l", log, "-o", options, "start")

    def psql(statement: str) -> str:
        return run("psql", "-h", str(socket), "-p", str(port), "-U", "bench", "-Atc", statement, "postgres").strip()

    try:
        yield f"host={socket} port={port} user=bench dbname=postgres", psql
    finally:
        run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
