"""A process that makes scheduled DNS checks: `python -m tests.support.dns_check_process DATABASE SERVER PER_SECOND`.

It prints "ready", waits for a line, ends when no check is due, and prints how many it made.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from sqlalchemy import func, select

from dmarcworks.bindings.sqlite import SqliteDatabase
from dmarcworks.catalogue.dns_history import DnsHistory
from dmarcworks.catalogue.dns_pace import QueryPace
from dmarcworks.catalogue.dns_schedule import CheckPart, DnsSchedule
from dmarcworks.catalogue.dns_tables import dns_checks
from dmarcworks.enrich.resolver import Dns
from dmarcworks.process.metrics import Metrics
from dmarcworks.upkeep.dns_checks import RecordChecks


async def main(path: Path, server: str, per_second: float) -> int:
    """Check until nothing is due; how many checks of DMARC records this process made."""
    database, metrics = SqliteDatabase(path), Metrics()
    pace = QueryPace(database, per_second)
    resolver = Dns(server, before_query=pace.wait, longest=0.0)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    schedule = DnsSchedule(database, dict.fromkeys(CheckPart, 1e9))
    checks = RecordChecks(schedule, DnsHistory(database), resolver, lease=7200.0, metrics=metrics)
    running = asyncio.create_task(checks.run())
    while await _due(database) or checks.busy:
        await asyncio.sleep(0.2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    resolver.close()
    await database.close()
    return int(metrics.dns_checks.labels("dmarc", "answered")._value.get())


async def _due(database: SqliteDatabase) -> int:
    async with database.read() as connection:
        statement = select(func.count()).where(dns_checks.c.due <= time.time())
        return (await connection.execute(statement)).scalar_one()


if __name__ == "__main__":
    print(asyncio.run(main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))))
