"""Who knows the original's GraphQL API finds it here: its query, its nodes, operators, orders, and exact values."""

# ruff: noqa: E501 - a query stands whole on its line
from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from graphql import build_client_schema, get_introspection_query

from tests.support.graphs import BEGIN

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENTS_QUERY = """query DmarcSources($zone: String!, $since: Date!) { viewer { zones(filter: {zoneTag: $zone}) {
  dmarcReportsSourcesAdaptiveGroups(limit: 200, filter: {date_geq: $since}, orderBy: [sum_totalMatchingMessages_DESC]) {
    dimensions { sourceOrgName headerFrom sourceIP spf dkim disposition }
    sum { totalMatchingMessages dmarc spfPass dkimPass } } } } }"""


async def test_the_clients_query_runs_unchanged(place: Any) -> None:
    rows = [
        row
        for row in place.mine.rows
        if row["zone"] == place.mine.domains["a.example"].id and row["date"] >= "2026-03-04"
    ]
    groups: dict[tuple[str, ...], Counter[str]] = {}
    for row in rows:
        sums = groups.setdefault(("", row["from"], row["ip"], row["spf"], row["dkim"], row["disposition"]), Counter())
        sums["totalMatchingMessages"] += row["count"]
        sums["dmarc"] += row["count"] * (row["dmarc"] == "pass")
        sums["spfPass"] += row["count"] * (row["spf"] == "pass")
        sums["dkimPass"] += row["count"] * (row["dkim"] == "pass")
    wanted = sorted(
        groups.items(), key=lambda item: (-item[1]["totalMatchingMessages"], *(text.encode() for text in item[0]))
    )
    data = await place.mine.ask(CLIENTS_QUERY, {"zone": place.mine.domains["a.example"].id, "since": "2026-03-04"})
    names = ("sourceOrgName", "headerFrom", "sourceIP", "spf", "dkim", "disposition")
    assert data == {
        "viewer": {
            "zones": [
                {
                    "dmarcReportsSourcesAdaptiveGroups": [
                        {
                            "dimensions": dict(zip(names, key, strict=True)),
                            "sum": {
                                name: sums[name] for name in ("totalMatchingMessages", "dmarc", "spfPass", "dkimPass")
                            },
                        }
                        for key, sums in wanted
                    ]
                }
            ]
        }
    }


@pytest.mark.parametrize("kind", ["String!", "string!", "String", "string", "ID!"])
async def test_variables_have_the_types_that_clients_declare(place: Any, kind: str) -> None:
    """`$zone: string`, `$since: String`, `$limit: Int`: whatever scalar a client declares, its value decides."""
    for day, number in (("Date!", "uint64!"), ("String", "Int!"), ("string!", "uint32"), ("Time", "Float")):
        query = f"""query($zone: {kind}, $since: {day}, $limit: {number}) {{ viewer {{ zones(filter: {{zoneTag: $zone}}) {{
            dmarcReportsSourcesAdaptiveGroups(limit: $limit, filter: {{AND: [{{date_geq: $since}}, {{date_leq: "2026-12-31"}}]}}) {{ count }} }} }} }}"""
        data = await place.mine.ask(
            query, {"zone": place.mine.domains["a.example"].id, "since": "2000-01-01", "limit": 10}
        )
        wanted = sum(row["zone"] == place.mine.domains["a.example"].id for row in place.mine.rows)
        assert data["viewer"]["zones"] == [{"dmarcReportsSourcesAdaptiveGroups": [{"count": wanted}]}]


async def test_the_watchdogs_query(place: Any) -> None:
    """Days as dimension and order, avg, uniq and aliases of nodes and fields, as live clients ask them."""
    query = """query($zoneTag: string!, $filter: ZoneDmarcReportsSourcesAdaptiveGroupsFilter_InputObject) { viewer { zones(filter: {zoneTag: $zoneTag}) {
      byDay: dmarcReportsSourcesAdaptiveGroups(limit: 10000, filter: $filter, orderBy: [datetimeDay_DESC]) {
        sum { total: totalMatchingMessages } avg { dmarc dkimPass spfPass } uniq { ipCount } dimensions { ts: datetimeDay } }
      total: dmarcReportsSourcesAdaptiveGroups(limit: 1, filter: $filter) { sum { totalMatchingMessages } uniq { ipCount } } } } }"""
    mine = [
        row
        for row in place.mine.rows
        if row["zone"] == place.mine.domains["b.example"].id and row["date"] > "2026-03-02"
    ]
    data = await place.mine.ask(
        query,
        {
            "zoneTag": place.mine.domains["b.example"].id,
            "filter": {"date_gt": "2026-03-02", "sourceOrgSlug_notin": ["google"]},
        },
    )
    (zone,) = data["viewer"]["zones"]
    days = sorted({row["date"] for row in mine}, reverse=True)
    assert [group["dimensions"]["ts"] for group in zone["byDay"]] == [f"{day}T00:00:00Z" for day in days]
    for group, day in zip(zone["byDay"], days, strict=True):
        rows = [row for row in mine if row["date"] == day]
        total = sum(row["count"] for row in rows)
        assert group["sum"] == {"total": total}
        assert group["uniq"] == {"ipCount": len({row["ip"] for row in rows})}
        for name, key in (("dmarc", "dmarc"), ("dkimPass", "dkim"), ("spfPass", "spf")):
            passed = sum(row["count"] for row in rows if row[key] == "pass")
            assert group["avg"][name] == pytest.approx(passed / total)
    assert zone["total"] == [
        {
            "sum": {"totalMatchingMessages": sum(row["count"] for row in mine)},
            "uniq": {"ipCount": len({row["ip"] for row in mine})},
        }
    ]


