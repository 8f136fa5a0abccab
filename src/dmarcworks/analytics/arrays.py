"""Python values → one Arrow array. Pure; no text and no number of a stranger makes it fail, absent (None) is null.

Numbers are held inside their type's range, text that is no UTF-8 loses what is none. The buffers are filled here:
`pyarrow.array` loads pandas at its first call, 50 MB that reading needs for nothing else.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate, chain
from typing import Any, TypeAlias

import pyarrow as pa

from dmarcworks.analytics.tables import INSTANT, TEXT, TEXTS

__all__ = ["INT64", "UINT64", "Array", "clamp", "counts", "lists", "made", "packed", "texts"]

INT64 = (-(2**63), 2**63 - 1)
UINT32 = (0, 2**32 - 1)
UINT64 = (0, 2**64 - 1)

Array: TypeAlias = "pa.Array[Any]"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(1970, 1, 1).toordinal()
_MILLISECOND = timedelta(milliseconds=1)


def made(values: Sequence[Any], kind: pa.DataType) -> Array:
    """An array of a type that a column of `tables` has; `KeyError` for any other type."""
    return _MAKERS[kind](values)


def clamp(value: int, bounds: tuple[int, int]) -> int:
    """The number, held inside the bounds."""
    return min(max(value, bounds[0]), bounds[1])


def packed(numbers: array[int], kind: pa.DataType) -> Array:
    """The numbers where they lie; the type has their width."""
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(numbers)])


def texts(values: Sequence[str | None]) -> Array:
    """Texts as UTF-8."""
    validity, present = _without_absent(values, "")
    joined = "".join(present)
    data = joined.encode("utf-8", "replace")  # a lone surrogate is no UTF-8
    if len(data) == len(joined):
        sizes = map(len, present)
    else:
        pieces = [text.encode("utf-8", "replace") for text in present]
        sizes = map(len, pieces)
    return pa.Array.from_buffers(
        TEXT, len(present), [validity, pa.py_buffer(array("i", accumulate(sizes, initial=0))), pa.py_buffer(data)]
    )


def lists(values: Sequence[Sequence[str | None] | None]) -> Array:
    """Lists of texts."""
    validity, present = _without_absent(values, ())
    offsets = array("i", accumulate(map(len, present), initial=0))
    flat = texts(list(chain.from_iterable(present)))
    return pa.Array.from_buffers(TEXTS, len(present), [validity, pa.py_buffer(offsets)], children=[flat])


def counts(values: Sequence[int | None]) -> Array:
    """Counts, 0 to 2^64-1."""
    return _numbers(values, "Q", pa.uint64(), UINT64)


def _numbers(values: Sequence[int | None], code: str, kind: pa.DataType, bounds: tuple[int, int]) -> Array:
    validity, present = _without_absent(values, 0)
    try:
        numbers = array(code, present)
    except OverflowError:
        numbers = array(code, [clamp(value, bounds) for value in present])
    return pa.Array.from_buffers(kind, len(present), [validity, pa.py_buffer(numbers)])


def _flags(values: Sequence[bool | None]) -> Array:
    validity, present = _without_absent(values, False)
    bits = bytearray((len(present) + 7) // 8)
    for place, value in enumerate(present):
        bits[place >> 3] |= bool(value) << (place & 7)
    return pa.Array.from_buffers(pa.bool_(), len(present), [validity, pa.py_buffer(bytes(bits))])


def _shares(values: Sequence[float | None]) -> Array:
    validity, present = _without_absent(values, 0.0)
    return pa.Array.from_buffers(pa.float32(), len(present), [validity, pa.py_buffer(array("f", present))])


def _days(values: Sequence[date | None]) -> Array:
    days = [None if value is None else value.toordinal() - _FIRST_DAY for value in values]
    return _numbers(days, "i", pa.date32(), (-(2**31), 2**31 - 1))


def _instants(values: Sequence[datetime | None]) -> Array:
    moments = [None if value is None else (value - _EPOCH) // _MILLISECOND for value in values]
    return _numbers(moments, "q", INSTANT, INT64)


def _without_absent(values: Sequence[Any], instead: Any) -> tuple[pa.Buffer | None, Sequence[Any]]:
    """Which values are there, as Arrow's bits (None: all of them), and the values with something in the gaps."""
    if None not in values:
        return None, values
    bits = bytearray((len(values) + 7) // 8)
    present = []
    for place, value in enumerate(values):
        if value is None:
            present.append(instead)
        else:
            bits[place >> 3] |= 1 << (place & 7)
            present.append(value)
    return pa.py_buffer(bytes(bits)), present


_MAKERS: Mapping[pa.DataType, Callable[[Sequence[Any]], Array]] = {
    TEXT: texts,
    TEXTS: lists,
    pa.uint64(): counts,
    pa.uint32(): lambda values: _numbers(values, "I", pa.uint32(), UINT32),
    pa.bool_(): _flags,
    pa.float32(): _shares,
    pa.int64(): lambda values: _numbers(values, "q", pa.int64(), INT64),
    pa.date32(): _days,
    INSTANT: _instants,
}
