"""What the owner of a domain decided about the sender of a row, as columns. Pure.

A decision is about the key of a sender. A row has the decision on its sender's name, else the one on its evidence: on
what the sender was called before it had a name.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import pyarrow as pa

from dmarcworks.analytics.arrays import Array, made, packed
from dmarcworks.analytics.columns import selected
from dmarcworks.analytics.row_keys import RowSource, row_keys
from dmarcworks.analytics.tables import DECIDED

__all__ = ["NO_DECISION", "Decided", "DecidedRows", "DecisionsById", "StatedDecision", "decided"]


class StatedDecision(Protocol):
    """What an owner decided. `name` is the owner's name for the sender, "" for none."""

    @property
    def decision(self) -> str: ...
    @property
    def name(self) -> str: ...


# By the id of the sender, of one domain.
DecisionsById: TypeAlias = Mapping[str, StatedDecision]
Decided: TypeAlias = tuple[str | None, str | None]
NO_DECISION: Decided = (None, None)


def decided(decisions: DecisionsById, source: RowSource, sender: str | None) -> Decided:
    """The values of the columns `DECIDED` for a row whose sender has this name, or none."""
    for key in row_keys(source, sender):
        if (one := decisions.get(key.id)) is not None:
            return str(one.decision), one.name or None
    return NO_DECISION


class DecidedRows:
    """Collects the values of rows, in their order; each different value is in memory once."""

    def __init__(self) -> None:
        self._values: dict[Decided, int] = {NO_DECISION: 0}
        self._rows = array("i")

    def undecided(self, rows: int) -> None:
        """So many rows of a domain without decisions."""
        self._rows.frombytes(bytes(4 * rows))

    def extend(self, values: Iterable[Decided]) -> None:
        """The values of rows of a domain that has decisions."""
        numbers = self._values
        self._rows.extend(numbers.setdefault(one, len(numbers)) for one in values)

    def columns(self) -> dict[str, Array]:
        """The columns; without any decision none, so that they are NULL."""
        if len(self._values) == 1:
            return {}
        once: Sequence[Sequence[Any]] = list(zip(*self._values, strict=True))
        arrays = {column.name: made(values, column.arrow) for column, values in zip(DECIDED, once, strict=True)}
        return selected(arrays, packed(self._rows, pa.int32()))
