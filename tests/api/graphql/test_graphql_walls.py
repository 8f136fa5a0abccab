"""A tenant reads no byte of a neighbour by GraphQL, and no query, however it is made, costs more than its bound."""

# ruff: noqa: E501 - a query stands whole on its line
from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dmarcworks.api.graphql import stores
from dmarcworks.api.graphql.compile import BoundValue
from tests.support.graphs import SECRET

pytestmark = pytest.mark.asyncio(loop_scope="module")

GROUPS = "dmarcReportsSourcesAdaptiveGroups(limit: 100) { count sum { totalMatchingMessages } dimensions { headerFrom reporter } }"
NODES = (
    GROUPS,
    "dmarcReportsAdaptive(limit: 100) { headerFrom reporter }",
    "sources(limit: 100) { sourceIP messages }",
    "senders(limit: 100) { messages }",
    "tls(limit: 100) { reporter }",
    "tlsGroups(limit: 100) { count }",
    "failureReports(limit: 100) { headerFrom }",
    "reports(limit: 100) { reporter }",
    "problems(limit: 100) { detail }",
    "emailRoutingAdaptive(limit: 100) { from to }",
    "emailRoutingAdaptiveGroups(limit: 100) { count }",
    "__typename",
    "settings { sources { enabled } }",
    "zoneTag name rua",
)


@pytest.mark.parametrize("node", NODES)
async def test_anothers_zone_is_refused_like_one_that_is_not(place: Any, node: str) -> None:
    """By tag, in a list with my own, by variable, by fragment: the same 403 as for a zone that nobody has."""
    mine = place.mine.domains["a.example"].id
    answers = []
    for theirs in (place.theirs.domains["their.example"].id, "f" * 32):
        queries: list[tuple[str, dict[str, Any]]] = [
            (f'{{ viewer {{ zones(filter: {{zoneTag: "{theirs}"}}) {{ {node} }} }} }}', {}),
            (f'{{ viewer {{ zones(filter: {{zoneTag_in: ["{mine}", "{theirs}"]}}) {{ {node} }} }} }}', {}),
            (f"query($z: string) {{ viewer {{ zones(filter: {{zoneTag: $z}}) {{ {node} }} }} }}", {"z": theirs}),
            (
                f"query($f: ZoneFilter_InputObject) {{ viewer {{ zones(filter: $f) {{ ...F }} }} }} fragment F on zone {{ {node} }}",
                {"f": {"zoneTag": theirs}},
            ),
            (
                f'{{ viewer {{ ok: zones(filter: {{zoneTag: "{mine}"}}) {{ {node} }} zones(filter: {{zoneTag: "{theirs}"}}) {{ {node} }} }} }}',
                {},
            ),
        ]
        for query, variables in queries:
            status, message, path = await place.mine.refused(query, variables)
            assert path[:2] == ["viewer", "zones"]
            answers.append((status, message))
    assert set(answers) == {(403, "does not have access to the path")}


async def test_anothers_account_is_refused(place: Any) -> None:
    for tag in (place.theirs.account_id, "f" * 32, place.mine.account_id.upper(), ""):
        for node in (*NODES[:-1], "domains(limit: 10) { name }"):
            status, message, _ = await place.mine.refused(
                f'{{ viewer {{ accounts(filter: {{accountTag: "{tag}"}}) {{ {node} }} }} }}'
            )
            assert (status, message) == (403, "not authorized for that account")


