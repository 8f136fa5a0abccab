"""A scrape tells what the stores say now: what one that is away alone knows is not there, and never an old figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from dmarcworks.api.metrics import routes
from dmarcworks.api.monitored import MonitoredSystem
from dmarcworks.bindings.contracts import QueueStats
from dmarcworks.errors import StoreError
from dmarcworks.process.metrics import Metrics


class Stores:
    """The questions of a scrape, answered or not: figures that stay the same, which no real store would hold."""

    away = False

    def _here(self, answer: Any) -> Any:
        if self.away:
            raise StoreError("the database is away")
        return answer

    async def check(self) -> None:
        self._here(None)

    async def stats(self) -> Mapping[str, QueueStats]:
        workers = {"a": QueueStats(1, 2, 3, 4, 0.0), "b": QueueStats(10, 20, 30, 40, 0.0)}
        return self._here({"dmarc": QueueStats(7, 1, 2, 3, 42.5), **workers})  # type: ignore[no-any-return]

    async def count(self) -> int:
        return self._here(5)  # type: ignore[no-any-return]

    async def dns_checks(self) -> tuple[int, float]:
        return self._here((6, 90.5))  # type: ignore[no-any-return]


@pytest.fixture
def stores() -> Stores:
    return Stores()


async def figures(client: AsyncClient) -> dict[str, str]:
    """The gauges of the stores by name and label."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    pairs = (line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    kinds = ("queue", "worker_queue", "problems", "outbound", "store", "dns_checks_due", "dns_checks_oldest")
    names = tuple(f"dmarcworks_{kind}" for kind in kinds)
    return {name: value for name, value in pairs if name.startswith(names)}


async def test_a_store_that_goes_away_takes_its_figures_along(stores: Stores) -> None:
    """Counted while it answers; away: up 0, states absent, single figures NaN; back: as before."""
    app = FastAPI()
    app.state.monitored = MonitoredSystem(
        metrics=Metrics(),
        checks={"database": stores.check},
        queue=stores,  # type: ignore[arg-type]
        problems=stores,  # type: ignore[arg-type]
        outbound=stores.count,
        dns_checks=stores.dns_checks,
    )
    app.include_router(routes)
    client = AsyncClient(transport=ASGITransport(app), base_url="http://test")
    well = {
        'dmarcworks_store_up{store="database"}': "1.0",
        'dmarcworks_queue_mails{state="ready"}': "7.0",
        'dmarcworks_queue_mails{state="delayed"}': "1.0",
        'dmarcworks_queue_mails{state="leased"}': "2.0",
        'dmarcworks_queue_mails{state="dead"}': "3.0",
        "dmarcworks_queue_oldest_seconds": "42.5",
        "dmarcworks_problems_open": "5.0",
        'dmarcworks_worker_queue_messages{state="ready"}': "11.0",
        'dmarcworks_worker_queue_messages{state="delayed"}': "22.0",
        'dmarcworks_worker_queue_messages{state="leased"}': "33.0",
        'dmarcworks_worker_queue_messages{state="dead"}': "44.0",
        "dmarcworks_outbound_mails": "5.0",
        "dmarcworks_dns_checks_due": "6.0",
        "dmarcworks_dns_checks_oldest_seconds": "90.5",
    }
    assert await figures(client) == well
    stores.away = True
    assert await figures(client) == {
        'dmarcworks_store_up{store="database"}': "0.0",
        "dmarcworks_queue_oldest_seconds": "NaN",
        "dmarcworks_problems_open": "NaN",
        "dmarcworks_outbound_mails": "NaN",
        "dmarcworks_dns_checks_due": "NaN",
        "dmarcworks_dns_checks_oldest_seconds": "NaN",
    }
    stores.away = False
    assert await figures(client) == well