async def test_rows_are_the_records_with_absent_values_null(place: Any) -> None:
    rows = await place.mine.node(
        "dmarcReportsAdaptive(limit: 10000) { zoneTag zoneName date datetime reportKey recordIndex reporter headerFrom sourceIP totalMatchingMessages dmarc dkim spf disposition dkimDomains reasonTypes percent begin }"
    )
    wanted = sorted(place.mine.rows, key=lambda row: (row["date"], row["key"], row["index"]))
    assert [(row["reportKey"], row["recordIndex"]) for row in rows] == [(row["key"], row["index"]) for row in wanted]
    for row, known in zip(rows, wanted, strict=True):
        assert row["headerFrom"] == known["raw_from"]
        assert (row["sourceIP"], row["totalMatchingMessages"], row["dmarc"]) == (
            known["ip"],
            known["count"],
            known["dmarc"],
        )
        assert (row["dkim"] or "", row["spf"] or "", row["disposition"] or "") == (
            known["dkim"],
            known["spf"],
            known["disposition"],
        )
        assert (row["dkimDomains"], row["reasonTypes"], row["percent"]) == (
            known["dkimDomains"],
            known["reasonTypes"],
            None,
        )
        assert row["datetime"] == row["begin"]


async def test_zones_by_tag_by_list_and_in_order(place: Any) -> None:
    """Several domains are asked by one statement, and each has its own limit and order."""
    tags = {name: domain.id for name, domain in place.mine.domains.items()}
    node = "dmarcReportsSourcesAdaptiveGroups(limit: 2, orderBy: [sum_totalMatchingMessages_DESC, count_ASC]) { dimensions { sourceIP } sum { totalMatchingMessages } }"
    before = len(place.asked)
    listed = [tags["c.example"], tags["a.example"], tags["b.example"]]
    data = await place.mine.ask(
        f"query($in: [string!]) {{ viewer {{ zones(filter: {{zoneTag_in: $in}}) {{ zoneTag name {node} }} }} }}",
        {"in": listed},
    )
    assert len(place.asked) == before + 1
    zones = data["viewer"]["zones"]
    assert [zone["name"] for zone in zones] == ["c.example", "a.example", "b.example"]
    for zone in zones:
        sums: Counter[str] = Counter()
        for row in place.mine.rows:
            if row["zone"] == zone["zoneTag"]:
                sums[row["ip"]] += row["count"]
        best = sorted(sums.values(), reverse=True)[:2]
        assert [group["sum"]["totalMatchingMessages"] for group in zone["dmarcReportsSourcesAdaptiveGroups"]] == best
    after = await place.mine.ask('{ viewer { zones(filter: {zoneTag_gt: ""}, limit: 2) { zoneTag } } }')
    assert [zone["zoneTag"] for zone in after["viewer"]["zones"]] == sorted(tags.values())[:2]
    last = sorted(tags.values())[-1]
    assert await place.mine.ask(
        "query($t: String) { viewer { zones(filter: {zoneTag_gt: $t}) { zoneTag n: sources(limit: 1) { messages } } } }",
        {"t": last},
    ) == {"viewer": {"zones": []}}


async def test_a_node_is_one_statement_and_the_same_node_twice_too(place: Any) -> None:
    before = len(place.asked)
    await place.mine.node(
        "dmarcReportsSourcesAdaptiveGroups(limit: 9) { count sum { dmarc quarantined } avg { dmarc } uniq { reports reporters } quantiles { messagesP50 } dimensions { date sourceIP dmarc } }"
    )
    assert len(place.asked) == before + 1
    node = "dmarcReportsSourcesAdaptiveGroups(limit: 9) { count }"
    await place.mine.ask(
        f'{{ viewer {{ zones(filter: {{zoneTag: "{place.mine.domains["a.example"].id}"}}) {{ a: {node} b: {node} }} }} }}'
    )
    assert len(place.asked) == before + 2


