"""`dmarcworks senders DOMAIN`, `show` and `decide`: with a server running and without one, by name and by id."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.mails import mail
from tests.support.sender_reports import report
from tests.support.system import System

DOMAIN = "senders.example"


@pytest.fixture(scope="module")
def filled(system: System) -> System:
    system.add_domain(DOMAIN)
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    begin = int(datetime(yesterday.year, yesterday.month, yesterday.day, tzinfo=UTC).timestamp())
    system.send(system.rua[DOMAIN], mail(("report.xml", report(begin=begin))))
    system.settle()
    return system


def check(system: System) -> None:
    done = system.cli("senders", DOMAIN, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(done.stdout)
    assert [(row["name"], row["class"], row["messages"]) for row in rows][:2] == [
        ("SendGrid", "unaligned", 40),
        ("192.0.2.0/24", "unknown", 20),
    ]
    assert system.cli("senders", "list", DOMAIN, "--json").stdout == done.stdout
    table = system.cli("senders", DOMAIN, "--days", "7").stdout
    assert "SendGrid" in table
    assert "not aligned yet" in table
    shown = system.cli("senders", "show", DOMAIN, "sendgrid").stdout
    assert "SendGrid (transactional): not aligned yet" in shown
    assert "name: DKIM d=sendgrid.net passed" in shown
    assert "b.sendgrid.net" in shown
    by_id = json.loads(system.cli("senders", "show", DOMAIN, "name:SendGrid", "--json").stdout)
    assert by_id["addresses"][0]["source_ip"] == "192.0.2.10"
    hostile = system.cli("senders", "show", DOMAIN, "<b>.example")
    assert hostile.returncode == 0

    done = system.cli("senders", "decide", DOMAIN, "SendGrid", "mine", "--name", "Newsletter", "--note", "ours")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ("SendGrid: recorded as mine. This changes no DNS and authorises no address.\n")
    decided = json.loads(system.cli("senders", "show", DOMAIN, "Newsletter", "--json").stdout)
    assert (decided["decision"]["decision"], decided["decision"]["note"], decided["open"]) == ("mine", "ours", True)
    audit = json.loads(system.cli("audit", "--action", "sender", "--limit", "1", "--json").stdout)
    assert (audit[0]["action"], audit[0]["target"], audit[0]["actor"]) == ("sender.decide", DOMAIN, "command")
    done = system.cli("senders", "decide", DOMAIN, "Newsletter", "none")
    assert done.returncode == 0, done.stderr
    done = system.cli("senders", "decide", DOMAIN, "SendGrid", "none")
    assert (done.returncode, done.stderr) == (1, "dmarcworks: there is no decision on this sender\n")


def test_with_a_running_server(filled: System) -> None:
    check(filled)


def test_wrong_usage_is_answered(filled: System) -> None:
    done = filled.cli("senders", "no.example")
    assert (done.returncode, "there is no domain no.example" in done.stderr) == (1, True)
    done = filled.cli("senders", "show", DOMAIN, "nobody")
    assert done.returncode == 1
    assert f"no sender nobody of {DOMAIN} in the last 30 days; `dmarcworks senders {DOMAIN}` lists them" in done.stderr
    done = filled.cli("senders", "decide", DOMAIN, "SendGrid", "perhaps")
    assert done.returncode == 2
    assert "use one of mine, not-mine, forwarder, ignore, none" in done.stderr
    assert filled.cli("senders", DOMAIN, "--days", "0").returncode == 2
    assert filled.cli("senders", "--help").returncode == 0
    identified = filled.cli("senders", "identify", "--dkim", "sendgrid.net", "--json")
    assert json.loads(identified.stdout)["sender"] == "SendGrid"


def test_an_empty_period_names_the_report_that_came_last(filled: System) -> None:
    """And where none has arrived, what to do first."""

    def printed(*arguments: str) -> str:
        # A narrow terminal breaks the sentence.
        return " ".join(filled.cli(*arguments).stdout.split())

    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    expected = f"No reports in this period; the one received last is about {yesterday}."
    assert printed("sources", DOMAIN, "--first", "2020-01-01", "--last", "2020-01-31") == expected
    filled.add_domain("silent.example")
    expected = "No report has arrived yet; `dmarcworks domain show` prints the records to publish."
    assert printed("senders", "silent.example") == expected
    assert printed("sources", "silent.example") == expected


def test_without_a_server(filled: System) -> None:
    assert filled.stop() == 0
    (first, *_) = json.loads(filled.cli("senders", DOMAIN, "--json").stdout)
    assert (first["name"], first["class"], first["messages"]) == ("SendGrid", "unaligned", 40)
    done = filled.cli("senders", "decide", DOMAIN, "SendGrid", "not-mine", "--json")
    assert (done.returncode, json.loads(done.stdout)["decision"]) == (0, "not_mine")
    shown = filled.cli("senders", "show", DOMAIN, "SendGrid").stdout
    assert "SendGrid (transactional): suspicious" in shown
    assert "your decision: not mine" in shown
