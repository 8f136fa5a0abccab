"""The bounds of a query, before anything is checked or run, and how many queries are answered at once.

Refused here: too long, too many tokens or fields, too deep, a fragment that includes itself, introspection that
multiplies. The walk visits each field once per use, and stops at the bound, so no query costs more than its bound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from dmarcworks.api.graphql.refusal import Refusal

BODY_BYTES = 256 * 1024
TEXT = 64 * 1024
TOKENS = 5000
COMMENTS = 500
DEFINITIONS = 50
FIELDS = 600
NODES = 20
NODE_FIELDS = 100
ZONES = 10
INTROSPECTION_DEPTH = 20
VARIABLES_DEPTH = 15
WINDOW = 300.0
INTROSPECTED = 400_000
# About how many each list of the schema holds.
_MANY = {"types": 80, "fields": 12, "inputFields": 60, "enumValues": 20, "args": 2, "directives": 5, "possibleTypes": 5}
_OPEN = frozenset({"fields", "inputFields", "interfaces", "possibleTypes"})


@dataclass(slots=True)
class _DepthWalk:
    fragments: Mapping[str, FragmentDefinitionNode]
    depth: int
    left: int = FIELDS
    introspected: int = 0


def measure(document: DocumentNode, depth: int) -> None:
    """`Refusal` when the query is larger or deeper than the bounds allow."""
    if len(document.definitions) > DEFINITIONS:
        raise Refusal(f"a query has at most {DEFINITIONS} operations and fragments")
    named = {item.name.value: item for item in document.definitions if isinstance(item, FragmentDefinitionNode)}
    for item in document.definitions:
        if isinstance(item, OperationDefinitionNode | FragmentDefinitionNode):
            # A fragment's own depth counts where it is used.
            own = depth if isinstance(item, OperationDefinitionNode) else INTROSPECTION_DEPTH
            _visit(_DepthWalk(named, own), item.selection_set, [], ())


def _visit(walk: _DepthWalk, selections: SelectionSetNode, path: list[str], parents: tuple[str, ...]) -> None:
    for item in selections.selections:
        # Spreads count too: fragments of fragments double without a single field.
        walk.left -= 1
        if walk.left < 0:
            raise Refusal(f"number of fields can't be more than {FIELDS}")
        if isinstance(item, FieldNode):
            below = [*path, item.name.value]
            _bounded(walk, below)
            if item.selection_set:
                _visit(walk, item.selection_set, below, parents)
        elif isinstance(item, FragmentSpreadNode):
            name = item.name.value
            if name in parents:
                raise Refusal(f'fragment "{name[:60]}" includes itself')
            if name in walk.fragments:
                _visit(walk, walk.fragments[name].selection_set, path, (*parents, name))
        elif isinstance(item, InlineFragmentNode):
            _visit(walk, item.selection_set, path, parents)


def _bounded(walk: _DepthWalk, path: list[str]) -> None:
    introspects = path[0] in ("__schema", "__type")
    depth = INTROSPECTION_DEPTH if introspects else walk.depth
    if len(path) > depth:
        raise Refusal(f"the query is more than {depth} fields deep")
    if not introspects:
        return
    if sum(step in _OPEN for step in path) > (1 if path[0] == "__schema" else 2):
        raise Refusal("introspection goes around in circles")
    walk.introspected += prod(_MANY.get(step, 1) for step in path[:-1])
    if walk.introspected > INTROSPECTED:
        raise Refusal("the introspection query selects more than the whole schema")


class QueriesInProgress:
    """How many queries of an account are being answered."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count: Counter[str] = Counter()

    def enter(self, account_id: str) -> None:
        """One more; `Refusal` when there are too many."""
        if self._count[account_id] >= self._most:
            raise Refusal("too many queries in progress, please try again later", status=503, wait=1)
        self._count[account_id] += 1

    def leave(self, account_id: str) -> bool:
        """One less; True when none is left."""
        self._count[account_id] -= 1
        if self._count[account_id]:
            return False
        del self._count[account_id]
        return True


def nesting(value: object, depth: int = VARIABLES_DEPTH) -> None:
    """`Refusal` when lists and objects are nested deeper than `depth`."""
    level: list[object] = [value]
    for _ in range(depth + 1):
        level = [
            inner
            for item in level
            if isinstance(item, list | dict)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise Refusal(f"error parsing args: variables are more than {depth} deep")