async def test_fragments_directives_and_typenames(place: Any) -> None:
    query = """query Q($zone: String!, $no: Boolean!) { __typename viewer { __typename zones(filter: {zoneTag: $zone}) { __typename ...Z } } }
      fragment Z on zone { dmarcReportsSourcesAdaptiveGroups(limit: 1) { ...G ... on ZoneDmarcReportsSourcesAdaptiveGroups { __typename sum { dmarc } } } }
      fragment G on ZoneDmarcReportsSourcesAdaptiveGroups { count @skip(if: $no) sum { totalMatchingMessages @include(if: $no) __typename } }"""
    rows = [row for row in place.mine.rows if row["zone"] == place.mine.domains["a.example"].id]
    data = await place.mine.ask(query, {"zone": place.mine.domains["a.example"].id, "no": True})
    assert data == {
        "__typename": "Query",
        "viewer": {
            "__typename": "viewer",
            "zones": [
                {
                    "__typename": "zone",
                    "dmarcReportsSourcesAdaptiveGroups": [
                        {
                            "sum": {
                                "totalMatchingMessages": sum(row["count"] for row in rows),
                                "__typename": "ZoneDmarcReportsSourcesAdaptiveGroupsSum",
                                "dmarc": sum(row["count"] for row in rows if row["dmarc"] == "pass"),
                            },
                            "__typename": "ZoneDmarcReportsSourcesAdaptiveGroups",
                        }
                    ],
                }
            ],
        },
    }


async def test_settings_name_the_limits(place: Any) -> None:
    data = await place.mine.ask(
        f'{{ viewer {{ budget zones(filter: {{zoneTag: "{place.mine.domains["a.example"].id}"}}) {{ settings {{ dmarcReportsSourcesAdaptiveGroups {{ enabled availableFields maxPageSize maxNumberOfFields notOlderThan maxDuration }} }} }} }} }}'
    )
    found = data["viewer"]["zones"][0]["settings"]["dmarcReportsSourcesAdaptiveGroups"]
    assert (found["enabled"], found["maxPageSize"], found["maxNumberOfFields"]) == (True, 10_000, 100)
    assert {"count", "sum_totalMatchingMessages", "dimensions_sourceIP", "uniq_ipCount", "avg_dmarc"} <= set(
        found["availableFields"]
    )
    assert found["notOlderThan"] == found["maxDuration"] > BEGIN
    assert data["viewer"]["budget"] > 0


async def test_introspection_answers_each_its_own(place: Any) -> None:
    """The schema is told again as it was, with the asker's own figures beside it, and by the variables of each."""
    query = "query Q($name: String!) { __type(name: $name) { name } viewer { accounts(filter: {accountTag: %s}) { accountTag } } }"
    for _ in range(2):
        for who in (place.mine, place.theirs):
            for name in ("zone", "account"):
                text = query % json.dumps(who.account_id)
                data = await who.ask(text, {"name": name})
                assert data == {"__type": {"name": name}, "viewer": {"accounts": [{"accountTag": who.account_id}]}}


async def test_introspection_is_whole(place: Any) -> None:
    """A client's own introspection builds the schema, and it names the original's nodes on a zone."""
    schema = build_client_schema(await place.mine.ask(get_introspection_query()))
    data = await place.mine.ask('{ __type(name: "zone") { name fields { name description } } }')
    names = {field["name"] for field in data["__type"]["fields"]}
    assert {
        "dmarcReportsSourcesAdaptiveGroups",
        "dmarcReportsAdaptive",
        "emailRoutingAdaptive",
        "settings",
        "zoneTag",
    } <= names
    assert schema.get_type("ZoneDmarcReportsSourcesAdaptiveGroupsFilter_InputObject")


async def test_sources_and_senders_have_their_figures(place: Any) -> None:
    """Our own nodes: one row per source, the sums those of the records."""
    rows = [row for row in place.mine.rows if row["zone"] == place.mine.domains["a.example"].id]
    found = await place.mine.node(
        "sources(limit: 100, orderBy: [sourceIP_ASC]) { sourceIP messages passed dmarcFail dkimPass spfPass quarantined rejected reports firstDate lastDate sourceOrgName }",
        "a.example",
    )
    assert [source["sourceIP"] for source in found] == sorted({row["ip"] for row in rows})
    for source in found:
        own = [row for row in rows if row["ip"] == source["sourceIP"]]
        assert source["messages"] == sum(row["count"] for row in own)
        assert source["passed"] == sum(row["count"] for row in own if row["dmarc"] == "pass")
        assert source["rejected"] == sum(row["count"] for row in own if row["disposition"] == "reject")
        assert source["reports"] == len({row["key"] for row in own})
        assert (source["firstDate"], source["lastDate"]) == (
            min(row["date"] for row in own),
            max(row["date"] for row in own),
        )
    senders = await place.mine.node(
        'senders(limit: 10, filter: {dmarc: "pass"}) { sourceOrgName sources messages }', "a.example"
    )
    passed = [row for row in rows if row["dmarc"] == "pass"]
    assert senders == [
        {
            "sourceOrgName": "",
            "sources": len({row["ip"] for row in passed}),
            "messages": sum(row["count"] for row in passed),
        }
    ]
