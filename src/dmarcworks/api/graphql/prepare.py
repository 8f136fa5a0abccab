"""The text of a request → a checked operation, ready to run: parsed, measured, validated, its variables typed. Pure.

Whatever is wrong is a `Refusal`. Reading a hostile text is bounded, but slow enough for a thread of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    parse,
)
from graphql.execution.values import get_variable_values

from dmarcworks.api.graphql import limits
from dmarcworks.api.graphql.refusal import Refusal
from dmarcworks.api.graphql.rules import check
from dmarcworks.api.graphql.schema import schema
from dmarcworks.api.graphql.selection import Operation

__all__ = ["GraphqlBounds", "Prepared", "prepare"]


@dataclass(frozen=True, slots=True)
class GraphqlBounds:
    """The bounds of a query."""

    depth: int = 10
    rows: int = 10_000
    cost: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """A checked request, ready to run; `variables` as they were sent."""

    query: str
    variables: Mapping[str, Any]
    definition: OperationDefinitionNode
    operation: Operation


def prepare(query: str, variables: Mapping[str, Any], name: str | None, bounds: GraphqlBounds) -> Prepared:
    """Read and check a request; pure and bounded, but slow enough for a thread of its own."""
    limits.nesting(dict(variables))
    if len(query) > limits.TEXT:
        raise Refusal(f"the query is longer than {limits.TEXT} characters", status=413)
    try:
        document = parse(query, max_lexical_tokens=limits.TOKENS, max_comments=limits.COMMENTS)
    except GraphQLError as error:
        raise Refusal(f"error parsing query: {error.message}") from None
    limits.measure(document, bounds.depth)
    check(schema(), document)
    definition = _definition(document, name)
    values = get_variable_values(schema(), definition.variable_definitions or (), dict(variables), max_errors=1)
    if isinstance(values, list):
        raise Refusal(f"error parsing args: {values[0].message}")
    fragments = {item.name.value: item for item in document.definitions if isinstance(item, FragmentDefinitionNode)}
    return Prepared(query, variables, definition, Operation(fragments, values))


def _definition(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [item for item in document.definitions if isinstance(item, OperationDefinitionNode)]
    if name is not None:
        operations = [item for item in operations if item.name and item.name.value == name]
    if len(operations) != 1:
        raise Refusal(
            "there is no such operation" if name or not operations else "operationName must name the operation"
        )
    if operations[0].operation is not OperationType.QUERY:
        raise Refusal("only queries: there are no mutations and no subscriptions")
    return operations[0]