@pytest.mark.parametrize(
    "filter_",
    [
        '{zoneTag: "THEIRS"}', '{zoneTag_in: ["THEIRS"]}', '{zoneTag_neq: "x"}', '{zoneTag_gt: ""}', '{zoneTag_like: "%"}',
        '{OR: [{zoneTag: "THEIRS"}, {zoneTag_neq: ""}]}', '{OR: [{headerFrom_like: "%"}, {zoneTag: "THEIRS"}]}', "{AND: []}", "{OR: [{}]}",
        """{headerFrom: "x') OR 1=1 OR ('"}""", '{headerFrom: "\\\\\\\\\') OR 1=1 --"}', '{headerFrom_like: "%\\\\"}', '{headerFrom: "{p0:String}"}',
        '{sourceIP_in: ["1\'] ) OR (1=1", "\\\\"]}', '{dkimDomains_hasany: ["\'], [1]) OR (1=1"]}', '{reporter_geq: ""}',
    ],
)  # fmt: skip
async def test_no_filter_leads_outside(place: Any, filter_: str) -> None:
    """Whatever a filter says, the account and its zones stand around it."""
    theirs = place.theirs.domains["their.example"].id
    asked = GROUPS.replace("limit: 100", f"limit: 100, filter: {filter_.replace('THEIRS', theirs)}")
    for scope in (None, "a.example", "b.example"):
        rows = await place.mine.node(asked, scope)
        assert SECRET not in str(rows)
        assert sum(row["count"] for row in rows) <= len(place.mine.rows)


async def test_each_sees_its_own_and_the_whole_of_it(place: Any) -> None:
    for party in (place.mine, place.theirs):
        rows = await party.node("dmarcReportsSourcesAdaptiveGroups(limit: 1) { count sum { totalMatchingMessages } }")
        assert rows == [
            {"count": len(party.rows), "sum": {"totalMatchingMessages": sum(row["count"] for row in party.rows)}}
        ]
    zones = await place.mine.ask('{ viewer { zones(filter: {zoneTag_gt: ""}) { name } } }')
    assert {zone["name"] for zone in zones["viewer"]["zones"]} == {"a.example", "b.example", "c.example"}


async def test_a_token_for_one_domain_sees_no_other(place: Any) -> None:
    """A token that is limited to a domain: the other zones are not there, and the account is that domain only."""
    domain, other = place.mine.domains["a.example"], place.mine.domains["b.example"]
    secret, _ = await place.accounts.create_token(place.mine.account_id, "read", domains=[domain.id])
    query = f'{{ viewer {{ accounts(filter: {{accountTag: "{place.mine.account_id}"}}) {{ {GROUPS} domains(limit: 10) {{ name }} }} zones(filter: {{zoneTag_gt: ""}}) {{ name }} }} }}'
    viewer = (await place.mine.post(query, token=secret)).json()["data"]["viewer"]
    (account,) = viewer["accounts"]
    assert sum(group["count"] for group in account["dmarcReportsSourcesAdaptiveGroups"]) == sum(
        row["zone"] == domain.id for row in place.mine.rows
    )
    assert account["domains"] == [{"name": "a.example"}] == viewer["zones"]
    answer = await place.mine.post(
        f'{{ viewer {{ zones(filter: {{zoneTag: "{other.id}"}}) {{ name }} }} }}', token=secret
    )
    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (403, "does not have access to the path")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic YTpi", "Bearer " + "x" * 5000])
