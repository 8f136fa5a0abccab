"""Values of a report → Arrow columns of its table. Pure; no text and no number of a stranger makes an insert fail.

Numbers are held inside their column's range, text that is no UTF-8 loses what is none, absent stays NULL. Text of a
report's head, which every row repeats, is cut at 2,048 characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, TypeAlias

import pyarrow as pa

from dmarcworks.analytics.tables import Table

__all__ = ["HEAD_CHARACTERS", "INT64", "UINT64", "Array", "clamp", "encodable", "filled", "head", "structs", "texts"]

HEAD_CHARACTERS = 2048
INT64 = (-(2**63), 2**63 - 1)
UINT64 = (0, 2**64 - 1)

Array: TypeAlias = "pa.Array[Any]"


def filled(table: Table, size: int, constants: Mapping[str, Any], columns: Mapping[str, Array]) -> pa.Table:
    """`size` rows of the table: a column's values, else its constant in every row, else NULL."""
    arrays = []
    for column in table.columns:
        array = columns.get(column.name)
        if array is None:
            value = constants.get(column.name)
            # pa.repeat knows no lists and NULLs; taking index 0 over and over does.
            single = texts([value]) if pa.types.is_string(column.arrow) else pa.array([value], column.arrow)
            array = single.take(pa.repeat(pa.scalar(0, pa.int8()), size))
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=table.schema)


def clamp(value: int, bounds: tuple[int, int]) -> int:
    """The number, held inside the bounds."""
    return min(max(value, bounds[0]), bounds[1])


def encodable(text: str | None) -> str | None:
    """The text as UTF-8 can hold it."""
    return None if text is None else text.encode("utf-8", "replace").decode()


def head(text: str | None) -> str | None:
    """The text, cut at what a row repeats."""
    return None if text is None else encodable(text[:HEAD_CHARACTERS])


def texts(values: Sequence[str | None]) -> Array:
    """A column of text."""
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:  # a lone surrogate is no UTF-8
        return pa.array([encodable(value) for value in values], pa.string())


def structs(table: Table, name: str, lists: Sequence[Iterable[Any]]) -> Array:
    """A list column of structs, field by field: many times faster than one dict per struct."""
    kind = table.schema.field(name).type
    sizes: list[int] = [0]
    flat: list[Any] = []
    for values in lists:
        flat.extend(values)
        sizes.append(len(flat))
    fields = list(kind.value_type)
    columns = []
    for field in fields:
        found = list(map(attrgetter(field.name), flat))
        columns.append(texts(found) if pa.types.is_string(field.type) else counts(found))
    struct = pa.StructArray.from_arrays(columns, fields=fields)
    return pa.ListArray.from_arrays(pa.array(sizes, pa.int32()), struct, type=kind)


def counts(values: Iterable[int | None]) -> Array:
    """A column of counts."""
    return pa.array([None if value is None else clamp(value, UINT64) for value in values], pa.uint64())
