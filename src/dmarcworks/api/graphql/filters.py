"""The filter and the order of a request → conditions over known fields; pure.

Names are looked up in the node's table, values are checked against the field's kind; what is neither is refused with
`error parsing args`. A condition is a tree of `All`, `Any_` and `Test`; the store's dialect makes SQL of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeAlias

from dmarcworks.api.graphql.model import DATE, STRING, STRINGS, TIME, UINT, Field, Node

DEPTH = 10
TESTS = 500
LIST = 1000
TEXT = 4096
OPERATORS = ("", "_neq", "_gt", "_lt", "_geq", "_leq", "_in", "_notin")
LISTS = ("_in", "_notin", "_has", "_hasall", "_hasany")
LARGEST = 2**64 - 1
LARGEST_STORED = 2**63 - 1
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})?")


class FilterError(ValueError):
    """What is wrong with a filter or an order, in words."""


@dataclass(frozen=True, slots=True)
class Test:
    """A field, an operator of `operators`, and a value (a tuple for a list operator)."""

    field: Field
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class All:
    """Every one of these."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Any_:
    """At least one of these."""

    parts: tuple[Condition, ...]


Condition: TypeAlias = Test | All | Any_


def operators(field: Field) -> tuple[str, ...]:
    """The operator suffixes that a field takes."""
    if field.kind == STRINGS:
        return ("_has", "_hasall", "_hasany")
    return (*OPERATORS, "_like") if field.kind == STRING else OPERATORS


def condition(node: Node, wanted: Mapping[str, Any] | None) -> All:
    """The filter as a condition; `FilterError` names what is wrong."""
    left = [TESTS]
    return _all(node, {} if wanted is None else wanted, DEPTH, left)


def _all(node: Node, wanted: Any, depth: int, left: list[int]) -> All:
    if not isinstance(wanted, Mapping):
        raise FilterError("a filter is an object")
    if not depth:
        raise FilterError(f"AND and OR stand more than {DEPTH} deep")
    return All(tuple(_part(node, name, value, depth, left) for name, value in wanted.items()))


def _part(node: Node, name: str, value: Any, depth: int, left: list[int]) -> Condition:
    left[0] -= 1
    if left[0] < 0:
        raise FilterError(f"a filter has more than {TESTS} conditions")
    if name in ("AND", "OR"):
        parts = value if isinstance(value, list | tuple) else [value]
        if name == "OR" and not parts:
            raise FilterError("OR needs at least one condition")
        made = tuple(_all(node, part, depth - 1, left) for part in parts)
        return All(made) if name == "AND" else Any_(made)
    field, operator = _named(node, name)
    if operator in ("_in", "_notin", "_hasall", "_hasany"):
        values = value if isinstance(value, list | tuple) else [value]
        if len(values) > LIST:
            raise FilterError(f"{name} has more than {LIST} values")
        return Test(field, operator, tuple(_value(field, name, item, node.catalogue) for item in values))
    return Test(field, operator, _value(field, name, value, node.catalogue))


def _named(node: Node, name: str) -> tuple[Field, str]:
    fields = node.filterable
    for operator in ("", *(suffix for suffix in (*OPERATORS[1:], "_like", "_has", "_hasall", "_hasany"))):
        if name.endswith(operator):
            field = fields.get(name[: len(name) - len(operator)] if operator else name)
            if field is not None and operator in operators(field):
                return field, operator
    raise FilterError(f'unknown field "{name[:60]}"')


def _value(field: Field, name: str, value: Any, stored: bool) -> Any:
    kind = STRING if field.kind == STRINGS else field.kind
    if value is None:
        raise FilterError(f"{name} must not be null")
    if kind == STRING:
        return _text(name, value)
    if kind == UINT:
        return _number(name, value, LARGEST_STORED if stored else LARGEST)
    if kind == DATE:
        return _date(name, value)
    if kind == TIME:
        return _time(name, value)
    raise FilterError(f"{name} cannot be compared")  # pragma: no cover - a FLOAT is a measure, no filter has one


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise FilterError(f"{name} must be a text")
    if len(value) > TEXT:
        raise FilterError(f"{name} is longer than {TEXT} characters")
    if "\0" in value or not _encodable(value):
        raise FilterError(f"{name} holds what is no text")
    return value


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(name: str, value: Any, largest: int) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= largest:
        raise FilterError(f"{name} must be a whole number from 0 to {largest}")
    return value


def _date(name: str, value: Any) -> str:
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            pass
    raise FilterError(f"{name} must be a day like 2026-03-04")


def _time(name: str, value: Any) -> float | int:
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            moment = datetime.fromisoformat(value)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
            return int(seconds) if seconds.is_integer() else seconds
        except (ValueError, OverflowError):
            pass
    raise FilterError(f"{name} must be a time like 2026-03-04T05:06:07Z")


def order(node: Node, wanted: Sequence[str] | None, selected: Sequence[Field]) -> list[tuple[Field, bool]]:
    """The order as fields with their direction (True for descending).

    In groups a dimension can only order what it groups: it must be among the `selected`.
    """
    orderable = node.orderable
    orders: list[tuple[Field, bool]] = []
    for text in wanted or ():
        name, _, direction = str(text).rpartition("_")
        field = orderable.get(name)
        if field is None or direction not in ("ASC", "DESC"):
            raise FilterError(f'unknown order "{str(text)[:60]}"')
        if node.shape == "groups" and not field.measure and field not in selected:
            raise FilterError(f"to order by {name}, select it under dimensions")
        if all(field != other for other, _ in orders):
            orders.append((field, direction == "DESC"))
    return orders


__all__ = [
    "All",
    "Any_",
    "Condition",
    "FilterError",
    "Test",
    "condition",
    "operators",
    "order",
]
