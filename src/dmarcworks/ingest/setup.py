"""Ingest put together from the settings: the inbox's bounds, the readers, the environment, who checks report mail.

It needs neither the web nor the analytics libraries, so that a process that only accepts mail starts without them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dmarcworks.bindings.contracts import Analytics
from dmarcworks.catalogue.stores import Stores
from dmarcworks.enrich.setup import opened_checker
from dmarcworks.ingest.authentication import OFF, ReportAuthenticator
from dmarcworks.ingest.backpressure import Backpressure
from dmarcworks.ingest.environment import Env, Prove
from dmarcworks.ingest.reading import Isolated, Reader
from dmarcworks.process.clock import clock
from dmarcworks.process.metrics import Metrics
from dmarcworks.reports.bounds import Bounds
from dmarcworks.settings import Settings

if TYPE_CHECKING:
    from dmarcworks.ingest.enriching import Enricher

__all__ = ["environment", "inbox", "isolated_reader", "opened_authenticator", "reading_bounds"]

# Report mail is checked behind the conversations with senders, and waits a second at most for answers that cannot
# change the verdict.
_NICE, _PATIENCE = 5, 1.0


def inbox(settings: Settings, stores: Stores) -> Backpressure:
    """The inbox's bounds; only a store in a folder has a disk of ours."""
    folders = {
        name: Path(url[len(start) :])
        for name, url, start in (
            ("objects", settings.objects, "file://"),
            ("database", settings.database, "sqlite:///"),
        )
        if url.startswith(start)
    }
    return Backpressure(stores.queue, folders, items=settings.inbox_items, free_share=settings.inbox_free_share)


def reading_bounds(settings: Settings) -> Bounds:
    """What one mail may take to be read."""
    return Bounds(
        mail_bytes=settings.mail_bytes,
        inflated_bytes=settings.inflated_bytes,
        members=settings.members,
        nesting=settings.nesting,
        mime_depth=settings.mime_depth,
        header_bytes=settings.header_bytes,
        header_fields=settings.header_fields,
        header_parameters=settings.header_parameters,
        encoded_words=settings.encoded_words,
        xml_depth=settings.xml_depth,
        records=settings.records,
    )


def isolated_reader(settings: Settings, metrics: Metrics | None = None) -> Isolated:
    """What reads mails in processes of its own; the caller closes it."""
    return Isolated(
        reading_bounds(settings),
        settings.failure_originals,
        processes=settings.read_processes,
        cpu_seconds=settings.read_cpu_seconds,
        memory_bytes=settings.read_memory_bytes,
        killed=None if metrics is None else metrics.killed,
    )


def environment(
    settings: Settings,
    stores: Stores,
    analytics: Analytics,
    metrics: Metrics | None = None,
    prove: Prove | None = None,
    reader: Reader | None = None,
    enricher: Enricher | None = None,
) -> Env:
    """What the worker sees; without a `reader` mails are read in threads of this process."""
    return Env(
        kv=stores.kv,
        objects=stores.objects,
        queue=stores.queue,
        analytics=analytics,
        arrivals=stores.arrivals,
        problems=stores.problems,
        bounds=reading_bounds(settings),
        now=lambda: datetime.fromtimestamp(clock(), UTC),
        failure_originals=settings.failure_originals,
        metrics=metrics,
        prove=prove,
        enricher=enricher,
        full=inbox(settings, stores).full,
        isolated=reader,
        leases=stores.leases,
    )


@asynccontextmanager
async def opened_authenticator(settings: Settings, stores: Stores, metrics: Metrics) -> AsyncIterator[Prove | None]:
    """What finds out whether report mails are genuine; None when the settings require no check."""
    if settings.report_auth == OFF:
        yield None
        return
    async with opened_checker(settings, "report mail", nice=_NICE, patience=_PATIENCE) as checker:
        yield ReportAuthenticator(
            stores.mailroom.proofs,
            checker,
            settings.report_auth,
            settings.auth_seconds,
            timedelta(hours=settings.auth_wait_hours),
            metrics,
        ).prove
