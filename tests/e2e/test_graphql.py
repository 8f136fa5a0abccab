"""GraphQL on the real process: the queries of live clients run unchanged over reports that came in by SMTP."""

# ruff: noqa: E501 - a query stands whole on its line
from __future__ import annotations

import datetime as dt
import json
import urllib.error
import urllib.request
from collections import Counter
from typing import Any

import pytest

from tests.support.mails import DAY, report_mail
from tests.support.system import System

YESTERDAY = int(dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()) - DAY
SENT = {
    ("google.com", 0): [("192.0.2.1", 30, "pass", "pass"), ("198.51.100.7", 5, "fail", "fail")],
    ("Yahoo", 1): [("192.0.2.1", 7, "pass", "fail"), ("2001:db8::1", 1, "fail", "pass")],
    ("outlook.com", 2): [("198.51.100.7", 11, "fail", "fail")],
}
# As clients in the wild send them: a PHP library, a Node watchdog, a Python report tool.
SOURCES = """query DmarcSources($zone: String!, $since: Date!) { viewer { zones(filter: {zoneTag: $zone}) {
  dmarcReportsSourcesAdaptiveGroups(limit: 200, filter: {date_geq: $since}, orderBy: [sum_totalMatchingMessages_DESC]) {
    dimensions { sourceOrgName headerFrom sourceIP spf dkim disposition }
    sum { totalMatchingMessages dmarc spfPass dkimPass } } } } }"""
DAYS = """query ($zoneTag: string!, $start: Date!, $end: Date!) { viewer { zones(filter: {zoneTag: $zoneTag}) {
  byDay: dmarcReportsSourcesAdaptiveGroups(limit: 10000, orderBy: [datetimeDay_DESC],
    filter: {AND: [{date_gt: $start}, {date_leq: $end}, {sourceOrgSlug_notin: ["nobody"]}]}) {
    sum { dmarc totalMatchingMessages } avg { dmarc dkimPass spfPass } uniq { ipCount } dimensions { datetimeDay } }
  bySource: dmarcReportsSourcesAdaptiveGroups(limit: 10, filter: {date_gt: $start}) {
    dimensions { sourceOrgName sourceOrgSlug } sum { totalMatchingMessages dmarc } } } } }"""


@pytest.fixture(scope="module")
def zone(system: System) -> str:
    """A domain whose reports have come in over SMTP, one of them twice."""
    domain = system.add_domain("example.com")
    mails = [
        report_mail(f"{org}-{back}", org_name=org, begin=YESTERDAY - back * DAY, records=records)
        for (org, back), records in SENT.items()
    ]
    assert system.send(domain["rua"], *mails, mails[0]) == [(250, "")] * 4
    system.settle()
    return str(domain["domain_id"])


