"""A server that fetches from mailboxes is killed with SIGKILL again and again; afterwards every mail is accounted for.

    python tests/faults/mailbox_long.py [MAILS [KILLS]]

prints what came of it; by default 20,000 mails over two mailboxes with two folders each, and 20 kills.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from dmarcworks.catalogue.mailboxes import BY_COMMAND
from dmarcworks.catalogue.stores import opened
from dmarcworks.process import failpoints
from dmarcworks.settings import MailboxTable, load
from tests.support.dovecot import PASSWORD, Dovecot
from tests.support.killable import KillableServer
from tests.support.mails import document, mail, report_mail
from tests.support.system import wait_for

_USERS, _FOLDERS = ("one", "two"), ("INBOX", "Reports")
_DONE = "state = 'idle' AND waiting = 0 AND error = '' AND last_run > {since}"


@dataclass
class Outcome:
    """What was there, and what the server has made of it."""

    mails: int
    reports: int
    foreign: int
    broken: int
    private: int
    kills: int = 0
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    messages: int = 0
    problems: dict[str, int] = field(default_factory=dict)
    differences: int = 0
    memory: list[int] = field(default_factory=list)

    def check(self) -> None:
        """Nothing is lost, and nothing is counted twice."""
        accepted = self.counts["accepted"] + self.counts["known"]
        assert accepted == self.mails - self.private, self
        assert self.counts["left_alone"] == self.private, self
        assert self.messages == 5 * self.reports, self
        assert self.problems == {"other_domain": self.foreign, "gzip_truncated": self.broken}, self
        assert self.differences == 0, self


def mails(number: int, seed: int) -> tuple[list[bytes], Outcome]:
    """Mostly reports, some of them twice; private mail, broken reports, and reports about an unknown domain."""
    made: list[bytes] = []
    outcome = Outcome(number, 0, 0, 0, 0)
    dice = random.Random(seed)
    while len(made) < number:
        here, kind = len(made), dice.random()
        if kind < 0.05:
            made.append(f"From: a@x.example\r\nSubject: Lunch {here}\r\n\r\nAt noon?\r\n".encode())
            outcome.private += 1
        elif kind < 0.07:
            made.append(
                mail(
                    (
                        f"x!example.com!1790035200!1790121599!{here}.xml.gz",
                        gzip.compress(document(str(here)), mtime=0)[:80],
                    )
                )
            )
            outcome.broken += 1
        elif kind < 0.09:
            made.append(report_mail(f"r{here}", domain="unknown.example"))
            outcome.foreign += 1
        elif kind < 0.12 and here:
            twin = report_mail(f"twin{here}")
            made += [twin, twin][: number - here]
            outcome.reports += 1
        else:
            made.append(report_mail(f"r{here}"))
            outcome.reports += 1
    return made, outcome


def add_mailboxes(system: KillableServer, dovecot: Dovecot) -> None:
    """One that is left as it is, one that is moved."""
    settings, _ = load({name: value for name, value in system.environment.items() if name.startswith("DMARCWORKS_")})

    async def add() -> None:
        async with opened(settings) as stores:
            for user, settle in zip(_USERS, ("leave", "move:Done"), strict=True):
                table = MailboxTable(user, dovecot.url(user, ",".join(_FOLDERS)), "", settle)
                await stores.mailboxes.add(system.account_id, table, PASSWORD, BY_COMMAND)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, add()).result()


def run(home: Path, dovecot: Dovecot, number: int, kills: int, seed: int = 1, steps: tuple[str, ...] = ()) -> Outcome:
    """Kill at the named steps first, then whenever another part of the mails is accepted."""
    made, outcome = mails(number, seed)
    for place, raws in enumerate(_parts(made, len(_USERS) * len(_FOLDERS))):
        dovecot.deliver(_USERS[place % 2], raws, _FOLDERS[place // 2])
    system = KillableServer(
        home, {"DMARCWORKS_MAILBOX_CA_FILE": str(dovecot.ca_file), "DMARCWORKS_MAILBOX_MAILS_PER_SECOND": "100000"}
    )
    began = time.monotonic()
    try:
        system.start()
        system.add_domains("example.com")
        system.kill()
        add_mailboxes(system, dovecot)
        for step in steps:
            system.settings[failpoints.VARIABLE] = step
            system.begin()
            process = system.process
            assert process is not None
            wait_for(lambda process=process: process.poll() is not None, f"killed at {step}")
            # A server that could not start would have ended, too.
            assert process.returncode == -signal.SIGKILL, process.returncode
            system.kill()
            outcome.kills += 1
        system.settings.pop(failpoints.VARIABLE, None)
        since = time.time()
        system.start()
        for kill in range(1, kills + 1):
            most = number * kill // (kills + 1)
            wait_for(lambda most=most: accepted(system) >= most, f"{most} accepted", 3600)
            outcome.memory.append(memory(system))
            system.kill()
            outcome.kills += 1
            since = time.time()
            system.start()
        done = f"SELECT id FROM mailboxes WHERE {_DONE.format(since=since)}"
        wait_for(lambda: len(system.rows(done)) == 2, "all fetched", 3600)
        outcome.memory.append(memory(system))
        system.settle(3600)
        outcome.seconds = time.monotonic() - began
        outcome.messages = system.total()
        outcome.differences = sum(1 for one in system.json("verify")["differences"]) if steps or kills else 0
        columns = ("accepted", "known", "left_alone", "too_large", "gone")
        sums = ", ".join(f"sum({name}) AS {name}" for name in columns)
        outcome.counts = system.rows(f"SELECT {sums} FROM mailboxes")[0]
        for row in system.rows("SELECT reason, count(*) AS n FROM problems GROUP BY reason"):
            outcome.problems[row["reason"]] = row["n"]
    finally:
        system.end()
    return outcome


def accepted(system: KillableServer) -> int:
    return int(system.rows("SELECT sum(accepted + known + left_alone) AS n FROM mailboxes")[0]["n"] or 0)


def memory(system: KillableServer) -> int:
    """MiB of the server's own process."""
    assert system.process is not None
    for line in Path(f"/proc/{system.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) // 1024
    return 0


def _parts(values: list[bytes], number: int) -> list[list[bytes]]:
    return [values[start::number] for start in range(number)]


if __name__ == "__main__":
    asked = [int(word) for word in sys.argv[1:]]
    server = Dovecot()
    try:
        server.start()
        with tempfile.TemporaryDirectory() as folder:
            print(done := run(Path(folder) / "home", server, *(asked + [20_000, 20][len(asked) :])))
            done.check()
            print("accounted for: every mail, once;", os.cpu_count(), "cores")
    finally:
        server.end()
