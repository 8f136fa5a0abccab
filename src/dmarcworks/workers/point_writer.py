"""Writes what `write_data_point` took into the table `data_points`, in groups, once a second.

Points are fire and forget: a group that the store does not take is lost, with a line in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import structlog

from dmarcworks.analytics.tables import DATA_POINTS
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.errors import DmarcworksError
from dmarcworks.workers.points import BLOBS, DOUBLES, DataPoints, Point

log = structlog.get_logger("dmarcworks.worker")


class PointWriter:
    """`run` writes once a second until `stop`, and then what still waits."""

    def __init__(self, points: DataPoints, analytics: Analytics) -> None:
        self._points = points
        self._analytics = analytics
        self._stopping = asyncio.Event()

    async def stop(self) -> None:
        """Make `run` write the waiting points and return."""
        self._stopping.set()

    async def run(self) -> None:
        """Write until `stop`; nothing waits then."""
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 1.0)
            await self.flush()
        await self.flush()

    async def flush(self) -> None:
        """Write what waits; what the store does not take is lost."""
        points = self._points.drain()
        if not points:
            return
        try:
            await self._analytics.insert(DATA_POINTS.name, _table(points))
        except DmarcworksError as error:
            log.warning("data points are lost", points=len(points), error=str(error))
        # Nobody waits for a point; whatever a driver raised, the next ones are tried.
        except Exception as error:
            log.exception("data points are lost", points=len(points), error=repr(error))


def _table(points: Sequence[Point]) -> pa.Table:
    columns: dict[str, list[Any]] = {
        "account_id": [point.owner.account_id for point in points],
        "domain_id": [point.owner.domain_id for point in points],
        "dataset": [point.dataset for point in points],
        "timestamp": [datetime.fromtimestamp(point.time, UTC) for point in points],
        "_sample_interval": [1] * len(points),
        "index1": [point.index for point in points],
    }
    for n in range(BLOBS):
        columns[f"blob{n + 1}"] = [point.blobs[n] if n < len(point.blobs) else "" for point in points]
    for n in range(DOUBLES):
        columns[f"double{n + 1}"] = [point.doubles[n] if n < len(point.doubles) else 0.0 for point in points]
    return pa.table(columns, schema=DATA_POINTS.schema)
