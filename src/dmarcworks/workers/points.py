"""`write_data_point`: a point of a dataset, checked as the original checks it, written in groups in the background.

Limits and texts are those of the original platform, sizes in UTF-8 bytes: one index of 96 bytes, 20 blobs of 16,000
bytes together, 20 doubles. A point is fire and forget: what waits for an absent store is bounded and may be lost.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dmarcworks.analytics.tables import NOBODY, POINT_BLOBS, POINT_DOUBLES

INDEX_BYTES, BLOBS, BLOB_BYTES, DOUBLES = 96, POINT_BLOBS, 16_000, POINT_DOUBLES
_WAITING = 100_000


@dataclass(frozen=True, slots=True)
class DataPointOwner:
    """Whose a point is: the account and domain of the rule that gave the worker its mail."""

    account_id: str = NOBODY
    domain_id: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """A point that holds the limits; `time` in unix seconds."""

    owner: DataPointOwner
    dataset: str
    time: float
    index: str
    blobs: tuple[str, ...]
    doubles: tuple[float, ...]


class DataPoints:
    """Collects points; `drain` returns them to the writer."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._waiting: deque[Point] = deque(maxlen=_WAITING)

    def write(self, owner: DataPointOwner, dataset: str, event: Mapping[str, Any]) -> None:
        """Check a point and take it."""
        index, blobs, doubles = checked(event)
        self._waiting.append(Point(owner, dataset, self._clock(), index, blobs, doubles))

    def drain(self) -> list[Point]:
        """All that wait, and they wait no more."""
        points = []
        while self._waiting:
            points.append(self._waiting.popleft())
        return points


def checked(event: Mapping[str, Any]) -> tuple[str, tuple[str, ...], tuple[float, ...]]:
    """Index, blobs and doubles of an event; `TypeError` in the original's words."""
    indexes, blobs, doubles = (_values(event, name) for name in ("indexes", "blobs", "doubles"))
    if len(indexes) > 1:
        raise TypeError("writeDataPoint(): Maximum of 1 indexes supported.")
    index = _text(indexes[0]) if indexes else ""
    if len(index.encode("utf-8", "replace")) > INDEX_BYTES:
        raise TypeError("writeDataPoint(): Size of indexes[0] exceeds 96 bytes).")
    if len(blobs) > BLOBS:
        raise TypeError("writeDataPoint(): Maximum of 20 blobs supported.")
    texts = tuple(_text(blob) for blob in blobs)
    if sum(len(text.encode("utf-8", "replace")) for text in texts) > BLOB_BYTES:
        raise TypeError("writeDataPoint(): Cumulative size of blobs exceeds 16000 bytes).")
    if len(doubles) > DOUBLES:
        raise TypeError("writeDataPoint(): Maximum of 20 doubles supported.")
    return index, texts, tuple(float(double) for double in doubles)


def _values(event: Mapping[str, Any], name: str) -> Sequence[Any]:
    values = event.get(name)
    return () if values is None else list(values)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
