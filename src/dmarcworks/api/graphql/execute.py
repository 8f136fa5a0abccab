"""A request → its data: parsed, bounded, checked, then one statement for each node, for all of its zones together.

Every failure is a `Refusal`, and one refusal is the whole response. Tenant isolation: a query always names the caller's
account, and only zones that the caller may see; another account's zone gets the same error as one that does not exist.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from graphql import (
    GraphQLError,
    GraphQLObjectType,
    execute_sync,
    parse,
)
from graphql.execution.values import get_argument_values

from dmarcworks.api.graphql import limits
from dmarcworks.api.graphql.compile import CompiledQuery
from dmarcworks.api.graphql.filters import FilterError, condition, order
from dmarcworks.api.graphql.model import Node
from dmarcworks.api.graphql.prepare import GraphqlBounds, Prepared
from dmarcworks.api.graphql.refusal import Refusal
from dmarcworks.api.graphql.schema import NODES, schema
from dmarcworks.api.graphql.selection import Selected
from dmarcworks.api.graphql.settings import settings_of
from dmarcworks.api.graphql.shape import Shape
from dmarcworks.api.graphql.stores import GraphqlStores, Rows
from dmarcworks.catalogue.accounts import Domain


@dataclass(frozen=True, slots=True)
class GraphqlCaller:
    """The caller: its account, the domains of it that it may see, whether these are only some, queries left."""

    account_id: str
    domains: Mapping[str, Domain]
    limited: bool
    budget: int


@dataclass(frozen=True, slots=True)
class _NodeQuery:
    """A node's query, and its place in the request."""

    question: CompiledQuery
    path: tuple[str, ...]


class GraphqlEngine:
    """Answers prepared requests out of the stores."""

    def __init__(self, stores: GraphqlStores, bounds: GraphqlBounds, clock: Callable[[], float]) -> None:
        self._stores, self.bounds, self._clock = stores, bounds, clock

    async def run(self, prepared: Prepared, caller: GraphqlCaller) -> dict[str, Any]:
        """The data; `Refusal` when anything in it fails."""
        run = _Run(prepared, caller, self.bounds, self._clock())
        root = run.operation.fields(prepared.definition.selection_set)
        data: dict[str, Any] = dict.fromkeys(item.key for item in root)
        if any(item.name != "viewer" for item in root):
            named = prepared.definition.name.value if prepared.definition.name else None
            variables = json.dumps(prepared.variables, sort_keys=True)
            data.update(await asyncio.to_thread(_introspected, prepared.query, variables, named))
        viewers = {item.key: run.viewer(item) for item in root if item.name == "viewer"}
        rows = await self._rows(run)
        for key, viewer in viewers.items():
            data[key] = await asyncio.to_thread(viewer, rows)
        return data

    async def _rows(self, run: _Run) -> dict[CompiledQuery, Rows]:
        """The rows of each query; equal queries run once."""
        rows: dict[CompiledQuery, Rows] = {}
        for node_query in run.node_queries:
            if node_query.question not in rows:
                try:
                    rows[node_query.question] = await self._stores.rows(node_query.question)
                except Refusal as refusal:
                    raise Refusal(str(refusal), node_query.path, refusal.status, refusal.wait) from None
        return rows


Later = Callable[[dict[CompiledQuery, Rows]], Any]


