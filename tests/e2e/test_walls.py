"""From outside, on the real process: no tenant gets, stops or redirects another's mail; old rules end."""

from __future__ import annotations

import json
import smtplib
import sqlite3
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.mails import report_mail
from tests.support.outside import Sink, listening
from tests.support.system import HOST, System, wait_for

LOOT = "loot@attacker-corp.example"
INBOX = "inbox@victim-corp.example"
MAIL = b"From: who@sender.example\r\nMessage-ID: <1@sender.example>\r\nSubject: x\r\n\r\nHello\r\n"


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with listening(Sink()) as there:
        yield there


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory, sink: Sink) -> Iterator[System]:
    """A victim whose rules forward, an attacker with a token that may write; neither is the operator."""
    system = System(
        tmp_path_factory.mktemp("walls") / "home",
        settings={"DMARCWORKS_RELAY_URL": sink.url, "DMARCWORKS_FORWARD_AUTH": "off"},
    )
    system.start()
    for name in ("victim.example", "deep.parent.example"):
        system.rua[name] = system.json("domain", "add", name, "--account", "victim")["rua"]
    system.json("route", "destination", "add", INBOX, "--trust", "--account", "victim")
    for address in ("info@victim.example", "x@sub.victim.example", "me@deep.parent.example"):
        system.json("route", "add", address, "--forward", INBOX)
    made = system.json("domain", "add", "attacker.example", "--account", "attacker")
    system.account_id, system.rua["attacker.example"] = made["account_id"], made["rua"]
    system.json("route", "destination", "add", LOOT, "--trust", "--account", "attacker")
    system.token = system.json("token", "create", "--account", "attacker", "--scope", "write")["token"]
    wait_for(lambda: send(system, "me@deep.parent.example") == (250, ""), "the rules in effect")
    yield system
    if system.alive:
        system.stop()


