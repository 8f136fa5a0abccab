"""`dmarcworks policy DOMAIN`: replays and the next step, with a server running and without one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.mails import mail
from tests.support.outside import Names, answering
from tests.support.policy_reports import DOMAIN, report
from tests.support.system import System

RECORD = "v=DMARC1; p=none; fo=1"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A running system that resolves names on loopback."""
    names = Names()
    names.add({(f"_dmarc.{DOMAIN}", "TXT"): RECORD, (DOMAIN, "TXT"): "v=spf1 ip4:192.0.2.0/24 ip4:203.0.113.0/24 -all"})
    with answering(names):
        running = System(tmp_path_factory.mktemp("system") / "home", {"DMARCWORKS_DNS_SERVER": names.server})
        running.start()
        yield running
        if running.alive:
            running.stop()


@pytest.fixture(scope="module")
def filled(system: System) -> System:
    system.add_domain(DOMAIN)
    for back in range(1, 4):
        day = datetime.now(UTC).date() - timedelta(days=back)
        begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
        sent = report(begin, report_id=f"policy-{back}", org=f"mail{back}.example")
        system.send(system.rua[DOMAIN], mail(("report.xml", sent)))
    system.settle()
    return system


def replayed(system: System, text: str, *more: str) -> dict[str, Any]:
    done = system.cli("policy", DOMAIN, "--if", text, "--json", *more)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check(system: System) -> None:
    found = replayed(system, "p=reject")
    assert (found["domain"], found["messages"], found["affected"], found["rejected"]) == (DOMAIN, 3000, 120, 120)
    today = datetime.now(UTC).date()
    assert (found["from"], found["to"]) == (str(today - timedelta(days=29)), str(today))
    policy = {"p": "reject", "sp": "reject", "np": "reject", "adkim": None, "aspf": None, "t": "n", "pct": 100}
    assert found["policy"] == policy
    assert [
        (one["sender"], one["class"], one["messages"], one["affected"], one["disposition"]) for one in found["senders"]
    ] == [
        ("SendGrid", "unaligned", 75, 75, "reject"),
        ("198.51.100.0/24", "forwarder", 30, 30, "reject"),
        ("=cmd.example", "unknown", 15, 15, "reject"),
        ("Signed by policy.example, selector s1", "aligned", 2700, 0, "none"),
        ("Signed by mail.policy.example, selector sub", "aligned", 180, 0, "none"),
    ]
    assert [one["yours"] for one in found["senders"]] == [False, False, False, True, True]
    assert found["overrides"] == {"forwarded": 30}
    assert found["np_candidates"] == {"messages": 15, "affected": 15, "quarantined": 0, "rejected": 15}
    assert [one["affected"] for one in found["days"]] == [40, 40, 40]
    # Under strict DKIM alignment the signature of the subdomain no longer counts.
    found = replayed(system, "p=quarantine,np=none,adkim=s", "--days", "2")
    assert (found["messages"], found["affected"], found["quarantined"]) == (1000, 95, 95)
    lost = next(one for one in found["senders"] if one["id"] == f"self:sub._domainkey.mail.{DOMAIN}")
    assert (lost["affected"], lost["disposition"], lost["yours"]) == (60, "quarantine", True)
    day = str(today - timedelta(days=2))
    found = replayed(system, "p=reject; sp=none; pct=50; t=n", "--from", day, "--to", day)
    assert (found["messages"], found["affected"], found["rejected"], found["quarantined"]) == (1000, 35, 18, 17)

    done = system.cli("policy", DOMAIN, "--if", "p=reject", "--csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    senders = [(row["name"], row["affected"]) for row in rows if row["by"] == "sender"]
    assert senders[:3] == [("SendGrid", "75"), ("198.51.100.0/24", "30"), ("'=cmd.example", "15")]
    assert [(row["name"], row["rejected"]) for row in rows if row["by"] == "source"] == [
        ("192.0.2.20", "75"),
        ("198.51.100.5", "30"),
        ("203.0.113.9", "15"),
    ]
    table = system.cli("policy", DOMAIN, "--if", "p=reject").stdout
    assert f"p=reject for {DOMAIN}, " in table
    assert "120 of 3,000 messages affected (0 quarantined, 120 rejected), 0 of them from senders that are" in table
    assert "15 failing messages are of subdomains that may not exist; np was applied to them." in table

    done = system.cli("policy", DOMAIN, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    advice = json.loads(done.stdout)
    assert (advice["domain"], advice["policy"]["p"], advice["next"], advice["ready"]) == (
        DOMAIN,
        "none",
        "p=quarantine",
        False,
    )
    assert {one["code"]: one["met"] for one in advice["because"]} == {
        "recent_reports": True,
        "watched_days": False,
        "volume": True,
        "reporters": True,
        "own_mail": True,
        "senders_to_fix": True,
        "sender_undecided": False,
        "forwarder": True,
    }
    shown = system.cli("policy", DOMAIN).stdout
    assert f"{DOMAIN}: p=none since {today - timedelta(days=3)}" in shown
    assert "next step: p=quarantine, not yet" in shown
    assert "  [ ] SendGrid: 75 of 75 messages would be affected. Decide whether it is yours. If it is:" in shown


def check_plan(system: System) -> None:
    """The changes to publish, the unused terms and a document, by command."""
    done = system.cli("policy", DOMAIN, "--plan", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (change,) = json.loads(done.stdout)["changes"]
    after = f"{RECORD}; rua=mailto:{system.rua[DOMAIN]}"
    assert (change["code"], change["before"], change["after"]) == ("dmarc-rua", [RECORD], after)
    shown = system.cli("policy", DOMAIN, "--plan").stdout
    assert f"1. TXT record at _dmarc.{DOMAIN} (dmarc-rua)\n   before   {RECORD}\n   after    {after}\n" in shown
    assert f"   change   {RECORD}{{+; rua=mailto:{system.rua[DOMAIN]}+}}\n" in shown
    assert "No change of the policy is proposed: Stay at p=none." in shown
    assert "SPF: Reports cover 3 of the last 90 days; 28 are required" in shown
    shown = system.cli("policy", DOMAIN, "--plan", "--parked").stdout
    assert "p=reject would have affected 120 of 3,000 messages" in shown
    done = system.cli("domain", "spf-prune", DOMAIN, "--json")
    found = json.loads(done.stdout)
    assert [(one["term"], one["state"], one["messages"]) for one in found["terms"]] == [
        ("ip4:192.0.2.0/24", "used", 2700),
        ("ip4:203.0.113.0/24", "unused", 0),
        ("-all", "kept", 0),
    ]
    assert (found["trimmed"], found["summary"][:20]) == ("", "Reports cover 3 of t")
    assert "ip4:203.0.113.0/24" in system.cli("domain", "spf-prune", DOMAIN).stdout
    out = system.home.parent
    for name, begin in (("e.html", b"<!doctype html>"), ("e.pdf", b"%PDF-"), ("e.json", b'{"made":')):
        done = system.cli("evidence", DOMAIN, "--out", str(out / name))
        assert (done.returncode, done.stderr) == (0, "")
        assert (out / name).read_bytes().startswith(begin)
    document = json.loads((out / "e.json").read_text())["domains"][0]
    assert (document["messages"], document["changes"][0]["action"]) == (3000, "domain.add")


def test_with_a_running_server(filled: System) -> None:
    check(filled)
    check_plan(filled)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--if", "p=rejct"), "p must be none, quarantine or reject, not 'rejct'"),
        (("--if", ""), "the policy has no tag p; write it like p=reject,sp=none"),
        (("--if", "sp=none"), "the policy has no tag p; write it like p=reject,sp=none"),
        (
            ("--if", "p=none,rua=x"),
            "there is no policy tag 'rua' to replay; the tags are p, sp, np, adkim, aspf, t, pct",
        ),
        (("--if", "p=none,p=none"), "the tag p is given twice; give it once"),
        (("--if", "p=none,pct=101"), "pct must be a whole number from 0 to 100, not '101'"),
        (("--if", "p=none,adkim=x"), "adkim must be r or s, not 'x'"),
        (("--csv",), "--csv needs --if, and excludes --json"),
        (("--days", "3", "--from", "2026-11-01"), "--days and --from exclude each other"),
        (("--from", "2026-11-41"), "--from must be a day like 2026-11-24, not '2026-11-41'"),
        (("--from", "2026-11-02", "--to", "2026-11-01"), "the period ends before it begins"),
        (("--plan", "--if", "p=none"), "--plan excludes --if and --csv"),
        (("--parked",), "--parked needs --plan"),
    ],
)
def test_wrong_usage_is_answered(filled: System, arguments: tuple[str, ...], error: str) -> None:
    done = filled.cli("policy", DOMAIN, *arguments)
    assert (done.returncode, error in done.stderr) == (2, True), done.stderr


def test_a_document_needs_a_known_format(filled: System) -> None:
    done = filled.cli("evidence", DOMAIN, "--out", "e.doc")
    assert (done.returncode, "--out must end in .pdf, .html or .json, not .doc" in done.stderr) == (2, True)


def test_an_unknown_domain(filled: System) -> None:
    done = filled.cli("policy", "no.example", "--json")
    assert (done.returncode, "there is no domain no.example" in done.stderr) == (1, True)


def test_without_a_server(filled: System) -> None:
    assert filled.stop() == 0
    check(filled)
    done = filled.cli("policy", DOMAIN, "--plan", "--json")
    assert [one["code"] for one in json.loads(done.stdout)["changes"]] == ["dmarc-rua"]
    out = filled.home.parent / "stopped.html"
    assert filled.cli("evidence", DOMAIN, "--out", str(out)).returncode == 0
    assert "3,000" in out.read_text()