class _Run:
    """One request: first everything is planned and bounded, then queried, then put together."""

    def __init__(self, prepared: Prepared, caller: GraphqlCaller, bounds: GraphqlBounds, now: float) -> None:
        self.operation, self.caller, self.bounds, self.now = prepared.operation, caller, bounds, now
        self.node_queries: list[_NodeQuery] = []
        self._cost = 0

    def viewer(self, selected: Selected) -> Later:
        """Plan the viewer."""
        parts: dict[str, Later] = {}
        for item in self.operation.below(selected):
            path = (selected.key, item.key)
            if item.name == "zones":
                parts[item.key] = self._zones(item, path)
            elif item.name == "accounts":
                parts[item.key] = self._accounts(item, path)
            else:
                parts[item.key] = _constant(self.caller.budget if item.name == "budget" else "viewer")
        return _object(parts)

    def _zones(self, selected: Selected, path: tuple[str, ...]) -> Later:
        arguments = self._arguments("viewer", selected, path)
        wanted = {name: value for name, value in (arguments.get("filter") or {}).items() if value is not None}
        if len(wanted) != 1:
            raise Refusal("error parsing args: zones needs a filter with one of zoneTag, zoneTag_gt, zoneTag_in", path)
        ((name, value),) = wanted.items()
        most = min(_limit(arguments.get("limit", limits.ZONES), limits.ZONES, path), limits.ZONES)
        if name == "zoneTag_gt":
            tags = sorted(tag for tag in self.caller.domains if tag > str(value))[:most]
        else:
            tags = list(dict.fromkeys(value if isinstance(value, list) else [value]))
        if len(tags) > limits.ZONES:
            raise Refusal(f"number of zones can't be more than {limits.ZONES}", path)
        for tag in tags:
            if tag not in self.caller.domains:
                raise Refusal("does not have access to the path", path, 403)
        return self._each("zone", selected, path, tags[:most])

    def _accounts(self, selected: Selected, path: tuple[str, ...]) -> Later:
        arguments = self._arguments("viewer", selected, path)
        _limit(arguments.get("limit", 1), limits.ZONES, path)
        tag = (arguments.get("filter") or {}).get("accountTag")
        if tag is None:
            raise Refusal("error parsing args: accounts needs a filter with accountTag", path)
        if tag != self.caller.account_id:
            raise Refusal("not authorized for that account", path, 403)
        return self._each("account", selected, path, None)

    def _each(self, scope: str, selected: Selected, path: tuple[str, ...], tags: list[str] | None) -> Later:
        """A list of zones or the one account; a node of it is queried once for all zones."""
        plans: list[tuple[str, Callable[[str], Later]]] = []
        for item in self.operation.below(selected):
            here = (*path, "0", item.key)
            plans.append((item.key, self._child(scope, item, here, tags)))
        tops = [""] if tags is None else tags
        objects = [_object({key: plan(tag) for key, plan in plans}) for tag in tops]
        return lambda rows: [made(rows) for made in objects]

    def _child(
        self, scope: str, item: Selected, path: tuple[str, ...], tags: list[str] | None
    ) -> Callable[[str], Later]:
        if item.name == "__typename":
            return lambda tag: _constant(scope)
        if item.name == "settings":
            settings = settings_of(scope, item, self.operation, self.bounds.rows, self.now)
            return lambda tag: _constant(settings)
        if item.name in NODES:
            return self._node(scope, item, path, tags)
        if item.name == "accountTag":
            return lambda tag: _constant(self.caller.account_id)
        attribute = {"zoneTag": "id"}.get(item.name, item.name)
        return lambda tag: _constant(getattr(self.caller.domains[tag], attribute))

    def _node(
        self, scope: str, item: Selected, path: tuple[str, ...], tags: list[str] | None
    ) -> Callable[[str], Later]:
        node = NODES[item.name]
        arguments = self._arguments(scope, item, path)
        shape = Shape(node)
        build = shape.build(self.operation.below(item), self.operation)
        limit = _limit(arguments["limit"], self.bounds.rows, path)
        if shape.leaves > limits.NODE_FIELDS:
            raise Refusal(f"number of fields can't be more than {limits.NODE_FIELDS}", path)
        self._pay(limit * shape.leaves * (len(tags) if tags is not None else 1), path)
        question = self._question(node, arguments, shape, tags, limit, path)
        if tags != []:
            self.node_queries.append(_NodeQuery(question, path))
        apart = question.apart
        return lambda tag: lambda rows: [build(row) for row in rows[question].get(tag if apart else "", ())]

    def _pay(self, cost: int, path: tuple[str, ...]) -> None:
        if len(self.node_queries) >= limits.NODES:
            raise Refusal(f"number of nodes can't be more than {limits.NODES}", path)
        self._cost += cost
        if self._cost > self.bounds.cost:
            text = f"the query costs more than {self.bounds.cost} (limit times fields times zones, over all nodes)"
            raise Refusal(f"{text}; select fewer", path)

    def _question(
        self,
        node: Node,
        arguments: dict[str, Any],
        shape: Shape,
        tags: list[str] | None,
        limit: int,
        path: Sequence[str],
    ) -> CompiledQuery:
        fields = tuple(shape.fields)
        orders = arguments.get("orderBy")
        try:
            where = condition(node, arguments.get("filter"))
            by = order(node, orders, fields)
        except FilterError as error:
            text = str(error)
            raise Refusal(text if text.startswith("unknown") else f"error parsing args: {text}", path) from None
        all_of_it = tags is None and not self.caller.limited
        zones = None if all_of_it else tuple(sorted(self.caller.domains) if tags is None else tags)
        apart = tags is not None and len(tags) > 1
        return CompiledQuery(node, self.caller.account_id, zones, apart, fields, where, tuple(by), limit)

    def _arguments(self, scope: str, selected: Selected, path: Sequence[str]) -> dict[str, Any]:
        kind = cast(GraphQLObjectType, schema().type_map[scope])
        try:
            return get_argument_values(kind.fields[selected.name], selected.nodes[0], self.operation.variables)
        except GraphQLError as error:
            raise Refusal(f"error parsing args: {error.message}", path) from None


def _limit(value: Any, most: int, path: Sequence[str]) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise Refusal(f"limit must be positive number and not greater than {most}", path)
    return value


def _constant(value: Any) -> Later:
    return lambda rows: value


def _object(parts: dict[str, Later]) -> Later:
    return lambda rows: {key: part(rows) for key, part in parts.items()}


@lru_cache(maxsize=8)
def _introspected(query: str, variables: str, name: str | None) -> Mapping[str, Any]:
    """The introspection part of a checked query; the viewer is not answered here.

    A client queries the whole schema each time it opens, which takes most of a second; it is the same for everyone.
    """
    document = parse(query, no_location=True)
    result = execute_sync(schema(), document, {}, variable_values=json.loads(variables), operation_name=name)
    return {key: value for key, value in (result.data or {}).items() if value is not None}
