"""Promise: the report host may change its name; every address that was handed out goes on accepting reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.mails import BEGIN, DAY, report_mail
from tests.support.system import System

FIRST, SECOND, THIRD = "reports.example.net", "dmarc.example.org", "rua.example.com"


def restart(system: System, hostname: str) -> str:
    """The server again under another name; what it printed."""
    if system.alive:
        assert system.stop() == 0
    system.settings["DMARCWORKS_HOSTNAME"] = hostname
    system.start()
    return system.output.read_text()


def figures(system: System) -> list[dict[str, Any]]:
    """Messages by domain id."""
    return system.sql("SELECT domain_id, SUM(count) AS messages FROM dmarc_reports GROUP BY domain_id")


def test_hostname_changed_twice_and_back(tmp_path: Path) -> None:
    """Each address that a command printed under any of the names accepts mail, and all of it is one domain's."""
    system = System(tmp_path / "home")
    restart(system, FIRST)
    added = system.add_domain("sender.example")
    local, domain_id = added["rua"].partition("@")[0], added["domain_id"]
    handed_out, sent = [added["rua"]], 0
    for round_, hostname in enumerate((FIRST, SECOND, THIRD, FIRST)):
        printed = restart(system, hostname)
        # A command's own environment may name another host: the running server's name counts.
        system.settings["DMARCWORKS_HOSTNAME"] = "elsewhere.invalid"
        shown = system.json("domain", "show", "sender.example")
        system.settings["DMARCWORKS_HOSTNAME"] = hostname
        assert (shown["rua"], shown["domain_id"]) == (f"{local}@{hostname}", domain_id)
        assert [record["value"] for record in shown["records"]] == [
            f"v=DMARC1; p=none; rua=mailto:{local}@{hostname}",
            f"10 {hostname}",
            "v=DMARC1",
            f"v=TLSRPTv1; rua=mailto:{local}@{hostname}",
        ]
        assert set(handed_out) <= {shown["rua"], *shown["earlier"]}
        assert (f"_dmarc.sender.example  TXT  v=DMARC1; p=none; rua=mailto:{local}@{hostname}" in printed) == bool(
            round_
        )
        assert (f"{hostname}  MX  10 {hostname}" in printed) == bool(round_)
        if shown["rua"] not in handed_out:
            handed_out.append(shown["rua"])
        for number, address in enumerate(handed_out):
            mail = report_mail(f"r{round_}.{number}", begin=BEGIN + DAY * round_, domain="sender.example")
            assert system.send(address, mail) == [(250, "")], address
            sent += 1
        system.settle()
        assert figures(system) == [{"domain_id": domain_id, "messages": 5 * sent}]
    assert handed_out == [f"{local}@{name}" for name in (FIRST, SECOND, THIRD)]
    assert system.problems() == []
    shown = system.json("domain", "show", "sender.example")
    assert shown["earlier"] == [f"{local}@{SECOND}", f"{local}@{THIRD}"]
    assert [record["name"] for record in shown["earlier_records"] if record["type"] == "MX"] == [SECOND, THIRD]
    assert shown["reports"]["total"] == shown["reports"]["last_7_days"] == sent
    # An earlier address ends when the operator removes it, and only that one.
    assert system.json("domain", "remove-address", f"{local}@{SECOND}")["earlier"] == [f"{local}@{THIRD}"]
    assert system.cli("domain", "remove-address", f"{local}@{FIRST}").returncode == 1
    replies = [system.send(f"{local}@{name}", report_mail(f"end {name}"))[0][0] for name in (FIRST, SECOND, THIRD)]
    assert replies == [250, 550, 250]
    assert system.stop() == 0


def test_a_host_name_that_nobody_can_reach_is_named(tmp_path: Path) -> None:
    """Without DMARCWORKS_HOSTNAME the records to publish would be useless; with it the sentence is gone."""
    system = System(tmp_path / "home")
    restart(system, "localhost")
    hint = "Do not publish them yet: no reporter can reach the host name localhost. Set DMARCWORKS_HOSTNAME and restart"
    assert hint in system.cli("domain", "add", "sender.example").stdout
    assert hint in system.cli("domain", "show", "sender.example").stdout
    restart(system, FIRST)
    assert "Do not publish" not in system.cli("domain", "show", "sender.example").stdout
    assert system.stop() == 0


@pytest.mark.parametrize("again", ["command", "rest"])
def test_a_removed_and_added_domain_has_its_figures_back(tmp_path: Path, again: str) -> None:
    """It gets its id back and a new address; the removed addresses, earlier ones included, are refused."""
    system = System(tmp_path / "home")
    restart(system, FIRST)
    added = system.add_domain("sender.example")
    restart(system, SECOND)
    rua = system.json("domain", "show", "sender.example")["rua"]
    assert system.send(rua, report_mail("r1", domain="sender.example")) == [(250, "")]
    system.settle()
    removed = system.json("domain", "remove", "sender.example", "--yes")
    assert [system.send(address, report_mail("no"))[0][0] for address in (added["rua"], rua)] == [550, 550]
    assert removed["id"] == added["domain_id"]
    if again == "command":
        new = system.json("domain", "add", "sender.example")
    else:
        token = system.json("token", "create", "--scope", "write")["token"]
        new = _post(system, token)
    assert (new["domain_id"] if again == "command" else new["id"]) == added["domain_id"]
    assert new["rua"] not in (added["rua"], rua)
    assert system.send(new["rua"], report_mail("r2", begin=BEGIN + DAY, domain="sender.example")) == [(250, "")]
    system.settle()
    assert figures(system) == [{"domain_id": added["domain_id"], "messages": 10}]
    # Another account that adds the name gets nothing of it.
    system.json("domain", "remove", "sender.example", "--yes")
    assert system.json("domain", "add", "sender.example", "--account", "other")["domain_id"] != added["domain_id"]
    assert system.stop() == 0


def _post(system: System, token: str) -> Any:
    import urllib.request

    request = urllib.request.Request(
        f"{system.http}/api/v1/domains",
        data=json.dumps({"name": "sender.example"}).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())
