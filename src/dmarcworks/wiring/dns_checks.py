"""The background task that checks the DNS records of the domains, put together from the settings."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from dmarcworks.analytics.questions.all import Questions
from dmarcworks.catalogue.dns_history import DnsHistory
from dmarcworks.catalogue.dns_pace import QueryPace
from dmarcworks.catalogue.dns_schedule import CheckPart, DnsSchedule
from dmarcworks.catalogue.stores import Stores
from dmarcworks.enrich.resolver import Dns
from dmarcworks.policy.dns_records.seen import seen_selectors
from dmarcworks.process.clock import clock
from dmarcworks.process.metrics import Metrics
from dmarcworks.settings import Settings
from dmarcworks.upkeep.context import UpkeepContext
from dmarcworks.upkeep.dns_checks import RecordChecks, lease_seconds

__all__ = ["dns_schedule", "record_checks"]

# A check repeated after this time sees what DNS answers now.
_CACHED_SECONDS = 60.0


def dns_schedule(settings: Settings, stores: Stores) -> DnsSchedule:
    """When the domains are checked."""
    intervals: Mapping[CheckPart, float] = {
        CheckPart.dmarc: settings.dns_check_dmarc_seconds,
        CheckPart.records: settings.dns_check_records_seconds,
    }
    return DnsSchedule(stores.database, intervals, clock=clock)


def record_checks(settings: Settings, upkeep: UpkeepContext, metrics: Metrics, stack: AsyncExitStack) -> RecordChecks:
    """The task. Its resolver is closed with the stack."""
    pace = QueryPace(upkeep.stores.database, settings.dns_check_queries_per_second, clock=clock)
    questions = Questions(upkeep.analytics)

    async def wait() -> None:
        await pace.wait()
        metrics.dns_queries.inc()

    async def seen(account_id: str, domain_id: str, domain: str) -> tuple[str, ...]:
        today = datetime.fromtimestamp(clock(), UTC).date()
        return await seen_selectors(questions, account_id, domain_id, domain, today)

    resolver = Dns(settings.dns_server, before_query=wait, longest=_CACHED_SECONDS)
    stack.callback(resolver.close)
    concurrency = settings.dns_check_concurrency
    return RecordChecks(
        dns_schedule(settings, upkeep.stores),
        DnsHistory(upkeep.stores.database, clock=clock),
        resolver,
        concurrency=concurrency,
        lease=lease_seconds(settings.dns_check_queries_per_second, concurrency),
        scheduled=settings.dns_checks == "on",
        report_host=settings.hostname,
        resolver_name=settings.dns_server or "system",
        seen_selectors=seen,
        metrics=metrics,
        clock=clock,
    )
