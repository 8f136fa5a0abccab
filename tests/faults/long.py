"""Killed at random moments, again and again: nothing lost, nothing counted twice.

One command: `python tests/faults/long.py [--kills 200] [--mails 5000] [--seed 1] [--keep]`. It prints a table and ends
with status 1 when a mail that was answered with 250 is neither in the totals exactly once nor under Problems.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.killable import KillableServer, Senders
from tests.support.load import parcels
from tests.support.system import wait_for
from tests.support.verdict import Verdict, judge

# The lease is what a killed reader's mails wait for.
SETTINGS = {
    "DMARCWORKS_QUEUE_LEASE_SECONDS": "10",
    "DMARCWORKS_QUEUE_MAX_RETRIES": "100",
    "DMARCWORKS_SMTP_CONNECTIONS_PER_ADDRESS": "100",
}
DOMAIN = "example.com"


def run(
    home: Path, kills: int, mails: int, seed: int, told: Callable[[str], None] = lambda _: None
) -> tuple[Verdict, Counter[str]]:
    """Send so many mails while the server is killed so often; the verdict, and the tries' outcomes."""
    dice = random.Random(seed)
    system = KillableServer(home, dict(SETTINGS))
    system.start()
    try:
        system.add_domains(DOMAIN)
        crowd = Senders(system, system.rua[DOMAIN], parcels(mails, seed), seed=seed)
        for number in range(kills):
            system.prepare()
            # What is left is spread over the lives that are left.
            crowd.release(crowd.left // (kills - number) + 1)
            # Every third is killed as soon as a mail is on its way, so that some kills surely break a conversation.
            if number % 3 == 0:
                _amid(crowd, dice)
            else:
                _live(crowd, dice)
            crowd.hold()
            system.kill()
            system.begin()
            if dice.random() < 0.15:
                time.sleep(dice.uniform(0.0, 0.6))  # killed while it starts
                system.kill()
                system.begin()
            wait_for(lambda: system.up() or system._died(), "up", 60)
            if number % 10 == 9:
                told(f"{number + 1} kills, {dict(crowd.tries())}")
        crowd.release(1 << 30)
        crowd.finish_when_sent()
        system.settle(3600)
        # Once more, so that what the last life left behind is seen.
        system.kill()
        system.start()
        system.settle(3600)
        return judge(system, crowd.stories.values()), crowd.tries()
    finally:
        system.end()


def _live(crowd: Senders, dice: random.Random) -> None:
    """A life: from a moment to what it takes to read what came in."""
    until = time.monotonic() + dice.choice((dice.uniform(0.0, 0.3), dice.uniform(0.1, 1.0), dice.uniform(0.5, 2.0)))
    while time.monotonic() < until:
        time.sleep(0.005)


def _amid(crowd: Senders, dice: random.Random) -> None:
    """A short life: until a mail is on its way, and some milliseconds more."""
    until = time.monotonic() + 2.0
    while not crowd.sending and time.monotonic() < until:
        time.sleep(0.0005)
    time.sleep(dice.uniform(0.0, 0.004))


def main() -> int:
    """The long run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--mails", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the home for a look")
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="dmarcworks-faults-"))
    started = time.monotonic()
    verdict, tries = run(
        scratch / "home", options.kills, options.mails, options.seed, lambda line: print(line, file=sys.stderr)
    )
    for name, found in (("lost", verdict.lost), ("doubled", verdict.doubled), ("wrong", verdict.wrong)):
        for line in found:
            print(f"{name}: {line}", file=sys.stderr)
    rows = (
        ("kills", options.kills),
        ("mails", options.mails),
        ("tries answered with 250", tries["250"]),
        ("tries answered with 4xx", tries["4xx"]),
        ("tries answered with 5xx", tries["5xx"]),
        ("tries without an answer", tries["broken"]),
        ("mails accepted", verdict.accepted),
        ("of these counted", verdict.counted),
        ("of these under Problems only", verdict.problems),
        ("difference", verdict.difference),
        ("counted twice", len(verdict.doubled)),
        ("anything else wrong", len(verdict.wrong)),
        ("reports, each with its exact rows and messages", verdict.reports),
        ("raw mails kept that no sender heard a 250 for", verdict.orphans),
        ("seconds", round(time.monotonic() - started)),
    )
    print("| what | number |\n|---|---:|")
    for name, number in rows:
        print(f"| {name} | {number:,} |")
    if options.keep:
        print(f"kept: {scratch}", file=sys.stderr)
    else:
        shutil.rmtree(scratch)
    return 1 if verdict.lost or verdict.doubled or verdict.wrong or tries["5xx"] else 0


if __name__ == "__main__":
    sys.exit(main())
