"""The scalars, under the names that clients of the original declare their variables with.

They accept any value; `filters.py` checks it where it is used, because a variable of one textual type is allowed where
another is wanted (`$since: string` for a Date).
"""

from __future__ import annotations

from typing import Any

from graphql import (
    BooleanValueNode,
    FloatValueNode,
    GraphQLBoolean,
    GraphQLError,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLScalarType,
    GraphQLString,
    IntValueNode,
    StringValueNode,
    ValueNode,
)


def _value(value: Any) -> Any:
    if isinstance(value, str | int | float):
        return value
    raise GraphQLError("a text or a number is wanted here")


def _literal(node: ValueNode, variables: Any = None) -> Any:
    if isinstance(node, StringValueNode):
        return node.value
    if isinstance(node, IntValueNode) and len(node.value) <= 40:
        return int(node.value)
    if isinstance(node, FloatValueNode) and len(node.value) <= 40:
        return float(node.value)
    if isinstance(node, BooleanValueNode):
        return node.value
    raise GraphQLError("a text or a number is wanted here")


def _scalar(name: str, meaning: str) -> GraphQLScalarType:
    return GraphQLScalarType(name, parse_value=_value, parse_literal=_literal, description=meaning)


SCALARS: dict[str, GraphQLScalarType] = {
    "Date": _scalar("Date", "A UTC day, YYYY-MM-DD."),
    "Time": _scalar("Time", "A moment, YYYY-MM-DDThh:mm:ssZ (RFC 3339)."),
    **{
        name: _scalar(name, meaning)
        for name, meaning in (
            ("uint64", "A whole number from 0 on; a sum is exact, however large."),
            ("uint32", "A whole number."),
            ("uint16", "A whole number."),
            ("uint8", "A whole number."),
            ("int64", "A whole number."),
            ("float64", "A number."),
            ("float32", "A number."),
            ("string", "Text."),
            ("bool", "true or false."),
        )
    },
    "String": GraphQLString,
    "ID": GraphQLID,
    "Int": GraphQLInt,
    "Float": GraphQLFloat,
    "Boolean": GraphQLBoolean,
}