def ask(system: System, query: str, variables: Any = None, token: str = "") -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{system.http}/client/v4/graphql",
        data=json.dumps({"query": query, "variables": variables}).encode(),
        headers={"Authorization": f"Bearer {token or system.token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def day(back: int) -> str:
    return dt.datetime.fromtimestamp(YESTERDAY - back * DAY, dt.UTC).date().isoformat()


def test_the_sources_query_runs_unchanged(system: System, zone: str) -> None:
    status, body = ask(system, SOURCES, {"zone": zone, "since": day(1)})
    assert (status, body["errors"]) == (200, None)
    rows = body["data"]["viewer"]["zones"][0]["dmarcReportsSourcesAdaptiveGroups"]
    wanted = sorted(
        (record for (_, back), records in SENT.items() if back <= 1 for record in records),
        key=lambda record: -record[1],
    )
    assert [
        (
            row["dimensions"]["sourceIP"],
            row["sum"]["totalMatchingMessages"],
            row["dimensions"]["dkim"],
            row["dimensions"]["spf"],
        )
        for row in rows
    ] == wanted
    assert {row["dimensions"]["headerFrom"] for row in rows} == {"example.com"}
    assert sum(row["sum"]["dmarc"] for row in rows) == 38
    sums = system.sql(
        "SELECT SUM(double8) AS n, SUM(if(double9 = 1 OR double10 = 1, double8, 0)) AS passed, SUM(double9 * double8) AS dkim,"
        f" SUM(double10 * double8) AS spf FROM dmarc_reports WHERE double1 >= {YESTERDAY - DAY}"
    )[0]
    names = {"n": "totalMatchingMessages", "passed": "dmarc", "dkim": "dkimPass", "spf": "spfPass"}
    assert {key: sum(row["sum"][name] for row in rows) for key, name in names.items()} == {
        key: int(value) for key, value in sums.items()
    }


def test_the_days_query_runs_unchanged(system: System, zone: str) -> None:
    status, body = ask(system, DAYS, {"zoneTag": zone, "start": day(9), "end": day(0)})
    assert (status, body["errors"]) == (200, None)
    (found,) = body["data"]["viewer"]["zones"]
    assert [(group["dimensions"]["datetimeDay"], group["sum"]["totalMatchingMessages"], group["uniq"]["ipCount"]) for group in found["byDay"]] == [
        (f"{day(0)}T00:00:00Z", 35, 2), (f"{day(1)}T00:00:00Z", 8, 2), (f"{day(2)}T00:00:00Z", 11, 1),
    ]  # fmt: skip
    assert [group["avg"]["dmarc"] for group in found["byDay"]] == [30 / 35, 1.0, 0.0]
    assert sum(group["sum"]["totalMatchingMessages"] for group in found["bySource"]) == 54


def test_what_came_in_is_listed_with_its_duplicates_counted_once(system: System, zone: str) -> None:
    """Our own nodes, over the catalogue: three reports, no problem, and each mail at the front door."""
    query = f"""{{ viewer {{ accounts(filter: {{accountTag: "{system.account_id}"}}) {{ domains(limit: 10) {{ name zoneTag }}
      reports(limit: 10, orderBy: [date_DESC]) {{ reporter messages state kind }} problems(limit: 10) {{ reason }}
      sources(limit: 10, orderBy: [messages_DESC]) {{ sourceIP messages passed }} tls(limit: 10) {{ policyType }} }} }} }}"""
    status, body = ask(system, query)
    assert (status, body["errors"]) == (200, None)
    (account,) = body["data"]["viewer"]["accounts"]
    assert account["domains"] == [{"name": "example.com", "zoneTag": zone}]
    assert [(row["reporter"], row["messages"], row["state"], row["kind"]) for row in account["reports"]] == [
        ("google.com", 35, "counted", "aggregate"), ("Yahoo", 8, "counted", "aggregate"), ("outlook.com", 11, "counted", "aggregate"),
    ]  # fmt: skip
    assert (account["problems"], account["tls"]) == ([], [])
    sums: Counter[str] = Counter()
    for records in SENT.values():
        for ip, count, *_ in records:
            sums[ip] += count
    assert {row["sourceIP"]: row["messages"] for row in account["sources"]} == sums


def test_another_tenant_sees_none_of_it(system: System, zone: str) -> None:
    """A second account's token, from outside: the zone is refused, the account is refused, its own is empty."""
    system.json("domain", "add", "other.example", "--account", "other")
    other = system.json("token", "create", "--account", "other")
    status, body = ask(system, SOURCES, {"zone": zone, "since": day(9)}, other["token"])
    assert (status, body["data"], body["errors"][0]["message"]) == (403, None, "does not have access to the path")
    query = '{ viewer { accounts(filter: {accountTag: "%s"}) { dmarcReportsSourcesAdaptiveGroups(limit: 9) { count } reports(limit: 9) { reporter } } } }'
    status, body = ask(system, query % system.account_id, None, other["token"])
    assert (status, body["errors"][0]["message"]) == (403, "not authorized for that account")
    status, body = ask(system, query % other["account_id"], None, other["token"])
    assert body["data"]["viewer"]["accounts"] == [{"dmarcReportsSourcesAdaptiveGroups": [], "reports": []}]


def test_a_token_has_300_queries_in_five_minutes(system: System, zone: str) -> None:
    """The 301st is refused with 429 and told when to come again; another token is not its concern."""
    made = system.json("token", "create")
    answers = [ask(system, "{ viewer { budget } }", None, made["token"]) for _ in range(301)]
    assert [status for status, _ in answers] == [200] * 300 + [429]
    assert [body["data"]["viewer"]["budget"] for _, body in answers[:300]] == list(range(299, -1, -1))
    assert answers[-1][1]["errors"][0]["message"] == "rate limiter budget depleted, try again after 5 minutes"
    assert ask(system, "{ viewer { budget } }")[0] == 200
