"""A replay as CSV: senders, classes, days and source addresses as rows of one table, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from dmarcworks.api.spreadsheet import harmless
from dmarcworks.policy.replay import Effect, PolicyReplay

__all__ = ["replay_csv"]

_FIGURES = ("messages", "affected", "quarantined", "rejected", "disposition")
_COLUMNS = ("by", "name", "id", "class", "yours", *_FIGURES, "overrides")


def replay_csv(replayed: PolicyReplay) -> str:
    """RFC 4180 with a head line; `by` names what a row is about. Text that a spreadsheet would run is made harmless."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for row in _rows(replayed):
        cells = (row.get(name, "") for name in _COLUMNS)
        writer.writerow([harmless(cell) if isinstance(cell, str) else cell for cell in cells])
    return out.getvalue()


def _rows(replayed: PolicyReplay) -> Iterator[dict[str, Any]]:
    for one in replayed.senders:
        yield {
            "by": "sender",
            "name": one.name,
            "id": one.key.id,
            "class": str(one.sender_class),
            "yours": str(one.yours).lower(),
            "overrides": " ".join(f"{word}={count}" for word, count in sorted(one.overrides.items())),
            **_figures(one.effect),
        }
    for sender_class, effect in replayed.by_class:
        yield {"by": "class", "name": str(sender_class), **_figures(effect)}
    for day, effect in replayed.days.items():
        yield {"by": "day", "name": day.isoformat(), **_figures(effect)}
    for source in replayed.sources:
        sender = source.sender.key.id if source.sender else ""
        yield {"by": "source", "name": source.source_ip, "id": sender, **_figures(source.effect)}


def _figures(effect: Effect) -> dict[str, Any]:
    return {name: getattr(effect, name) for name in _FIGURES}
