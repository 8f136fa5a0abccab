"""Values of reports → the Arrow columns of their table. Pure; absent stays NULL.

A value that all rows of a report repeat is passed once and is in memory once or nearly so. Text of a report's head is
cut at
2,048 characters. `arrays` makes the single columns.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, count, repeat
from operator import attrgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dmarcworks.analytics.arrays import Array, made, packed
from dmarcworks.analytics.tables import Table

__all__ = ["HEAD_CHARACTERS", "filled", "heads", "indexes", "places", "selected", "structs"]

HEAD_CHARACTERS = 2048
# Rows of a chunk of a column that holds one value throughout.
_CHUNK = 8192


def filled(
    table: Table, sizes: Sequence[int], constants: Mapping[str, Sequence[Any]], columns: Mapping[str, Array]
) -> pa.Table:
    """Rows of the table for several reports of so many rows each.

    A column is what `columns` holds, else each report's one value of `constants` in all of its rows, else NULL.
    """
    size = sum(sizes)
    once: dict[str, Array] = {}
    for column in table.columns:
        values = constants.get(column.name)
        if values is None or column.name in columns or values.count(None) == len(values):
            continue
        once[column.name] = made(values, column.arrow)
    given = {**(_repeated(once, size) if len(sizes) == 1 else selected(once, _owners(sizes))), **columns}
    arrays = [
        _same(_nulls(min(size, _CHUNK), column.arrow), size) if (values := given.get(column.name)) is None else values
        for column in table.columns
    ]
    return pa.Table.from_arrays(arrays, schema=table.schema)


def _owners(sizes: Sequence[int]) -> Array:
    """Which report each row belongs to; `selected` with it repeats each report's values."""
    return packed(array("i", chain.from_iterable(map(repeat, count(), sizes))), pa.int32())


def indexes(sizes: Sequence[int]) -> Array:
    """The place of each row in its report, from 0."""
    return packed(array("I", chain.from_iterable(map(range, sizes))), pa.uint32())


def _repeated(columns: Mapping[str, Array], size: int) -> dict[str, Any]:
    """The columns' one value in so many rows; a large report's head, which every row repeats, is in memory once."""
    first = packed(array("i", bytes(4 * min(size, _CHUNK))), pa.int32())
    return {name: _same(values, size) for name, values in selected(columns, first).items()}


def _nulls(size: int, kind: Any) -> Array:
    nothing: Array = pa.nulls(size, kind)
    return nothing


def _same(chunk: Array, size: int) -> Any:
    """A column of so many rows of which all chunks are this one."""
    if size <= len(chunk):
        return chunk
    whole, rest = divmod(size, len(chunk))
    return pa.chunked_array([chunk] * whole + ([chunk[:rest]] if rest else []))


def selected(columns: Mapping[str, Array], places: Array) -> dict[str, Array]:
    """The columns' values at these places, all in one call, which costs hardly more than one column does."""
    if not columns:
        return {}
    batch = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    # Arrow's own pool reserves twice of what the 200,000 rows of a large report take, and keeps it.
    batch = pc.take(batch, places, memory_pool=pa.system_memory_pool())
    return dict(zip(columns, batch.columns, strict=True))


def heads(values: Iterable[str | None]) -> list[str | None]:
    """Texts that every row of their report repeats, each cut at HEAD_CHARACTERS."""
    return [text if text is None or len(text) <= HEAD_CHARACTERS else text[:HEAD_CHARACTERS] for text in values]


def structs(table: Table, name: str, rows: Sequence[Sequence[Any]]) -> Array:
    """A list column of structs, field by field: many times faster than one dict per struct."""
    kind = table.schema.field(name).type
    sizes: list[int] = [0]
    flat: list[Any] = []
    for values in rows:
        flat.extend(values)
        sizes.append(len(flat))
    fields = list(kind.value_type)
    columns = [made(list(map(attrgetter(field.name), flat)), field.type) for field in fields]
    struct = pa.StructArray.from_arrays(columns, fields=fields)
    return pa.Array.from_buffers(kind, len(rows), [None, pa.py_buffer(array("i", sizes))], children=[struct])


def places(values: Iterable[Any]) -> tuple[list[Any], Array]:
    """The different objects among the values, and for each value which of them it is."""
    objects = list(values)
    names = list(map(id, objects))
    once = dict(zip(names, objects, strict=True))
    indices = array("i", map(dict(zip(once, count(), strict=False)).__getitem__, names))
    return list(once.values()), packed(indices, pa.int32())
