"""Validation of queries by GraphQL's rules, with the original's texts and the place of an error in the response.

Different from the specification: a variable of one scalar type is allowed where another scalar is wanted, because
live clients declare `$since: string` for a Date; its value is checked where it is used.
"""

from __future__ import annotations

from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    is_scalar_type,
    specified_rules,
    type_from_ast,
    validate,
)
from graphql.utilities import is_type_sub_type_of
from graphql.validation import (
    ASTValidationRule,
    FieldsOnCorrectTypeRule,
    KnownArgumentNamesRule,
    ProvidedRequiredArgumentsRule,
    ScalarLeafsRule,
    ValuesOfCorrectTypeRule,
    VariablesInAllowedPositionRule,
)

from dmarcworks.api.graphql.refusal import Refusal


def _name(error: GraphQLError) -> str:
    for node in error.nodes or ():
        if isinstance(node, FieldNode):
            return str(node.name.value)[:60]
    return ""


class _UnknownField(FieldsOnCorrectTypeRule):
    def report_error(self, error: GraphQLError) -> None:
        hint = error.message.partition("Did you mean ")[2]
        text = f'unknown field "{_name(error)}"' + (f"; did you mean {hint}" if hint else "")
        super().report_error(GraphQLError(text, error.nodes))


class _Leafs(ScalarLeafsRule):
    def report_error(self, error: GraphQLError) -> None:
        scalar = "must not have a selection" in error.message
        text = "scalar fields must have no selections" if scalar else "object field must have selections"
        super().report_error(GraphQLError(text, error.nodes))


def _argument_error(error: GraphQLError) -> GraphQLError:
    return GraphQLError(f"error parsing args: {error.message}", error.nodes)


class _KnownArguments(KnownArgumentNamesRule):
    def report_error(self, error: GraphQLError) -> None:
        super().report_error(_argument_error(error))


class _RequiredArguments(ProvidedRequiredArgumentsRule):
    def report_error(self, error: GraphQLError) -> None:
        super().report_error(_argument_error(error))


class _Values(ValuesOfCorrectTypeRule):
    def report_error(self, error: GraphQLError) -> None:
        super().report_error(_argument_error(error))


class _Variables(VariablesInAllowedPositionRule):
    def leave_operation_definition(self, operation: OperationDefinitionNode, *_args: Any) -> None:
        schema = self.context.schema
        for usage in self.context.get_recursive_variable_usages(operation):
            definition = self.var_def_map.get(usage.node.name.value)
            if definition is None or usage.type is None:
                continue
            declared = type_from_ast(schema, definition.type)
            if declared is not None and not _fits(schema, declared, usage.type):
                name = usage.node.name.value
                text = f"error parsing args: ${name} of type {declared} stands where {usage.type} is wanted"
                self.report_error(GraphQLError(text, [usage.node, definition]))


def _fits(schema: GraphQLSchema, declared: Any, wanted: GraphQLInputType) -> bool:
    """Whether a variable may stand there; null where none may be is refused with its value."""
    declared = declared.of_type if isinstance(declared, GraphQLNonNull) else declared
    wanted = wanted.of_type if isinstance(wanted, GraphQLNonNull) else wanted
    if isinstance(wanted, GraphQLList):
        inner = declared.of_type if isinstance(declared, GraphQLList) else declared
        return _fits(schema, inner, wanted.of_type)
    if is_scalar_type(declared) and is_scalar_type(wanted):
        return True
    return is_type_sub_type_of(schema, declared, wanted)


_REPLACED: dict[type[ASTValidationRule], type[ASTValidationRule]] = {
    FieldsOnCorrectTypeRule: _UnknownField,
    ScalarLeafsRule: _Leafs,
    KnownArgumentNamesRule: _KnownArguments,
    ProvidedRequiredArgumentsRule: _RequiredArguments,
    ValuesOfCorrectTypeRule: _Values,
    VariablesInAllowedPositionRule: _Variables,
}
RULES = [_REPLACED.get(rule, rule) for rule in specified_rules]


def check(schema: GraphQLSchema, document: DocumentNode) -> None:
    """`Refusal` with the first error and its place."""
    try:
        errors = validate(schema, document, RULES, max_errors=1)
    except GraphQLError as aborted:  # too deep for it
        errors = [aborted]
    if errors:
        raise Refusal(errors[0].message, place(document, errors[0]))


def place(document: DocumentNode, error: GraphQLError) -> list[str]:
    """The path in the answer of the field that an error is about; through fragments, that of their first use."""
    positions = list(error.positions or ())
    if not positions:
        return []
    fragments = {item.name.value: item for item in document.definitions if isinstance(item, FragmentDefinitionNode)}
    best: list[str] = []
    seen: set[str] = set()

    def walk(selections: SelectionSetNode, path: list[str]) -> None:
        nonlocal best
        for item in selections.selections:
            inner, below = getattr(item, "selection_set", None), path
            if isinstance(item, FieldNode):
                key = (item.alias or item.name).value
                below = [*path, key]
                if item.loc and item.loc.start <= positions[0] < item.loc.end and len(below) >= len(best):
                    best = below
                if item.name.value in ("zones", "accounts") and path == ["viewer"]:
                    below = [*below, "0"]
            elif isinstance(item, FragmentSpreadNode):
                name = item.name.value
                if name in fragments and name not in seen:
                    seen.add(name)
                    inner = fragments[name].selection_set
                else:
                    inner = None
            if inner is not None:
                walk(inner, below)

    for item in document.definitions:
        if isinstance(item, OperationDefinitionNode):
            walk(item.selection_set, [])
    return best
