"""Any value of this package as dicts, lists and scalars that JSON can represent, with fields in order. Pure."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from dmarcworks.reports.aggregate.records import Records

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """The value without classes; a `Records` is the list of its records."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list | Records):
        return [plain(one) for one in value]
    return value
