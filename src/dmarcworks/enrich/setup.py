"""The check of mails put together from the settings: DNS, and child processes for what strangers wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dmarcworks.enrich.checking import Checker
from dmarcworks.enrich.examine import RESULTS, TARGET
from dmarcworks.enrich.grouping import GroupedWork
from dmarcworks.enrich.resolver import Dns
from dmarcworks.process.isolated import IsolatedPool
from dmarcworks.settings import Settings

__all__ = ["opened_checker"]

# Processes for the checks of strangers' mail, and processor seconds that one step of a check may take; a mail of 25 MB
# takes less than one.
_CHECKERS, _CHECK_SECONDS = 2, 10.0


@asynccontextmanager
async def opened_checker(
    settings: Settings, name: str, *, nice: int = 0, patience: float | None = None, prepare: bool = False
) -> AsyncIterator[Checker]:
    """What finds out whether mails are genuine; its child processes start with the first mail and end with it. With
    `prepare` their modules are imported now, so that the first mail need not wait for that."""
    resolver = Dns(settings.dns_server)
    pool = IsolatedPool(TARGET, name=name, processes=_CHECKERS, cpu_seconds=_CHECK_SECONDS, results=RESULTS, nice=nice)
    work = GroupedWork(pool.run)
    checker = Checker(resolver, work, seconds=settings.auth_seconds, patience=patience)
    try:
        if prepare:
            await pool.prepare()
        yield checker
    finally:
        checker.close()
        work.close()
        await pool.close()
        resolver.close()
