"""From outside, on the real process: a second tenant's token opens nothing of the first one's, and stops nobody."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter

import pytest

from tests.support.attacks import OWN_ROWS_ONLY, REFUSED, SECRET
from tests.support.mails import report_mail
from tests.support.system import System, wait_for


@pytest.fixture(scope="module")
def parties(system: System) -> tuple[tuple[str, str], tuple[str, str]]:
    """(account id, token) of the attacker, with no report, and of the attacked, whose report came by SMTP."""
    found = []
    for account, domain in (("attacker", "attacker.example"), ("attacked", "attacked.example")):
        made = system.json("domain", "add", domain, "--account", account)
        token = system.json("token", "create", "--account", account)
        found.append((made["account_id"], token["token"]))
        system.rua[domain] = made["rua"]
    raw = report_mail("1", org_name=SECRET, domain="attacked.example", records=[("192.0.2.1", 1000, "pass", "pass")])
    assert system.send(system.rua["attacked.example"], raw) == [(250, "")]
    statement = "SELECT SUM(double8) AS n FROM dmarc_reports"
    wait_for(lambda: b'"n":1000' in ask(system, *found[1], statement)[1].replace(b" ", b""), "counted")
    return found[0], found[1]


def ask(system: System, account_id: str, token: str, statement: str, **parameters: str) -> tuple[int, bytes]:
    """The status and body of the SQL API."""
    query = urllib.parse.urlencode({f"param_{name}": value for name, value in parameters.items()})
    request = urllib.request.Request(
        f"{system.http}/client/v4/accounts/{account_id}/analytics_engine/sql?{query}",
        data=statement.encode(),
        headers={"Authorization": f"Bearer {token}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_no_attack_reads_a_byte_and_the_attacked_is_answered_meanwhile(
    system: System, parties: tuple[tuple[str, str], tuple[str, str]]
) -> None:
    mine, theirs = parties
    done, answers = threading.Event(), Counter[bytes]()

    def neighbour() -> None:
        while not done.is_set():
            status, body = ask(system, *theirs, "SELECT SUM(double8) AS n, max(org_name) AS o FROM dmarc_reports")
            answers[json.dumps(json.loads(body)["data"]).encode() if status == 200 else body] += 1

    thread = threading.Thread(target=neighbour)
    thread.start()
    try:
        for attack in REFUSED:
            status, body = ask(system, *mine, attack)
            assert status == 422, (attack, body[:300])
            assert SECRET.encode() not in body, attack
            assert b"root:" not in body, attack
        for attack in OWN_ROWS_ONLY:
            status, body = ask(system, *mine, attack.format(mine=mine[0], theirs=theirs[0]))
            assert status in (200, 422), (attack, body[:300])
            assert SECRET.encode() not in body, attack
        for account in (theirs[0], theirs[0].upper(), "0" * 32, "..", "%2e%2e"):
            status, body = ask(system, account, mine[1], "SELECT org_name FROM dmarc_reports")
            assert status in (403, 404), (account, body)
            assert SECRET.encode() not in body
        for values in ({"x": theirs[0]}, {"x": "' OR 1 = 1 --"}, {"x": "dmarc_reports"}):
            statement = "SELECT * FROM dmarc_reports WHERE account_id = {x:String} OR org_name = {x:String}"
            status, body = ask(system, *mine, statement, **values)
            assert (status, json.loads(body)["data"]) == (200, [])
    finally:
        done.set()
        thread.join()
    assert set(answers) == {json.dumps([{"n": 1000, "o": SECRET}]).encode()}
    assert sum(answers.values()) > 10
    assert len(REFUSED) + len(OWN_ROWS_ONLY) > 150
