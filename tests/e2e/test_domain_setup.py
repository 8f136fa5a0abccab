"""Promise: a domain goes from "nothing published" to "receiving", each step seen in DNS; who proves it, has it."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.dns_server import dns_server
from tests.support.mails import BEGIN, DAY, report_mail
from tests.support.system import HOST, System
from tests.support.waiting import wait_for

Zone = dict[tuple[str, str], list[str]]


@pytest.fixture(scope="module")
def zone() -> Zone:
    return {(HOST, "MX"): [f"10 {HOST}."], (f"*._report._dmarc.{HOST}", "TXT"): ['"v=DMARC1"']}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, zone: Zone) -> Iterator[System]:
    with dns_server(zone) as port:
        running = System(tmp_path_factory.mktemp("setup") / "home")
        running.settings |= {"DMARCWORKS_SETUP_CHECKS": "on", "DMARCWORKS_DNS_SERVER": f"127.0.0.1:{port}"}
        running.start()
        yield running
        if running.alive:
            running.stop()


@pytest.fixture(scope="module")
def owner(system: System) -> str:
    """A token of the account "owner"; that of the account "other" is `other`."""
    return token(system, "owner")


@pytest.fixture(scope="module")
def other(system: System) -> str:
    return token(system, "other")


def token(system: System, account: str) -> str:
    system.json("domain", "add", f"{account}.example", "--account", account)
    made: str = system.json("token", "create", "--account", account, "--scope", "write")["token"]
    return made


def call(system: System, secret: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of a REST request."""
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{system.http}/api/v1{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = answer.read()
            return answer.status, json.loads(content) if content else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def get(system: System, secret: str, path: str) -> Any:
    status, body = call(system, secret, "GET", path)
    assert status == 200, body
    return body


def until_checked(system: System, secret: str, domain: str) -> Any:
    """Request a check and wait for its result."""
    assert call(system, secret, "POST", f"/domains/{domain}/setup/check")[0] == 202

    def done() -> Any:
        setup = get(system, secret, f"/domains/{domain}/setup")
        return None if setup["checking"] else setup

    return wait_for(done, "checked")


def test_from_nothing_to_receiving(system: System, owner: str, zone: Zone) -> None:
    """Added over REST, published in the test zone, proven in the background, the first report over SMTP."""
    status, added = call(system, owner, "POST", "/domains", {"name": "flow.example"})
    assert (status, added["proven"]) == (201, None)
    setup = until_checked(system, owner, "flow.example")
    assert (setup["state"], setup["items"][0]["status"]) == ("publish", "missing")
    zone["_dmarc.flow.example", "TXT"] = ['"v=DMARC1;p=quarantine;rua=mailto:x@y.example;fo=1"']
    setup = until_checked(system, owner, "flow.example")
    (change,) = setup["items"][0]["changes"]
    assert change["after"] == f"v=DMARC1;p=quarantine;rua=mailto:x@y.example,mailto:{added['rua']};fo=1"
    zone["_dmarc.flow.example", "TXT"] = [f'"{change["after"]}"']
    setup = until_checked(system, owner, "flow.example")
    assert (setup["state"], setup["evidence"], setup["due"]) == ("waiting", "rua", None)
    assert get(system, owner, "/domains/flow.example")["proven"] is not None
    assert system.send(added["rua"], report_mail("flow", domain="flow.example")) == [(250, "")]
    wait_for(lambda: get(system, owner, "/domains/flow.example/setup")["state"] == "receiving", "receiving")
    shown = system.cli("domain", "check", "flow.example")
    assert shown.returncode == 0, shown.stdout
    assert re.search(r"ownership   proven on 20", shown.stdout)
    assert "set-up      reports arrive (looked up at 20" in shown.stdout


def test_a_new_domain_is_checked_without_a_request(system: System, owner: str, zone: Zone) -> None:
    """The command prints what is published; afterwards the server looks by itself until it is seen."""
    zone["_dmarc.self.example", "TXT"] = ['"v=DMARC1; p=reject\\027[31m; rua=mailto:x@y.example"']
    shown = system.cli("domain", "add", "self.example", "--account", "owner")
    assert shown.returncode == 0
    assert "\x1b" not in shown.stdout
    assert "- _dmarc.self.example  TXT  v=DMARC1; p=reject\\x1b[31m; rua=mailto:x@y.example\n" in shown.stdout
    (address,) = re.findall(r"reports to  (\S+)", shown.stdout)
    added = f"+ _dmarc.self.example  TXT  v=DMARC1; p=reject\\x1b[31m; rua=mailto:x@y.example,mailto:{address}\n"
    assert added in shown.stdout
    zone["_dmarc.self.example", "TXT"] = [f'"v=DMARC1; p=none; rua=mailto:{address}"']
    assert call(system, owner, "POST", "/domains/self.example/setup/check")[0] == 202
    wait_for(lambda: get(system, owner, "/domains/self.example")["proven"], "proven")


def test_dns_that_does_not_answer_does_not_stop_adding(system: System, owner: str, zone: Zone) -> None:
    """The record is printed as without DNS, and that there was no answer."""
    zone["_dmarc.silent.example", "SERVFAIL"] = []
    shown = system.cli("domain", "add", "silent.example", "--account", "owner")
    assert shown.returncode == 0, shown.stderr
    assert "DNS gave no answer about _dmarc.silent.example" in shown.stdout
    assert re.search(r"  _dmarc\.silent\.example  TXT  v=DMARC1; p=none; rua=mailto:[0-9a-f]{32}@", shown.stdout)


def test_who_proves_a_domain_takes_it_over(system: System, owner: str, other: str, zone: Zone) -> None:
    """From outside: a refusal that reveals nothing, the same claim for any name, then the domain with new reports."""
    held = call(system, other, "POST", "/domains", {"name": "claimed.example"})[1]
    assert system.send(held["rua"], report_mail("before", domain="claimed.example")) == [(250, "")]
    wait_for(lambda: get(system, other, "/domains/claimed.example/setup")["state"] != "unchecked", "checked")
    refusal = call(system, owner, "POST", "/domains", {"name": "claimed.example"})
    assert refusal[0] == 409
    assert "in use or reserved" in refusal[1]["detail"]
    answers = {}
    for name in ("claimed.example", "nobody.example"):
        status, claim = call(system, owner, "POST", "/domain-claims", {"name": name})
        assert status == 201
        waiting = wait_for(
            lambda name=name: (c := get(system, owner, f"/domain-claims/{name}")) and c["reason"] and c, "looked up"
        )
        answers[name] = json.dumps({**waiting, "created": "", "checked": "", "checking": False})
        answers[name] = answers[name].replace(claim["rua"].partition("@")[0], "TOKEN").replace(name, "NAME")
    assert answers["claimed.example"] == answers["nobody.example"]
    # Another account sees nothing of it.
    assert call(system, other, "GET", "/domain-claims/claimed.example")[0] == 404
    assert get(system, other, "/domain-claims") == {"items": []}
    assert call(system, owner, "DELETE", "/domain-claims/nobody.example")[0] == 204
    claim = get(system, owner, "/domain-claims/claimed.example")
    zone[claim["record"]["name"], "TXT"] = [f'"{claim["record"]["value"]}"']
    assert call(system, owner, "POST", "/domain-claims/claimed.example/check")[0] == 202
    wait_for(lambda: call(system, owner, "GET", "/domains/claimed.example")[0] == 200, "taken over")
    domain = get(system, owner, "/domains/claimed.example")
    assert domain["rua"] == claim["rua"]
    assert call(system, other, "GET", "/domains/claimed.example")[0] == 404
    wait_for(lambda: get(system, owner, "/notices")["items"], "a notice")
    (lost,) = get(system, other, "/notices")["items"]
    assert (lost["code"], lost["domain"]) == ("domain-lost", "claimed.example")
    assert "owner" not in lost["text"]
    assert call(system, owner, "DELETE", f"/notices/{lost['id']}")[0] == 404
    assert call(system, other, "DELETE", f"/notices/{lost['id']}")[0] == 204
    assert get(system, other, "/notices") == {"items": []}
    # The old address is closed; new reports are the new account's, the report from before stays where it was.
    assert system.send(held["rua"], report_mail("late", domain="claimed.example"))[0][0] == 550
    after = report_mail("after", begin=BEGIN + DAY, domain="claimed.example")
    assert system.send(domain["rua"], after) == [(250, "")]
    wait_for(lambda: get(system, owner, "/reports?domain=claimed.example")["items"], "the report")
    assert [one["report_id"] for one in get(system, owner, "/reports?domain=claimed.example")["items"]] == ["after"]
    wait_for(lambda: "before" in [one["report_id"] for one in get(system, other, "/reports")["items"]], "the old one")


def test_reports_at_an_address_of_the_client(system: System, owner: str, zone: Zone) -> None:
    """`dmarc@client.example` with a rule to the worker dmarc: accepted over SMTP, and recognised as ours."""
    added = call(system, owner, "POST", "/domains", {"name": "client.example"})[1]
    system.json("route", "add", "dmarc@client.example", "--worker", "dmarc")
    zone["_dmarc.client.example", "TXT"] = ['"v=DMARC1; p=none; rua=mailto:dmarc@client.example"']
    zone["client.example", "MX"] = [f"10 {HOST}."]
    setup = until_checked(system, owner, "client.example")
    assert {one["code"]: one["status"] for one in setup["items"]} == {
        "dmarc": "done",
        "custom-authorisation": "done",
        "ownership": "missing",
        "tls-rpt": "missing",
        "custom-mail": "done",
        "first-report": "missing",
    }
    assert system.send("dmarc@client.example", report_mail("custom", domain="client.example")) == [(250, "")]
    wait_for(lambda: get(system, owner, "/domains/client.example/setup")["state"] == "receiving", "receiving")
    zone[setup["challenge"]["name"], "TXT"] = [f'"{setup["challenge"]["value"]}"']
    assert until_checked(system, owner, "client.example")["evidence"] == "txt"
    assert added["rua"].partition("@")[0] in setup["challenge"]["value"]


def test_many_domains_over_rest(system: System, owner: str, other: str) -> None:
    """Each line has its outcome; another account's domain is refused as one that is reserved."""
    lines = ["domain,parked", "one.example,no", "two.example,yes", "# no", "other.example,", f"{HOST},", "no domain,"]
    file = "\n".join([*lines, "six.example,perhaps"])
    status, body = call(system, owner, "POST", "/domains/import", {"csv": file})
    assert status == 200
    assert [(one["line"], one["domain"], one["outcome"]) for one in body["items"]] == [
        (2, "one.example", "added"),
        (3, "two.example", "added"),
        (5, "other.example", "refused"),
        (6, HOST, "refused"),
        (7, "no domain", "refused"),
        (8, "six.example", "refused"),
    ]
    assert body["items"][2]["reason"].replace("other.example", HOST) == body["items"][3]["reason"]
    parked = get(system, owner, "/domains/two.example")
    assert parked["parked"] is True
    assert [(one["type"], one["value"]) for one in parked["records"][:2]] == [("MX", "0 ."), ("TXT", "v=spf1 -all")]
    assert call(system, owner, "POST", "/domains/import", {"csv": "domain,colour\na.example,red\n"})[0] == 400
    assert call(system, owner, "POST", "/domains/import", {"csv": "domain,account\nz.example,other\n"})[1]["items"][0][
        "reason"
    ].startswith("only the operator may name an account")
