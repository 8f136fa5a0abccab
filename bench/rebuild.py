"""Analytics lost and rebuilt: so many archived reports, all figures gone, `replay`, the same sums by domain and day.

One command: `python bench/rebuild.py [--reports 10000]`. A home of its own in a temporary folder; the mails go through
the worker as if they came over SMTP. Prints what was there, how long the rebuild and the comparison took, and whether
every sum is the same; exit status 1 if one is not.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import structlog

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from dmarcworks.settings import Settings  # noqa: E402
from dmarcworks.upkeep import jobs  # noqa: E402
from dmarcworks.upkeep.context import UpkeepContext  # noqa: E402
from dmarcworks.upkeep.setup import opened_upkeep  # noqa: E402
from dmarcworks.workers.message import Message  # noqa: E402
from dmarcworks.workers.outcome import ACCEPTED  # noqa: E402
from dmarcworks.workers.system import consumer_of, dmarc_worker  # noqa: E402
from tests.support.mails import BEGIN, DAY, document, mail  # noqa: E402

DOMAINS, DAYS, MOST_RECORDS = 20, 30, 20


def one(dice: random.Random, number: int, domain: str) -> bytes:
    """A mail with a report of 1 to 20 records."""
    records = [
        (f"192.0.2.{dice.randrange(256)}", dice.randint(1, 99), dice.choice(("pass", "fail")), "pass")
        for _ in range(dice.randint(1, MOST_RECORDS))
    ]
    text = document(f"r{number}", domain=domain, begin=BEGIN + DAY * dice.randrange(DAYS), records=records)
    return mail((f"r{number}.xml.gz", gzip.compress(text, mtime=0)))


async def sums(system: UpkeepContext) -> list[dict[str, Any]]:
    """Reports, records and messages by domain and day."""
    answer = await system.analytics.query(
        "SELECT domain, day, uniqExact(report_key) AS reports, count() AS records, sum(count) AS messages"
        " FROM dmarc_reports GROUP BY domain, day ORDER BY domain, day"
    )
    return [json.loads(line) for line in answer.splitlines()]


async def job(system: UpkeepContext, name: str) -> tuple[dict[str, Any], float]:
    """A job's result and its seconds."""
    started = time.perf_counter()
    events = [event async for event in jobs.run(system, name, {})]
    return events[-1], time.perf_counter() - started


async def main(reports: int) -> int:
    """Fill, lose, rebuild, compare."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    dice = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), hostname="reports.example.net")
        async with opened_upkeep(settings) as system:
            domains = [await system.stores.accounts.add_domain(f"d{n}.example") for n in range(DOMAINS)]
            worker, started = dmarc_worker(system.env), time.perf_counter()
            for start in range(0, reports, 100):
                numbers = range(start, min(start + 100, reports))
                taken = [(domains[n % DOMAINS].rua, one(dice, n, domains[n % DOMAINS].name)) for n in numbers]
                messages = [Message("dmarc@mail.example", rua, raw) for rua, raw in taken]
                answers = await asyncio.gather(*(worker.deliver(message) for message in messages))
                assert all(answer.reply == ACCEPTED for answer in answers), answers
            consumer = consumer_of(system.env, settings)
            while await consumer.once():
                pass
            filled = time.perf_counter() - started
            before = await sums(system)
            found = {name: sum(int(row[name]) for row in before) for name in ("reports", "records", "messages")}
            print(f"filled with {found} in {filled:.1f} s: {len(before)} sums by domain and day")
            for table in ("dmarc_reports", "tls_reports", "failure_reports"):
                await system.analytics.execute(f"TRUNCATE TABLE {table}")
            assert await sums(system) == []
            result, seconds = await job(system, "replay")
            same = await sums(system) == before
            rate = result["reports"] / seconds
            print(f"rebuilt from {result['reports']} archived reports in {seconds:.1f} s ({rate:.0f} a second)")
            print(f"sums by domain and day: {'all the same' if same else 'DIFFERENT'}")
            result, seconds = await job(system, "verify")
            print(f"verify: {result['compared']}, {result['differences']} differences, {seconds:.1f} s")
    return 0 if same and not result["differences"] else 1


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--reports", type=int, default=10_000)
    sys.exit(asyncio.run(main(arguments.parse_args().reports)))
