"""Values of a report → Arrow columns of its table. Pure; no text and no number of a stranger makes an insert fail.

Numbers are held inside their column's range, text that is no UTF-8 loses what is none, absent stays NULL. Text of a
report's head, which every row repeats, is cut at 2,048 characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, TypeAlias

import pyarrow as pa

from dmarcworks.analytics.tables import TEXT, TEXTS, Table

__all__ = [
    "HEAD_CHARACTERS",
    "INT64",
    "UINT64",
    "Array",
    "clamp",
    "encodable",
    "filled",
    "heads",
    "lists",
    "places",
    "structs",
    "taken",
    "texts",
]

HEAD_CHARACTERS = 2048
INT64 = (-(2**63), 2**63 - 1)
UINT64 = (0, 2**64 - 1)

Array: TypeAlias = "pa.Array[Any]"


def filled(
    table: Table, sizes: Sequence[int], constants: Mapping[str, Sequence[Any]], columns: Mapping[str, Array]
) -> pa.Table:
    """Rows of the table for several reports of so many rows each.

    A column is what `columns` holds, else each report's one value of `constants` in all of its rows, else NULL.
    """
    size = sum(sizes)
    # Which report each row is of; taking by it repeats the constants.
    owners = pa.array([number for number, rows in enumerate(sizes) for _ in range(rows)], pa.int32())
    once: dict[str, Array] = {}
    for column in table.columns:
        values = constants.get(column.name)
        if values is None or column.name in columns or values.count(None) == len(values):
            continue
        if column.arrow == TEXT:
            once[column.name] = texts(values)
        elif column.arrow == TEXTS:
            once[column.name] = lists(values)
        else:
            once[column.name] = pa.array(values, column.arrow)
    given = {**taken(once, owners), **columns}
    arrays = []
    for column in table.columns:
        array = given.get(column.name)
        if array is None:
            array = pa.array([None], column.arrow).take(pa.repeat(0, size))
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=table.schema)


def taken(columns: Mapping[str, Array], places: Array) -> dict[str, Array]:
    """The columns' values at these places, all in one call, which costs hardly more than one column does."""
    if not columns:
        return {}
    batch = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns)).take(places)
    return dict(zip(columns, batch.columns, strict=True))


def clamp(value: int, bounds: tuple[int, int]) -> int:
    """The number, held inside the bounds."""
    return min(max(value, bounds[0]), bounds[1])


def encodable(text: str | None) -> str | None:
    """The text as UTF-8 can hold it."""
    return None if text is None else text.encode("utf-8", "replace").decode()


def heads(values: Iterable[str | None]) -> list[str | None]:
    """Texts that every row of their report repeats, each cut at HEAD_CHARACTERS."""
    return [text if text is None or len(text) <= HEAD_CHARACTERS else text[:HEAD_CHARACTERS] for text in values]


def texts(values: Sequence[str | None]) -> Array:
    """A column of text."""
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:  # a lone surrogate is no UTF-8
        return pa.array([encodable(value) for value in values], pa.string())


def lists(values: Sequence[Sequence[str] | None]) -> Array:
    """A column of lists of texts."""
    kind = pa.list_(pa.string())
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        mended = [None if found is None else [encodable(text) for text in found] for found in values]
        return pa.array(mended, kind)


def structs(table: Table, name: str, found: Sequence[Sequence[Any]]) -> Array:
    """A list column of structs, field by field: many times faster than one dict per struct."""
    kind = table.schema.field(name).type
    sizes: list[int] = [0]
    flat: list[Any] = []
    for values in found:
        flat.extend(values)
        sizes.append(len(flat))
    fields = list(kind.value_type)
    columns = []
    for field in fields:
        values = list(map(attrgetter(field.name), flat))
        columns.append(texts(values) if pa.types.is_string(field.type) else counts(values))
    struct = pa.StructArray.from_arrays(columns, fields=fields)
    return pa.ListArray.from_arrays(pa.array(sizes, pa.int32()), struct, type=kind)


def places(values: Iterable[Any]) -> tuple[list[Any], Array]:
    """The different objects among the values, and for each value which of them it is."""
    known: dict[int, int] = {}
    different: list[Any] = []
    found: list[int] = []
    for value in values:
        place = known.get(id(value))
        if place is None:
            place = known[id(value)] = len(different)
            different.append(value)
        found.append(place)
    return different, pa.array(found, pa.int32())


def counts(values: Sequence[int | None]) -> Array:
    """A column of counts."""
    try:
        return pa.array(values, pa.uint64())
    except (OverflowError, pa.ArrowInvalid):  # below zero or past 2^64-1
        return pa.array([None if value is None else clamp(value, UINT64) for value in values], pa.uint64())
