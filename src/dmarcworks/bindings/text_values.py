"""Many texts as one parameter of a statement: a database allows so many parameters, and each of them costs time."""

from __future__ import annotations

import json
from collections.abc import Iterable

from sqlalchemy import JSON, Select, String, column, func, literal, select

__all__ = ["text_values"]


def text_values(dialect: str, texts: Iterable[str]) -> Select[tuple[str]]:
    """A query whose rows are these texts, for `IN` or for an insert from it."""
    document = json.dumps(list(texts))
    if dialect == "sqlite":
        rows = func.json_each(literal(document, String)).table_valued(column("value", String), name="texts")
    else:
        rows = func.json_array_elements_text(literal(document, String).cast(JSON)).table_valued(
            column("value", String), name="texts"
        )
        rows = rows.render_derived()
    return select(rows.c.value)
