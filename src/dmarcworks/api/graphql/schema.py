"""The node tables → the GraphQL schema that clients see: types, filters, orders, and their descriptions.

Type names follow the original's: `zone`, `account`, `Zone<Node>`, `Zone<Node>Filter_InputObject`, `Zone<Node>OrderBy`.
Zones and accounts share a node's types. The schema has no resolvers; `execute.py` makes the response.
"""

from __future__ import annotations

from functools import cache

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLString,
)

from dmarcworks.api.graphql.filters import LISTS, operators
from dmarcworks.api.graphql.model import STRING, STRINGS, Field, Node
from dmarcworks.api.graphql.nodes import ANALYTICS_NODES
from dmarcworks.api.graphql.nodes_catalogue import CATALOGUE_NODES
from dmarcworks.api.graphql.scalars import SCALARS

NODES: dict[str, Node] = {node.name: node for node in (*ANALYTICS_NODES, *CATALOGUE_NODES)}
# The fields of a zone and of an account themselves.
ZONE_FIELDS = {"zoneTag": "the domain's id", "name": "its name", "rua": "the address that its reports are sent to"}
ACCOUNT_FIELDS = {"accountTag": "the account's id"}
SETTINGS = {
    "enabled": ("Boolean", "whether you may query it"),
    "availableFields": ("list", "the fields, as section_field"),
    "maxPageSize": ("uint64", "the largest limit"),
    "maxNumberOfFields": ("uint64", "fields in one query"),
    "notOlderThan": ("uint64", "how far back it goes, in seconds"),
    "maxDuration": ("uint64", "the longest time range, in seconds"),
}


def _output(field: Field) -> GraphQLOutputType:
    if field.kind == STRINGS:
        return GraphQLList(GraphQLNonNull(GraphQLString))
    return SCALARS[field.kind]


def _object(node: Node) -> GraphQLObjectType:
    fields = {
        item.name: GraphQLField(_output(item), description=item.meaning) for item in node.fields if not item.section
    }
    for section in node.sections:
        inside = {
            item.name: GraphQLField(_output(item), description=item.meaning)
            for item in node.fields
            if item.section == section
        }
        kind = GraphQLObjectType(f"{node.type}{section.capitalize()}", inside)
        fields[section] = GraphQLField(kind)
    return GraphQLObjectType(node.type, fields, description=node.meaning)


def _filter(node: Node) -> GraphQLInputObjectType:
    def fields() -> dict[str, GraphQLInputField]:
        inputs: dict[str, GraphQLInputField] = {}
        for item in node.filterable.values():
            scalar: GraphQLInputType = SCALARS[STRING if item.kind == STRINGS else item.kind]
            for operator in operators(item):
                many = operator in LISTS and operator != "_has"
                inputs[item.name + operator] = GraphQLInputField(
                    GraphQLList(GraphQLNonNull(scalar)) if many else scalar
                )
        itself = GraphQLList(GraphQLNonNull(made))
        return {**inputs, "AND": GraphQLInputField(itself), "OR": GraphQLInputField(itself)}

    made = GraphQLInputObjectType(f"{node.type}Filter_InputObject", fields)
    return made


def _order(node: Node) -> GraphQLEnumType:
    names = [f"{name}_{direction}" for name in node.orderable for direction in ("ASC", "DESC")]
    return GraphQLEnumType(f"{node.type}OrderBy", {name: name for name in names})


def _field(node: Node) -> GraphQLField:
    return GraphQLField(
        GraphQLNonNull(GraphQLList(GraphQLNonNull(_object(node)))),
        args={
            "limit": GraphQLArgument(GraphQLNonNull(SCALARS["uint64"])),
            "filter": GraphQLArgument(_filter(node)),
            "orderBy": GraphQLArgument(GraphQLList(GraphQLNonNull(_order(node)))),
        },
        description=node.meaning,
    )


def _scope(name: str, own: dict[str, str], nodes: dict[str, GraphQLField], one: GraphQLObjectType) -> GraphQLObjectType:
    fields = {key: GraphQLField(GraphQLNonNull(GraphQLString), description=meaning) for key, meaning in own.items()}
    settings = GraphQLObjectType(
        f"{name}Settings", {node: GraphQLField(GraphQLNonNull(one), description="its limits") for node in nodes}
    )
    limits = GraphQLField(GraphQLNonNull(settings), description="the limits of each node")
    return GraphQLObjectType(name, {**fields, **nodes, "settings": limits})


def _setting() -> GraphQLObjectType:
    kinds: dict[str, GraphQLOutputType] = {
        "list": GraphQLList(GraphQLNonNull(GraphQLString)),
        "Boolean": GraphQLBoolean,
        "uint64": SCALARS["uint64"],
    }
    return GraphQLObjectType(
        "NodeSettings",
        {
            name: GraphQLField(GraphQLNonNull(kinds[kind]), description=meaning)
            for name, (kind, meaning) in SETTINGS.items()
        },
    )


def _many(kind: GraphQLObjectType, filter_: GraphQLInputObjectType, meaning: str) -> GraphQLField:
    return GraphQLField(
        GraphQLNonNull(GraphQLList(GraphQLNonNull(kind))),
        args={
            "filter": GraphQLArgument(filter_),
            "limit": GraphQLArgument(SCALARS["uint64"], description="at most so many, 10 at most"),
        },
        description=meaning,
    )


@cache
def schema() -> GraphQLSchema:
    """The schema, made once."""
    fields = {name: _field(node) for name, node in NODES.items()}
    one = _setting()
    zone = _scope(
        "zone", ZONE_FIELDS, {name: made for name, made in fields.items() if not NODES[name].accounts_only}, one
    )
    account = _scope("account", ACCOUNT_FIELDS, fields, one)
    text = GraphQLInputField(SCALARS["string"])
    texts = GraphQLInputField(GraphQLList(GraphQLNonNull(SCALARS["string"])))
    zones = GraphQLInputObjectType("ZoneFilter_InputObject", {"zoneTag": text, "zoneTag_gt": text, "zoneTag_in": texts})
    accounts = GraphQLInputObjectType("AccountFilter_InputObject", {"accountTag": text})
    viewer = GraphQLObjectType(
        "viewer",
        {
            "zones": _many(zone, zones, "domains, by their id; at most 10"),
            "accounts": _many(account, accounts, "your account, by its id"),
            "budget": GraphQLField(GraphQLNonNull(SCALARS["uint64"]), description="queries left in these 5 minutes"),
        },
    )
    query = GraphQLObjectType("Query", {"viewer": GraphQLField(viewer)})
    return GraphQLSchema(query, types=list(SCALARS.values()))
