"""A node's selection → the fields to query, and how a row of them becomes an object of the response."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from dmarcworks.api.graphql.model import DATE, TIME, UINT, Field, Node
from dmarcworks.api.graphql.selection import Operation, Selected

Build: TypeAlias = Callable[[Sequence[Any]], dict[str, Any]]
Convert: TypeAlias = Callable[[Any], Any]


def _time(value: Any) -> str | None:
    if value is None:
        return None
    moment = datetime.fromtimestamp(value, UTC)
    return moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


# Dates come as text from either store; numbers of the catalogue may come as Decimal.
CONVERT: dict[str, Convert] = {TIME: _time, UINT: _number, DATE: str}


@dataclass(slots=True)
class Shape:
    """Fields in the order in which a row holds them; `leaves` counts every leaf in the answer, aliases too."""

    node: Node
    fields: dict[Field, int] = field(default_factory=dict)
    leaves: int = 0

    def build(self, selected: Sequence[Selected], operation: Operation, section: str = "") -> Build:
        """Add the selection; returns the function that makes an object of a row."""
        own: list[tuple[str, int, Convert | None]] = []
        inner: list[tuple[str, Build]] = []
        constants: dict[str, Any] = {}
        for item in selected:
            if item.name == "__typename":
                constants[item.key] = f"{self.node.type}{section.capitalize()}"
                self.leaves += 1
                continue
            definition = self.node.field(section, item.name)
            if definition is None:
                inner.append((item.key, self.build(operation.below(item), operation, item.name)))
                continue
            self.leaves += 1
            place = self.fields.setdefault(definition, len(self.fields))
            own.append((item.key, place, CONVERT.get(definition.kind)))
        keys = [item.key for item in selected]

        def row(values: Sequence[Any]) -> dict[str, Any]:
            made: dict[str, Any] = dict.fromkeys(keys)
            for key, place, convert in own:
                value = values[place]
                made[key] = value if convert is None else convert(value)
            for key, build in inner:
                made[key] = build(values)
            made.update(constants)
            return made

        return row