async def test_no_or_a_wrong_token_is_401(place: Any, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = await place.mine.client.post("/client/v4/graphql", json={"query": "{ __typename }"}, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["message"], answer.json()["data"]) == (
        401,
        "Unauthorized",
        None,
    )
    assert answer.headers["www-authenticate"] == 'Bearer realm="dmarcworks"'


def zones(inside: str, tag: str = "TAG") -> str:
    return f'{{ viewer {{ zones(filter: {{zoneTag: "{tag}"}}) {{ {inside} }} }} }}'


NODE = "dmarcReportsSourcesAdaptiveGroups"
WRONG = {
    "unknown field": (zones(f"{NODE}(limit: 1) {{ nope }}"), 400, 'unknown field "nope"', ["viewer", "zones", "0", NODE, "nope"]),
    "unknown node": (zones("nope { a }"), 400, 'unknown field "nope"', ["viewer", "zones", "0", "nope"]),
    "a near name is named": (zones(f"{NODE}(limit: 1) {{ sum {{ totalMatchingMessage }} }}"), 400, 'unknown field "totalMatchingMessage"; did you mean \'totalMatchingMessages\'?', ["viewer", "zones", "0", NODE, "sum", "totalMatchingMessage"]),
    "a scalar with selections": (zones(f"{NODE}(limit: 1) {{ count {{ a }} }}"), 400, "scalar fields must have no selections", ["viewer", "zones", "0", NODE, "count"]),
    "an object without": (zones(f"{NODE}(limit: 1) {{ sum }}"), 400, "object field must have selections", ["viewer", "zones", "0", NODE, "sum"]),
    "limit 0": (zones(f"x: {NODE}(limit: 0) {{ count }}"), 400, "limit must be positive number and not greater than 10000", ["viewer", "zones", "0", "x"]),
    "limit -1": (zones(f"{NODE}(limit: -1) {{ count }}"), 400, "limit must be positive number and not greater than 10000", ["viewer", "zones", "0", NODE]),
    "limit 10001": (zones(f"{NODE}(limit: 10001) {{ count }}"), 400, "limit must be positive number and not greater than 10000", ["viewer", "zones", "0", NODE]),
    "limit 1.5": (zones(f"{NODE}(limit: 1.5) {{ count }}"), 400, "limit must be positive number and not greater than 10000", ["viewer", "zones", "0", NODE]),
    "no limit": (zones(f"{NODE} {{ count }}"), 400, "error parsing args", ["viewer", "zones", "0", NODE]),
    "a filter that is not": (zones(f"{NODE}(limit: 1, filter: {{nope: 1}}) {{ count }}"), 400, "error parsing args", ["viewer", "zones", "0", NODE]),
    "a value of another kind": (zones(f'{NODE}(limit: 1, filter: {{date_geq: "yesterday"}}) {{ count }}'), 400, "error parsing args: date_geq must be a day like 2026-03-04", ["viewer", "zones", "0", NODE]),
    "a day that is not": (zones(f'{NODE}(limit: 1, filter: {{date_geq: "2026-02-30"}}) {{ count }}'), 400, "error parsing args: date_geq must be a day like 2026-03-04", ["viewer", "zones", "0", NODE]),
    "null": (zones(f"{NODE}(limit: 1, filter: {{date_geq: null}}) {{ count }}"), 400, "error parsing args: date_geq must not be null", ["viewer", "zones", "0", NODE]),
    "an order that is not": (zones(f"{NODE}(limit: 1, orderBy: [nope_ASC]) {{ count }}"), 400, "error parsing args", ["viewer", "zones", "0", NODE]),
    "an order by what is not grouped": (zones(f"{NODE}(limit: 1, orderBy: [sourceIP_ASC]) {{ count }}"), 400, "error parsing args: to order by sourceIP, select it under dimensions", ["viewer", "zones", "0", NODE]),
    "no filter of zones": ("{ viewer { zones { zoneTag } } }", 400, "error parsing args: zones needs a filter", ["viewer", "zones"]),
    "two filters of zones": ('{ viewer { zones(filter: {zoneTag: "a", zoneTag_gt: "b"}) { zoneTag } } }', 400, "error parsing args: zones needs a filter with one of", ["viewer", "zones"]),
    "no account": ("{ viewer { accounts { accountTag } } }", 400, "error parsing args: accounts needs a filter", ["viewer", "accounts"]),
    "11 zones": ("{ viewer { zones(filter: {zoneTag_in: [" + ", ".join(f'"{n}"' for n in range(11)) + "]}) { zoneTag } } }", 400, "number of zones can't be more than 10", ["viewer", "zones"]),
    "no query": ("", 400, "error parsing body: there is no query", None),
    "no text": (7, 400, "error parsing body: there is no query", None),
    "no GraphQL": ("SELECT 1", 400, "error parsing query: Syntax Error", None),
    "a mutation": ("mutation { viewer { budget } }", 400, "", None),
    "a subscription": ("subscription { viewer { budget } }", 400, "", None),
    "a missing variable": ("query($z: string!) { viewer { zones(filter: {zoneTag: $z}) { zoneTag } } }", 400, "error parsing args: Variable '$z'", None),
    "an unknown variable": ("{ viewer { zones(filter: {zoneTag: $z}) { zoneTag } } }", 400, "Variable '$z' is not defined", ["viewer", "zones"]),
    "two operations": ("query A { viewer { budget } } query B { viewer { budget } }", 400, "operationName must name the operation", None),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
async def test_what_is_wrong_is_said_in_the_originals_words(place: Any, case: str) -> None:
    query, status, message, path = WRONG[case]
    if isinstance(query, str):
        query = query.replace("TAG", place.mine.domains["a.example"].id)
    found_status, found_message, found_path = await place.mine.refused(query)
    assert (found_status, found_path) == (status, path), found_message
    assert found_message.startswith(message)


async def test_one_failing_node_fails_the_whole_query(place: Any) -> None:
    query = zones(
        f"good: {NODE}(limit: 1) {{ count }} bad: {NODE}(limit: 0) {{ count }}", place.mine.domains["a.example"].id
    )
    assert await place.mine.refused(query) == (
        400,
        "limit must be positive number and not greater than 10000",
        ["viewer", "zones", "0", "bad"],
    )


def fragments(number: int) -> str:
    """Each fragment holds the next one twice."""
    chain = " ".join(f"fragment F{n} on viewer {{ ...F{n + 1} a{n}: budget ...F{n + 1} }}" for n in range(number))
    return f"{{ viewer {{ ...F0 }} }} {chain} fragment F{number} on viewer {{ budget }}"


BOMBS: dict[str, tuple[Any, Any]] = {
    "a node 1,000 times": (zones(" ".join(f"n{n}: {NODE}(limit: 10000) {{ count }}" for n in range(1000))), {}),
    "21 nodes": (zones(" ".join(f"n{n}: {NODE}(limit: 1) {{ count }}" for n in range(21))), {}),
    "zones 500 times": ("{ viewer { " + " ".join(f'z{n}: zones(filter: {{zoneTag: "TAG"}}) {{ {NODE}(limit: 10000) {{ count }} }}' for n in range(500)) + " } }", {}),
    "a field 1,000 times": (zones(f"{NODE}(limit: 1) {{ {' '.join(f'c{n}: count' for n in range(1000))} }}"), {}),
    "101 fields": (zones(f"{NODE}(limit: 1) {{ {' '.join(f'c{n}: count' for n in range(101))} }}"), {}),
    "the same field 20,000 times": (zones(f"{NODE}(limit: 1) {{ {'count ' * 4000} }}"), {}),
    "too much together": (zones(" ".join(f"n{n}: {NODE}(limit: 10000) {{ {' '.join(f'c{m}: count' for m in range(20))} }}" for n in range(6))), {}),
    "200 deep": ("{" * 200 + "a" + "}" * 200, {}),
    "11 deep": ("{ viewer { zones { a { b { c { d { e { f { g { h } } } } } } } } } }", {}),
    "50,000 braces": ("{a" * 20_000, {}),
    "a fragment inside itself": ("{ viewer { ...A } } fragment A on viewer { budget ...A }", {}),
    "fragments in a circle": ("{ viewer { ...A } } fragment A on viewer { ...B } fragment B on viewer { budget ...C } fragment C on viewer { ...A }", {}),
    "fragments that double": (fragments(40), {}),
    "1,000 fragments": (fragments(1000), {}),
    "a long query": (zones(f"{NODE}(limit: 1) {{ count }} # {'x' * 70_000}"), {}),
    "many comments": ("#\n" * 5000 + "{ viewer { budget } }", {}),
    "many directives": ("{ viewer { budget " + "@skip(if: false) " * 2000 + "} }", {}),
    "a long list": ("query($i: [String!]) { viewer { zones(filter: {zoneTag: \"TAG\"}) { sources(limit: 1, filter: {sourceIP_in: $i}) { messages } } } }", {"i": ["1"] * 20_000}),
    "a long text": ("query($i: String) { viewer { zones(filter: {zoneTag: \"TAG\"}) { sources(limit: 1, filter: {sourceIP: $i}) { messages } } } }", {"i": "1" * 200_000}),
    "many conditions": ("query($i: ZoneSourcesFilter_InputObject) { viewer { zones(filter: {zoneTag: \"TAG\"}) { sources(limit: 1, filter: $i) { messages } } } }", {"i": {"AND": [{"dkim": "x"}] * 3000}}),
    "the schema 30 times": ("{" + " ".join(f"s{n}: __schema {{ types {{ name fields {{ name type {{ name }} }} inputFields {{ name type {{ name ofType {{ name }} }} }} }} }}" for n in range(30)) + "}", {}),
    "the schema in circles": ("{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }", {}),
    "the schema's lists many times": ("{ __schema { types {" + " ".join(f"i{n}: inputFields {{ name description }}" for n in range(250)) + "} } }", {}),
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_bomb_is_refused_at_once(place: Any, bomb: str) -> None:
    """Refused before any store is asked; a neighbour's question is answered meanwhile."""
    query, variables = BOMBS[bomb]
    before = len(place.asked)
    question = query.replace("TAG", place.mine.domains["a.example"].id)
    # An unbounded one takes minutes: this is how long the test waits for it.
    async with asyncio.timeout(60):
        status, message, _ = await place.mine.refused(question, variables)
    assert status in (400, 413), message
    assert len(message) < 500
    assert len(place.asked) == before


@pytest.mark.parametrize(
    "attack", ["SELECT file('{path}')", "SELECT 1 INTO OUTFILE '{path}.new'", "SYSTEM STOP MERGES"]
)
async def test_a_statement_that_does_more_than_read_is_refused(
    place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: str
) -> None:
    """Whatever a query were made into: what reads a file or writes one does not run."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    written = attack.replace("{path}", str(secret))
    monkeypatch.setattr(stores, "statement", lambda question, dialect: (written, BoundValue()))
    tag = place.mine.domains["a.example"].id
    status, message, _ = await place.mine.refused(f'{{viewer{{zones(filter:{{zoneTag:"{tag}"}}){{n:{GROUPS}}}}}}}')
    assert (status, message) == (503, "unable to execute query, please try again later")
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


async def test_deep_variables_are_refused(place: Any) -> None:
    nested: Any = {"dkim": "pass"}
    for _ in range(60):
        nested = {"OR": [nested]}
    query = 'query($f: ZoneSourcesFilter_InputObject) { viewer { zones(filter: {zoneTag: "x"}) { sources(limit: 1, filter: $f) { messages } } } }'
    assert (await place.mine.refused(query, {"f": nested}))[:2] == (
        400,
        "error parsing args: variables are more than 15 deep",
    )
    headers = {"Authorization": f"Bearer {place.mine.token}"}
    for body in (
        b'{"query": "{ viewer { budget } }", "variables": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
        b"[" * 100_000,
        b"\xff",
        b"{",
        b"7",
    ):
        answer = await place.mine.client.post("/client/v4/graphql", content=body, headers=headers)
        assert (answer.status_code, answer.json()["data"]) == (400, None), answer.text[:200]


async def test_lists_of_queries_and_large_bodies_are_refused(place: Any) -> None:
    headers = {"Authorization": f"Bearer {place.mine.token}"}
    answer = await place.mine.client.post(
        "/client/v4/graphql", json=[{"query": "{ viewer { budget } }"}] * 1000, headers=headers
    )
    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (
        400,
        "error parsing body: one query a request, no list of them",
    )
    answer = await place.mine.client.post(
        "/client/v4/graphql", content=b'{"query": "' + b" " * 300_000, headers=headers
    )
    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (413, "the body is longer than 262144 bytes")
