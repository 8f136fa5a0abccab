"""`dmarcworks senders own` and `senders refresh`: names of own systems and new names in stored rows, by command."""

from __future__ import annotations

import getpass
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.mails import mail
from tests.support.sender_reports import report
from tests.support.system import System

DOMAIN = "senders.example"
USER = getpass.getuser()
CLAIM = "upkeep:senders-refresh"
OWN = [("192.0.2.77", "Billing", "own"), ("198.51.100.9", None, None), ("203.0.113.9", None, None)]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system that refreshes by command only."""
    home = tmp_path_factory.mktemp("system") / "home"
    system = System(home, {"DMARCWORKS_SENDER_REFRESH": "off"})
    system.start()
    system.add_domain(DOMAIN)
    send(system, "one", 1)
    yield system
    if system.alive:
        system.stop()


def send(system: System, report_id: str, days: int) -> None:
    day = datetime.now(UTC).date() - timedelta(days=days)
    begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    system.send(system.rua[DOMAIN], mail(("report.xml", report(report_id, begin))))
    system.settle()


def stored(system: System) -> list[tuple[Any, ...]]:
    """Address, sender and kind of the stored rows, as SQL answers."""
    return sorted(
        (row["source_ip"], row["sender"], row["sender_kind"])
        for row in system.sql("SELECT source_ip, sender, sender_kind FROM dmarc_reports")
    )


def counts(before: str | None, after: str | None, messages: int, changed: int, groups: int = 5) -> dict[str, Any]:
    return {
        "groups": groups,
        "changed": changed,
        "messages": 105,
        "changes": [{"before": before, "after": after, "messages": messages}] if messages else [],
    }


def refreshed(system: System, *options: str) -> dict[str, Any]:
    result: dict[str, Any] = system.json("senders", "refresh", *options)
    return {name: result[name] for name in ("groups", "changed", "messages", "changes")}


def test_own_names_are_added_listed_and_removed(filled: System) -> None:
    done = filled.cli("senders", "own", "list")
    assert (done.returncode, done.stdout) == (0, "The account has no own names.\n")
    done = filled.cli("senders", "own", "add", "Billing", "--ip", "192.0.2.77")
    assert (done.returncode, done.stdout) == (
        0,
        "Added Billing: addresses in 192.0.2.77/32. `dmarcworks senders refresh` applies this to stored rows.\n",
    )
    made = filled.json("senders", "own", "add", "CRM", "--dkim", "Crm.example/S*")
    assert (made["name"], made["evidence"], made["value"], made["selector"]) == ("CRM", "dkim", "crm.example", "s*")
    for option, value in (("--envelope", "bounce.example"), ("--ptr", "hosts.example")):
        assert filled.cli("senders", "own", "add", "CRM", option, value).returncode == 0
    listed = filled.json("senders", "own", "list")
    assert [(one["name"], one["evidence"], one["value"], one["selector"], one["created_by"]) for one in listed] == [
        ("Billing", "block", "192.0.2.77/32", "", USER),
        ("CRM", "dkim", "crm.example", "s*", USER),
        ("CRM", "envelope", "bounce.example", "", USER),
        ("CRM", "ptr", "hosts.example", "", USER),
    ]
    removed = filled.json("senders", "own", "remove", "CRM", "--id", str(listed[2]["id"]))
    assert [one["value"] for one in removed] == ["bounce.example"]
    done = filled.cli("senders", "own", "remove", "CRM")
    assert [line.partition(". ")[0] for line in done.stdout.splitlines()] == [
        "Removed CRM: DKIM signatures of crm.example/s*",
        "Removed CRM: hosts of hosts.example",
    ]
    audit = filled.json("audit", "--action", "sender", "--limit", "2")
    assert [(one["action"], one["target"], one["actor"]) for one in audit] == [("sender.unname", "CRM", "command")] * 2
    for options, status, words in (
        (("add", "Both", "--ip", "192.0.2.1", "--ptr", "a.example"), 2, "give one kind of evidence"),
        (("add", "None"), 2, "give one kind of evidence"),
        (("add", "Bad", "--ip", "192.0.2.1/24"), 2, "is not a block of addresses"),
        (("add", "Again", "--ip", "192.0.2.77"), 1, "this evidence has the name Billing already"),
        (("add", "Slash", "--dkim", "a.example/"), 2, "there is no selector after /"),
        (("remove", "CRM"), 1, "there is no own name CRM"),
        (("list", "--account", "nobody"), 1, "nobody"),
    ):
        done = filled.cli("senders", "own", *options)
        assert (done.returncode, words in done.stderr) == (status, True), (options, done.stderr)


def test_a_dry_run_shows_counts_and_writes_nothing(filled: System) -> None:
    before = stored(filled)
    assert [row[1] for row in before] == ["SendGrid", None, None, None, None]
    for _ in range(2):
        assert refreshed(filled, "--dry-run") == counts(None, "Billing", 20, 1)
    done = filled.cli("senders", "refresh", "--dry-run")
    assert [line.split() for line in done.stdout.splitlines() if line][:5] == [
        ["sender", "before", "after", "messages"],
        ["(unknown)", "Billing", "20"],
        ["sender", "messages"],
        ["(unknown)", "65", "→", "45"],
        ["Billing", "0", "→", "20"],
    ]
    assert "20 of 105 messages would get another sender; values of 1 of 5 groups of rows would change.\n" in done.stdout
    assert "refreshing: 1 of 1" in done.stderr
    assert stored(filled) == before


def test_a_refresh_is_applied_once_and_new_reports_have_the_names(filled: System) -> None:
    assert refreshed(filled, "--domain", DOMAIN) == counts(None, "Billing", 20, 1)
    assert stored(filled)[2:] == OWN
    assert refreshed(filled) == counts(None, None, 0, 0)
    total = filled.total()
    send(filled, "two", 2)
    assert [row for row in stored(filled) if row[0] == "192.0.2.77"] == [OWN[0]] * 2
    assert filled.total() == total + 105
    missing = filled.cli("senders", "refresh", "--domain", "nobody.example")
    assert (missing.returncode, "there is no domain nobody.example" in missing.stderr) == (1, True)


def test_two_do_not_run_at_once(filled: System) -> None:
    """The claim of another process is in the database; one that has expired is free."""
    with closing(sqlite3.connect(filled.home / "dmarcworks.db", timeout=10)) as database:
        statement = "INSERT INTO kv (key, value, expiration) VALUES (?, ?, unixepoch() + 600)"
        database.execute(statement, (CLAIM.encode(), b"another"))
        database.commit()
        done = filled.cli("senders", "refresh")
        assert (done.returncode, "senders are being refreshed by another process" in done.stderr) == (1, True)
        database.execute("UPDATE kv SET expiration = 1 WHERE key = ?", (CLAIM.encode(),))
        database.commit()
    assert filled.json("status")["senders"]["refreshing"] is None
    assert filled.json("senders", "refresh")["changed"] == 0
    assert filled.json("status")["senders"]["applied"] is not None
    assert "refreshed " in filled.cli("status").stdout
    assert filled.rows(f"SELECT key FROM kv WHERE key = CAST('{CLAIM}' AS BLOB)") == []


def test_a_removed_name_is_gone_at_once_and_from_rows_after_a_refresh_without_a_server(filled: System) -> None:
    assert filled.cli("senders", "own", "remove", "Billing").returncode == 0
    names = [row["name"] for row in filled.json("senders", DOMAIN)]
    assert ("Billing" in names, "192.0.2.0/24" in names) == (False, True)
    assert filled.stop() == 0
    result = filled.json("senders", "refresh")
    assert (result["changes"], result["senders"]) == (
        [{"before": "Billing", "after": None, "messages": 40}],
        [
            {"sender": None, "before": 90, "after": 130},
            {"sender": "SendGrid", "before": 80, "after": 80},
            {"sender": "Billing", "before": 40, "after": 0},
        ],
    )
    assert json.loads(filled.cli("senders", "refresh", "--json").stdout)["changed"] == 0
    filled.start()
    assert {row[1] for row in stored(filled)} == {"SendGrid", None}
