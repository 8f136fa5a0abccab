"""Every store for a job of upkeep, opened from the settings, where no server runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dmarcworks.analytics.setup import opened_analytics
from dmarcworks.catalogue.source_addresses import SourceAddresses
from dmarcworks.catalogue.stores import opened
from dmarcworks.ingest.enriching import enricher
from dmarcworks.ingest.setup import environment
from dmarcworks.process.settings_table import shown_url
from dmarcworks.settings import Settings
from dmarcworks.upkeep.context import UpkeepContext
from dmarcworks.upkeep.replay.publishing_gate import PublishingGate
from dmarcworks.upkeep.system import TOLERATED, settle_analytics

__all__ = ["opened_upkeep"]

# The jobs that may create the data directory; "" is the caller that opens a system of its own.
CREATING = ("", "restore")


@asynccontextmanager
async def opened_upkeep(settings: Settings, job: str = "") -> AsyncIterator[UpkeepContext]:
    """Every store for a job of upkeep, when no server runs; a loss that the job repairs is tolerated."""
    tolerated = TOLERATED.get(job, ())
    async with (
        opened(settings, tolerated=tolerated, create=job in CREATING) as stores,
        opened_analytics(settings) as analytics,
    ):
        await settle_analytics(stores, analytics, shown_url(settings.analytics), tolerated)
        gate = PublishingGate(analytics)
        addresses = SourceAddresses(stores.database, queued=settings.address_names == "on")
        yield UpkeepContext(
            settings,
            stores,
            environment(settings, stores, gate, enricher=enricher(settings, addresses, stores.senders)),
            gate,
        )
        await addresses.settle()
