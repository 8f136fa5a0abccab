"""`settings { <node> { … } }`: what each node holds and where its limits are."""

from __future__ import annotations

from typing import Any

from dmarcworks.api.graphql.limits import NODE_FIELDS
from dmarcworks.api.graphql.schema import NODES
from dmarcworks.api.graphql.selection import Operation, Selected


def settings_of(scope: str, selected: Selected, operation: Operation, rows: int, now: float) -> dict[str, Any]:
    """The selected settings. Nothing is too old here: the limits in seconds reach back to 1970."""
    settings: dict[str, Any] = {}
    for item in operation.below(selected):
        if item.name == "__typename":
            settings[item.key] = f"{scope}Settings"
            continue
        values = {
            "__typename": "NodeSettings",
            "enabled": True,
            "availableFields": [field.path for field in NODES[item.name].fields],
            "maxPageSize": rows,
            "maxNumberOfFields": NODE_FIELDS,
            "notOlderThan": int(now),
            "maxDuration": int(now),
        }
        settings[item.key] = {inner.key: values[inner.name] for inner in operation.below(item)}
    return settings
