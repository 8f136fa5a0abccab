"""The small bars of volume by day in the tables of senders."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from dmarcworks.analytics.sender_directory import DomainSender
from dmarcworks.api.deps import Deps
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.dashboard import charts
from dmarcworks.dashboard.period import Period

__all__ = ["sender_bars"]


async def sender_bars(deps: Deps, domain: Domain, days: Period, rows: Sequence[DomainSender]) -> dict[str, Markup]:
    """A picture per sender, by its id."""
    keys = [row.group.key for row in rows]
    series = await deps.sender_directory.days(domain, days.first, days.last, keys)
    return {
        row.id: charts.volume_bars(
            series.get(row.group.key, ()), days.first, days.last, f"{row.name}: messages per day"
        )
        for row in rows
    }