def ask(system: System, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """A request with the attacker's token."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {system.token}", "Content-Type": "application/json"}
    request = urllib.request.Request(system.http + path, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def add_rule(system: System, zone: str, address: str, action: str = "drop", *value: str) -> tuple[int, Any]:
    body = {
        "matchers": [{"type": "literal", "field": "to", "value": address}],
        "actions": [{"type": action, "value": list(value)}],
        "enabled": True,
        "priority": -1,
    }
    return ask(system, "POST", f"/client/v4/zones/{zone}/email/routing/rules", body)


def send(system: System, to: str, raw: bytes = MAIL, sender: str = "who@sender.example") -> tuple[int, str]:
    with smtplib.SMTP(*system.smtp, local_hostname="mail.sender.example", timeout=30) as client:
        client.ehlo()
        client.mail(sender)
        code, words = client.rcpt(to)
        if code != 250:
            return code, words.decode()
        code, words = client.data(raw)
        return code, "" if code == 250 else words.decode()


def reports_of(system: System, domain: str) -> int:
    (row,) = system.rows(
        f"SELECT count(*) AS n FROM mails JOIN domains ON domains.id = domain_id WHERE domains.name = '{domain}'"
    )
    return int(row["n"])


def test_the_report_host_belongs_to_the_operator(tenants: System, sink: Sink) -> None:
    """Neither the host nor a name above or below it can be added by a tenant; the victim's reports come in."""
    taken = ask(tenants, "POST", "/api/v1/domains", {"name": "victim.example"})
    assert taken[0] == 409
    for name in (HOST, "example.net", f"sub.{HOST}", "sub.victim.example"):
        status, answer = ask(tenants, "POST", "/api/v1/domains", {"name": name})
        # In the same words as for a name that another account has.
        assert (status, json.dumps(answer).replace(name, "victim.example")) == (409, json.dumps(taken[1])), name
    for name in ("co.uk", "github.io", "com", "localhost", "192.0.2.1", "[192.0.2.1]", "a@victim.example", "1.0x7f"):
        assert ask(tenants, "POST", "/api/v1/domains", {"name": name})[0] == 400, name
    before = reports_of(tenants, "victim.example")
    rua = tenants.rua["victim.example"]
    local = rua.partition("@")[0]
    assert add_rule(tenants, "attacker.example", rua)[0] == 400
    spellings = (
        rua,
        rua.upper(),
        f"{rua}.",
        f'"{local}"@{HOST}',
        f'"\\{local[0]}{local[1:]}"@{HOST}',
        f"@a.b,@c.d:{rua}",
    )
    for number, written in enumerate(spellings):
        assert send(tenants, f"<{written}>", report_mail(f"r{number}", domain="victim.example")) == (250, ""), written
    wait_for(lambda: reports_of(tenants, "victim.example") == before + 6, "the victim's six reports")
    for written in (f"{local}%{HOST}@attacker.example", f"attacker.example!{rua}", f"{local}@sub.{HOST}", f"{rua}.."):
        assert send(tenants, f"<{written}>") == (550, "5.1.1 No such recipient here"), written


def test_a_parent_domain_has_no_say_below_it(tenants: System, sink: Sink) -> None:
    """The attacker may have the parent, but no rule on what another's nearer domain is responsible for."""
    assert ask(tenants, "POST", "/api/v1/domains", {"name": "parent.example"})[0] == 201
    for address in ("me@deep.parent.example", "new@deep.parent.example", "a@b.deep.parent.example"):
        status, answer = add_rule(tenants, "parent.example", address, "forward", LOOT)
        assert status == 403, answer
        assert "another domain than parent.example is responsible" in answer["errors"][0]["message"]
    assert add_rule(tenants, "parent.example", "me@parent.example", "forward", LOOT)[0] == 200
    everything = {"matchers": [{"type": "all"}], "actions": [{"type": "drop"}], "enabled": True}
    catch_all = "/client/v4/zones/parent.example/email/routing/rules/catch_all"
    assert ask(tenants, "PUT", catch_all, everything)[0] == 200
    wait_for(lambda: send(tenants, "any@parent.example") == (250, ""), "the attacker's catch-all")
    sink.taken.clear()
    for address in ("me@deep.parent.example", "info@victim.example", "x@sub.victim.example", "me@parent.example"):
        assert send(tenants, address) == (250, ""), address
    assert send(tenants, "new@deep.parent.example") == (550, "5.1.1 No such recipient here")
    assert [recipient for _, recipient, _ in sink.taken] == [INBOX, INBOX, INBOX, LOOT]


def test_the_operator_may_and_is_told_plainly(tenants: System) -> None:
    """The command names the reason; for the operator's own account it adds what others cannot have."""
    for name, status, words in (
        ("victim.example", 1, "another account has victim.example already"),
        ("example.net", 1, f"example.net contains the report host {HOST}: only the operator's account may have it"),
        ("co.uk", 2, "co.uk is a public suffix"),
        ("localhost", 2, "is not a domain name"),
        ("192.0.2.1", 2, "is an IP address, not a domain name"),
    ):
        done = tenants.cli("domain", "add", name, "--account", "attacker")
        assert (done.returncode, words in done.stderr) == (status, True), done.stderr
    assert tenants.cli("domain", "add", "co.uk").returncode == 2
    assert tenants.json("domain", "add", "co.uk", "--public-suffix")["domain"] == "co.uk"
    assert tenants.json("domain", "add", "example.net")["domain"] == "example.net"
    tenants.json("route", "add", "info@example.net", "--reject", "Write a letter")
    wait_for(lambda: send(tenants, "info@example.net") == (550, "5.7.1 Write a letter"), "the operator's rule")


def test_rules_of_older_versions_are_named_and_disabled(tenants: System, sink: Sink) -> None:
    """The start disables them with a line in both logs; the owner sees why, and cannot turn them on again."""
    assert tenants.stop() == 0
    rua = tenants.rua["victim.example"]
    planted = plant(tenants, "ads.co.uk", ["a@ads.co.uk"]) | plant(
        tenants, f"foo.{HOST}", [rua, f"x@foo.{HOST}", "", "info@victim.example"]
    )
    tenants.start()
    ids = ", ".join(f"'{rule_id}'" for rule_id in planted)
    rows = tenants.rows(f"SELECT id, enabled FROM routing_rules WHERE id IN ({ids})")
    assert {planted[row["id"]]: bool(row["enabled"]) for row in rows} == {
        "a@ads.co.uk": True,
        rua: False,
        f"x@foo.{HOST}": False,
        f"*@foo.{HOST}": False,
        "info@victim.example": False,
    }
    logged = [json.loads(line) for line in tenants.log.read_text().splitlines() if "routing rule was disabled" in line]
    assert {line["address"] for line in logged} == set(planted.values()) - {"a@ads.co.uk"}
    below = f"foo.{HOST} is below the report host {HOST}, which only the operator's account may have"
    assert below in {line["reason"] for line in logged}
    audited = tenants.rows("SELECT target, account_id, detail FROM audit WHERE action = 'route.disable'")
    assert {row["target"] for row in audited} == set(planted.values()) - {"a@ads.co.uk"}
    assert {row["account_id"] for row in audited} == {tenants.account_id}
    assert below in {json.loads(row["detail"])["because"] for row in audited}
    zone = f"/client/v4/zones/foo.{HOST}/email/routing/rules"
    catch_all = ask(tenants, "GET", f"{zone}/catch_all")[1]["result"]
    assert (catch_all["enabled"], catch_all["objection"]) == (False, below)
    assert ask(tenants, "PUT", f"{zone}/catch_all", {**catch_all, "enabled": True})[0] == 403
    assert f"has no effect: {below}." in tenants.cli("route", "list").stdout
    before, sink.taken[:] = reports_of(tenants, "victim.example"), []
    assert send(tenants, rua, report_mail("after", domain="victim.example")) == (250, "")
    assert send(tenants, "info@victim.example") == (250, "")
    assert send(tenants, f"x@foo.{HOST}") == (550, "5.1.1 No such recipient here")
    assert [recipient for _, recipient, _ in sink.taken] == [INBOX]
    wait_for(lambda: reports_of(tenants, "victim.example") == before + 1, "the victim's report")
    # Its own address for reports goes on: nothing is lost by the name that it may not have.
    own = tenants.rows(f"SELECT rua FROM domains WHERE name = 'foo.{HOST}'")[0]["rua"]
    assert send(tenants, own, report_mail("own", domain=f"foo.{HOST}")) == (250, "")


def plant(system: System, domain: str, addresses: list[str]) -> dict[str, str]:
    """A domain of the attacker's with rules, as a version without these checks left them; the rules by id."""
    made: dict[str, str] = {}
    with sqlite3.connect(system.home / "dmarcworks.db") as connection:
        domain_id = uuid.uuid4().hex
        values = (domain_id, system.account_id, domain, f"{uuid.uuid4().hex}@{HOST}", 1.0)
        connection.execute("INSERT INTO domains (id, account_id, name, rua, created) VALUES (?, ?, ?, ?, ?)", values)
        for address in addresses:
            rule_id = uuid.uuid4().hex
            made[rule_id] = address or f"*@{domain}"
            columns = "id, account_id, domain_id, domain, address, name, enabled, priority, action, value"
            mail_domain = address.rpartition("@")[2] or domain
            row = (rule_id, system.account_id, domain_id, mail_domain, address, "", True, -1, "forward", LOOT)
            connection.execute(
                f"INSERT INTO routing_rules ({columns}, created, modified) VALUES (?,?,?,?,?,?,?,?,?,?,1.0,1.0)", row
            )
    return made


def test_addresses_of_an_earlier_host_name_go_on(tmp_path: Path) -> None:
    """After the host was renamed its old addresses take reports still, and the old name is no tenant's either."""
    system = System(tmp_path / "home")
    system.start()
    made = system.json("domain", "add", "victim.example", "--account", "victim")
    system.json("domain", "add", "attacker.example", "--account", "attacker")
    system.token = system.json("token", "create", "--account", "attacker", "--scope", "write")["token"]
    assert system.stop() == 0
    system.settings["DMARCWORKS_HOSTNAME"] = "dmarc.example.org"
    system.start()
    try:
        assert send(system, made["rua"], report_mail("old", domain="victim.example")) == (250, "")
        for name in (HOST, "example.net", f"a.{HOST}", "dmarc.example.org", "example.org"):
            assert ask(system, "POST", "/api/v1/domains", {"name": name})[0] == 409, name
        wait_for(lambda: reports_of(system, "victim.example") == 1, "the report")
        # Switched off it is refused, and no catch-all of the host gets it.
        system.json("route", "catch-all", HOST, "--drop")
        wait_for(lambda: send(system, f"x@{HOST}") == (250, ""), "the catch-all of the old host")
        assert system.cli("domain", "disable", "victim.example").returncode == 0
        wait_for(lambda: send(system, made["rua"]) == (550, "5.1.1 No such recipient here"), "refused")
    finally:
        system.stop()
