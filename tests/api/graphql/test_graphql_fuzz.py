"""Whatever is sent, the answer is the envelope with data or one error, and never our fault (500)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmarcworks.api.graphql.schema import NODES
from tests.support.graphs import SECRET

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Mostly real words, so that some of what comes out passes the parser and more than one check behind it.
WORDS = (
    *[
        "query",
        "mutation",
        "fragment",
        "on",
        "...",
        "{",
        "}",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ":",
        "$",
        "!",
        "@",
        "=",
        ",",
        "|",
        "&",
        "#",
        "viewer",
        "zones",
        "accounts",
        "zone",
        "account",
    ],
    *[
        "filter",
        "limit",
        "orderBy",
        "zoneTag",
        "zoneTag_in",
        "zoneTag_gt",
        "accountTag",
        "TAG",
        "ACCOUNT",
        "settings",
        "budget",
        "__typename",
    ],
    *[
        "__schema",
        "__type",
        "types",
        "fields",
        "name",
        "count",
        "sum",
        "avg",
        "uniq",
        "dimensions",
        "totalMatchingMessages",
        "sourceIP",
    ],
    *[
        "headerFrom",
        "date",
        "datetime",
        "date_geq",
        "headerFrom_like",
        "dkimDomains_has",
        "AND",
        "OR",
        "null",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "10000",
    ],
    *[
        "1e9",
        "99999999999999999999999",
        "2.5",
        "sum_totalMatchingMessages_DESC",
        "date_ASC",
        "@skip(if:",
        "@include(if:",
        "$a",
        "$b",
    ],
    *('"', '"""', "'", "\\", '"2026-03-04"', '"x"', '"%"', '"\\u0000"', '"\\ud800"', "String!"),
    *NODES,
)
NODE = st.sampled_from(sorted(NODES))
ODD = (
    "2026-03-04",
    "2026-03-04T00:00:00Z",
    "9999-99-99",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59Z",
    "\ud800",
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=20),
        st.sampled_from([*ODD, "\x00", "%"]),
    ),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


async def answered(place: Any, query: Any, variables: Any = None, operation: Any = None) -> None:
    answer = await place.mine.post(query, variables, operationName=operation)
    body = answer.json()
    assert set(body) == {"data", "errors"}
    assert (body["data"] is None) != (body["errors"] is None)
    assert answer.status_code in (200, 400, 403, 413), (query, variables, answer.text[:300])
    assert (answer.status_code == 200) == (body["errors"] is None)
    assert SECRET not in answer.text
    assert "DB::" not in answer.text


@given(words=st.lists(st.sampled_from(WORDS), max_size=40), variables=st.one_of(st.none(), VALUES))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_word_soup(place: Any, words: list[str], variables: Any) -> None:
    tag, account = place.mine.domains["a.example"].id, place.mine.account_id
    await answered(place, " ".join(words).replace("TAG", f'"{tag}"').replace("ACCOUNT", f'"{account}"'), variables)


@given(
    name=NODE,
    suffix=st.sampled_from(
        ["", "_neq", "_gt", "_lt", "_geq", "_leq", "_in", "_notin", "_like", "_has", "_hasall", "_hasany"]
    ),
    data=st.data(),
    value=VALUES,
    limit=st.one_of(VALUES, st.just(5)),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_value_for_any_filter(
    place: Any, name: str, suffix: str, data: st.DataObject, value: Any, limit: Any
) -> None:
    """Every field of every node, every operator, values of every kind: an answer or `error parsing args`."""
    node = NODES[name]
    field = data.draw(st.sampled_from(sorted(node.filterable)))
    picked = data.draw(st.sampled_from(node.fields))
    order = data.draw(st.sampled_from(sorted(node.orderable)))
    leaf = f"{picked.section} {{ {picked.name} }}" if picked.section else picked.name
    query = (
        f"query($f: {node.type}Filter_InputObject, $l: uint64!)"
        f" {{ viewer {{ accounts(filter: {{accountTag: ACCOUNT}}) {{"
        f" {name}(limit: $l, filter: $f, orderBy: [{order}_DESC]) {{ {leaf} __typename }} }} }} }}"
    ).replace("ACCOUNT", f'"{place.mine.account_id}"')
    await answered(place, query, {"f": {field + suffix: value}, "l": limit})


async def test_every_field_of_every_node_can_be_asked(place: Any) -> None:
    """Each field alone and each order alone, of a zone and of the account: no expression that its store refuses."""
    for name, node in NODES.items():
        for field in node.fields:
            leaf = f"{field.section} {{ {field.name} }}" if field.section else field.name
            order = "" if field.order not in node.orderable else f", orderBy: [{field.order}_DESC]"
            for scope in (None, *(() if node.accounts_only else ("a.example",))):
                rows = await place.mine.node(f"{name}(limit: 3{order}) {{ {leaf} }}", scope)
                assert len(rows) <= 3
