"""A checked operation → what is selected, by the names in the answer: fragments unfolded, @skip and @include obeyed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLIncludeDirective,
    GraphQLSkipDirective,
    InlineFragmentNode,
    SelectionSetNode,
)
from graphql.execution.values import get_directive_values


@dataclass(frozen=True, slots=True)
class Selected:
    """A field in the answer: its key there, its name, and every place where the query selects it."""

    key: str
    name: str
    nodes: list[FieldNode]


@dataclass(frozen=True, slots=True)
class Operation:
    """What a selection may refer to."""

    fragments: Mapping[str, FragmentDefinitionNode]
    variables: dict[str, Any]

    def below(self, selected: Selected) -> list[Selected]:
        """What is selected below a field, in order."""
        return self.fields(*(node.selection_set for node in selected.nodes if node.selection_set))

    def fields(self, *sets: SelectionSetNode) -> list[Selected]:
        """What these select, in order; the same key once."""
        selected: dict[str, Selected] = {}
        for selections in sets:
            self._collect(selections, selected)
        return list(selected.values())

    def _collect(self, selections: SelectionSetNode, selected: dict[str, Selected]) -> None:
        for item in selections.selections:
            if not self._included(item):
                continue
            if isinstance(item, FieldNode):
                key = (item.alias or item.name).value
                selected.setdefault(key, Selected(key, item.name.value, [])).nodes.append(item)
            elif isinstance(item, FragmentSpreadNode):
                # The schema has no interface and no union: a fragment that may stand here is of this type.
                self._collect(self.fragments[item.name.value].selection_set, selected)
            elif isinstance(item, InlineFragmentNode):
                self._collect(item.selection_set, selected)

    def _included(self, item: Any) -> bool:
        skip = get_directive_values(GraphQLSkipDirective, item, self.variables)
        if skip and skip["if"]:
            return False
        include = get_directive_values(GraphQLIncludeDirective, item, self.variables)
        return not include or bool(include["if"])
