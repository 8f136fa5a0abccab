"""Pages with cursors: opaque to clients, checked like any other text of strangers. A cursor is a place, not a permit.

A cursor names its list and where the page before ended; the query still restricts the rows to the token's reach.
"""

from __future__ import annotations

import base64
import json
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from dmarcworks.errors import UsageError

__all__ = ["Cursor", "Limit", "Page", "after", "mark"]

Item = TypeVar("Item", bound=BaseModel)

LARGEST = 1000
_INTEGER = 2**62

Limit = Annotated[int, Query(ge=1, le=LARGEST, description="Items of a page, at most.")]
Cursor = Annotated[
    str | None, Query(max_length=600, description="`next` of the page before; empty for the first page.")
]


class Page(BaseModel, Generic[Item]):
    """A page of a list."""

    items: list[Item] = Field(description="The items, in the list's order.")
    next: str | None = Field(description="Send it as `cursor` for the next page; null on the last.")


def mark(kind: str, *values: str | int | float) -> str:
    """The cursor after the item with these values."""
    text = json.dumps([kind, *values], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def after(kind: str, cursor: str | None, *types: type) -> tuple[Any, ...] | None:
    """The values of a cursor of this list; None for the first page, `UsageError` for what is none."""
    if not cursor:
        return None
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        valid = isinstance(place, list) and len(place) == len(types) + 1 and place[0] == kind
        if not valid or not all(type(value) is wanted for value, wanted in zip(place[1:], types, strict=True)):
            raise ValueError
        if any(not -_INTEGER < value < _INTEGER for value in place[1:] if not isinstance(value, str)):
            raise ValueError
        if any("\0" in value or not value.isprintable() for value in place[1:] if isinstance(value, str)):
            raise ValueError
    except (ValueError, RecursionError):
        raise UsageError("the cursor is not one of this list; begin again without it") from None
    return tuple(place[1:])
