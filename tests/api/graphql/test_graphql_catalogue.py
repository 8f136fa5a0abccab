"""Domains, reports, problems and the activity log by GraphQL: what the catalogue says, to its owner only."""

# ruff: noqa: E501 - a query stands whole on its line
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import insert

from dmarcworks.api.graphql.compile import CompiledQuery, Relational, statement
from dmarcworks.api.graphql.filters import condition, order
from dmarcworks.api.graphql.nodes_catalogue import CATALOGUE_NODES
from dmarcworks.catalogue import mail_tables
from dmarcworks.catalogue.arrivals import Arrivals, NewReport
from dmarcworks.catalogue.problems import Problems
from tests.support.graphs import BEGIN, DAY, SECRET, Party, Place

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACTIONS = (
    ("worker", "accepted", ""),
    ("forward", "forwarded", ""),
    ("worker", "rejected", "550 no such address"),
    ("drop", "dropped", ""),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def filled(place: Place) -> None:
    """Reports, problems and mails of both parties, alike but for who they are."""
    for party in (place.mine, place.theirs):
        for domain in party.domains.values():
            await _fill(place, party, domain.id)


async def _fill(place: Place, party: Party, domain_id: str) -> None:
    who = "someone" if party is place.mine else SECRET
    arrivals, problems = Arrivals(place.database), Problems(place.database)
    for number in range(4):
        await arrivals.record_report(
            NewReport(
                account_id=party.account_id, domain_id=domain_id, kind="aggregate" if number else "tls", org_name=who,
                org_email="a@example.net", policy_domain="a.example", report_id=f"R{number}", begin=BEGIN + number * DAY,
                end=BEGIN + (number + 1) * DAY - 1, received=datetime.fromtimestamp(BEGIN + number * DAY + 0.5, UTC), records=number,
                messages=10**number, content=f"{domain_id}{number}", object_key="o", file_name=f"[{number}]*a?.xml", mail_id="m", where="1",
            )
        )  # fmt: skip
        await problems.add(
            account_id=party.account_id, domain_id=domain_id, mail_id=f"{domain_id}{number}", reason="no_report" if number else "gave_up",
            where="1", detail=who, object_key="o",
        )  # fmt: skip
    async with place.database.write() as connection:
        await connection.execute(
            insert(mail_tables.activity),
            [
                {
                    "account_id": party.account_id, "domain_id": domain_id, "mail_id": f"m{number}", "time": BEGIN + number * 1800 + 0.25,
                    "sender": "" if number == 3 else who, "recipient": "rua@reports.example", "peer": "192.0.2.1", "helo": "h", "tls": "", "size": 1,
                    "rule": "r", "action": action, "outcome": outcome, "status": "250", "error": error, "message_id": f"<{number}@x>",
                    "subject": "s", "seconds": 0.1, "spf": "pass", "dkim": "pass", "dmarc": "pass", "arc": "none",
                }
                for number, (action, outcome, error) in enumerate(ACTIONS)
            ],
        )  # fmt: skip


async def test_domains_are_the_accounts_own(place: Any) -> None:
    found = await place.mine.node(
        'domains(limit: 10, filter: {name_like: "%.example", name_neq: "b.example"}, orderBy: [name_DESC]) { zoneTag name rua created }'
    )
    wanted = [place.mine.domains[name] for name in ("c.example", "a.example")]
    assert [(row["zoneTag"], row["name"], row["rua"]) for row in found] == [
        (domain.id, domain.name, domain.rua) for domain in wanted
    ]
    assert all(row["created"].endswith("Z") for row in found)


async def test_reports_of_every_kind(place: Any) -> None:
    fields = "{ kind reportId reporter date begin received records messages fileName state zoneTag }"
    found = await place.mine.node(
        f'reports(limit: 10, filter: {{messages_geq: 10, date_leq: "2026-03-06"}}, orderBy: [date_DESC]) {fields}',
        "a.example",
    )
    zone = place.mine.domains["a.example"].id
    assert found == [
        {"kind": "aggregate", "reportId": f"R{n}", "reporter": "someone", "date": f"2026-03-0{4 + n}", "begin": f"2026-03-0{4 + n}T00:00:00Z",
         "received": f"2026-03-0{4 + n}T00:00:00.500000Z", "records": n, "messages": 10**n, "fileName": f"[{n}]*a?.xml", "state": "counted", "zoneTag": zone}
        for n in (2, 1)
    ]  # fmt: skip
    assert len(await place.mine.node("reports(limit: 100) { reportKey }")) == 12
    by_time = await place.mine.node(
        'reports(limit: 9, filter: {received_gt: "2026-03-05T00:00:00.5Z"}) { reportId }', "a.example"
    )
    assert [row["reportId"] for row in by_time] == ["R2", "R3"]


@pytest.mark.parametrize(
    ("pattern", "number"), [("%", 4), ("[1]%", 1), ("[%]*A?.xml", 0), ("[%]*a?.xml", 4), ("?1%", 0), ("%*%", 4), ("_1%", 0), ("%\\%", 0), ("", 0)]
)  # fmt: skip
async def test_like_takes_percent_for_any_text_and_all_else_for_itself(place: Any, pattern: str, number: int) -> None:
    query = "query($z: string!, $p: String) { viewer { zones(filter: {zoneTag: $z}) { reports(limit: 9, filter: {fileName_like: $p}) { reportId } } } }"
    data = await place.mine.ask(query, {"z": place.mine.domains["a.example"].id, "p": pattern})
    assert len(data["viewer"]["zones"][0]["reports"]) == number


async def test_problems_with_their_reasons(place: Any) -> None:
    found = await place.mine.node(
        'problems(limit: 9, filter: {state: "open", OR: [{reason: "gave_up"}, {id_lt: 0}]}) { reason detail where zoneTag state }',
        "b.example",
    )
    assert found == [
        {
            "reason": "gave_up",
            "detail": "someone",
            "where": "1",
            "zoneTag": place.mine.domains["b.example"].id,
            "state": "open",
        }
    ]


async def test_the_activity_log_by_the_tutorials_query(place: Any) -> None:
    """The original's own two queries over its Email Routing log."""
    query = """query EmailRoutingActivity($zoneTag: string, $filter: ZoneEmailRoutingAdaptiveFilter_InputObject) { viewer { zones(filter: {zoneTag: $zoneTag}) {
        emailRoutingAdaptive(limit: 3, filter: $filter, orderBy: [datetime_DESC]) { datetime id: sessionId messageId from to subject status action spf dkim dmarc arc errorDetail isNDR isSpam spamThreshold spamScore } } } }"""
    variables = {"zoneTag": place.mine.domains["a.example"].id, "filter": {"datetime_geq": "2026-03-04T00:30:00Z"}}
    rows = (await place.mine.ask(query, variables))["viewer"]["zones"][0]["emailRoutingAdaptive"]
    assert [(row["action"], row["status"], row["errorDetail"], row["isNDR"], row["from"]) for row in rows] == [
        ("drop", "dropped", "", 1, ""), ("worker", "rejected", "550 no such address", 0, "someone"), ("forward", "forwarded", "", 0, "someone"),
    ]  # fmt: skip
    assert rows[0] | {"id": ""} == {
        "datetime": "2026-03-04T01:30:00.250000Z", "id": "", "messageId": "<3@x>", "from": "", "to": "rua@reports.example", "subject": "s", "status": "dropped",
        "action": "drop", "spf": "pass", "dkim": "pass", "dmarc": "pass", "arc": "none", "errorDetail": "", "isNDR": 1, "isSpam": None, "spamThreshold": None, "spamScore": None,
    }  # fmt: skip
    groups = await place.mine.node(
        "emailRoutingAdaptiveGroups(limit: 10, orderBy: [count_DESC, datetimeHour_ASC]) { count dimensions { datetimeHour action } }",
        "a.example",
    )
    assert [(group["count"], group["dimensions"]["datetimeHour"], group["dimensions"]["action"]) for group in groups] == [
        (1, "2026-03-04T00:00:00Z", "forward"), (1, "2026-03-04T00:00:00Z", "worker"), (1, "2026-03-04T01:00:00Z", "drop"), (1, "2026-03-04T01:00:00Z", "worker"),
    ]  # fmt: skip
    assert await place.mine.node("emailRoutingAdaptiveGroups(limit: 1) { count }") == [{"count": 12}]
    assert await place.mine.node('emailRoutingAdaptiveGroups(limit: 1, filter: {action: "none"}) { count }') == []


async def test_several_zones_each_have_their_limit(place: Any) -> None:
    tags = [domain.id for domain in place.mine.domains.values()]
    query = "query($z: [string!]) { viewer { zones(filter: {zoneTag_in: $z}) { zoneTag reports(limit: 2, orderBy: [messages_DESC]) { zoneTag messages } problems(limit: 1) { zoneTag } log: emailRoutingAdaptiveGroups(limit: 1, orderBy: [count_DESC]) { count dimensions { action } } } } }"
    zones = (await place.mine.ask(query, {"z": tags}))["viewer"]["zones"]
    assert zones == [
        {"zoneTag": tag, "reports": [{"zoneTag": tag, "messages": 1000}, {"zoneTag": tag, "messages": 100}], "problems": [{"zoneTag": tag}],
         "log": [{"count": 2, "dimensions": {"action": "worker"}}]}
        for tag in tags
    ]  # fmt: skip


async def test_nothing_of_the_neighbour(place: Any) -> None:
    for node in CATALOGUE_NODES:
        names = [field for field in node.fields if field.section in ("", "dimensions") and not field.measure]
        inside = " ".join(field.name for field in names)
        selection = f"dimensions {{ {inside} }}" if node.shape == "groups" else inside
        key = names[0].name if node.name != "problems" else "reason"
        rows = await place.mine.node(
            f'{node.name}(limit: 1000, filter: {{OR: [{{{key}_neq: "2026-01-01T00:00:00Z"}}, {{{key}_neq: "2025-01-01T00:00:00Z"}}]}}) {{ {selection} }}'
        )
        assert rows
        assert SECRET not in str(rows)
        assert place.theirs.account_id not in str(rows)


async def test_postgresql_is_asked_in_its_own_words() -> None:
    """Text byte by byte in any language of the database, whole seconds by floor, values bound."""
    node = next(node for node in CATALOGUE_NODES if node.name == "emailRoutingAdaptiveGroups")
    fields = tuple(field for field in node.fields if field.name in ("datetimeHour", "action"))
    where = condition(node, {"action_gt": "a", "action_like": "a%_"})
    question = CompiledQuery(node, "x", ("z",), False, fields, where, tuple(order(node, ["action_DESC"], fields)), 5)
    sql, bound = statement(question, Relational("postgresql"))
    hour = "CAST(floor(time) AS BIGINT) - CAST(floor(time) AS BIGINT) % 3600"
    assert sql == (
        f"SELECT '' AS zone_, {hour} AS c0, action AS c1 FROM activity"
        ' WHERE (account_id = :p0) AND (domain_id IN :p3) AND ((action COLLATE "C" > :p1) AND (action COLLATE "C" LIKE :p2))'
        f' GROUP BY {hour}, action ORDER BY action COLLATE "C" DESC, {hour} ASC, action COLLATE "C" ASC LIMIT :p4'
    )
    assert bound.values == {"p0": "x", "p1": "a", "p2": "a%\\_", "p3": ["z"], "p4": 5}
