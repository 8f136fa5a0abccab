"""Promise: what became of each mail is told by page, API and Prometheus figures, in the same numbers."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from tests.support.mails import report_mail
from tests.support.routing_mail import metric
from tests.support.system import System, wait_for


def ask(system: System, path: str, token: str | None = None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(system.http + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_each_mail_is_a_line_and_a_number(system: System) -> None:
    """Three mails taken and one recipient unknown: log, summary and metrics say so, for the token's account only."""
    domain = system.add_domain("example.com")
    assert metric(system, 'dmarcworks_store_up{store="database"}') == 1
    big = report_mail("2").replace(
        b"Subject: Report Domain: example.com", b"Message-ID: <a@b>\r\nSubject: =?utf-8?q?=C3=A4?="
    )
    assert system.send(domain["rua"], report_mail("1"), big, report_mail("1")) == [(250, "")] * 3
    assert system.send("nobody@reports.example.net", b"x")[0][0] == 550
    system.settle()
    wait_for(lambda: len(system.rows("SELECT id FROM activity")) == 3, "three lines written")
    status, found = ask(system, "/api/v1/activity?limit=2", system.token)
    assert status == 200
    second = found["activity"][1]
    assert (second["sender"], second["recipient"]) == ("dmarc@mail.example", domain["rua"])
    assert {name: second[name] for name in ("outcome", "status", "action", "rule", "peer", "helo", "tls", "error")} == {
        "outcome": "handled",
        "status": "250",
        "action": "worker dmarc",
        "rule": "rua address",
        "peer": "127.0.0.1",
        "helo": "mail.example",
        "tls": "",
        "error": "",
    }
    assert (second["message_id"], second["subject"], second["size"]) == ("<a@b>", "ä", len(big))
    assert second["mail_id"] in {row["id"] for row in system.rows("SELECT id FROM mails")}
    rest = ask(system, f"/api/v1/activity?before={found['next']}", system.token)[1]
    assert [line["id"] for line in rest["activity"]] == [1]
    summary = ask(system, "/api/v1/activity/summary", system.token)[1]
    assert (summary["received"], summary["handled"], summary["rejected"]) == (3, 3, 0)
    assert sum(step["handled"] for step in summary["series"]) == 3
    assert metric(system, 'dmarcworks_mails_total{outcome="handled"}') == 3
    assert metric(system, "dmarcworks_recipients_refused_total") == 1
    assert metric(system, "dmarcworks_mails_read_total") == 3
    assert metric(system, "dmarcworks_reports_read_total") == 3
    assert metric(system, "dmarcworks_records_read_total") == 6
    assert metric(system, 'dmarcworks_queue_mails{state="ready"}') == 0
    assert metric(system, "dmarcworks_problems_open") == 0


def test_the_log_is_for_its_account(system: System) -> None:
    """Without a token nothing is told; a wrong parameter is told by its name; another account's log is empty."""
    assert ask(system, "/api/v1/activity")[0] == 401
    assert ask(system, "/api/v1/activity/1", system.token)[0] == 200
    assert ask(system, "/api/v1/activity/999", system.token)[0] == 404
    for wrong in ("?limit=0", "?since=yesterday", "?outcome=lost"):
        assert ask(system, f"/api/v1/activity{wrong}", system.token)[0] == 400
    assert ask(system, "/api/v1/activity/summary?step=1", system.token)[0] == 400
    system.json("domain", "add", "other.example", "--account", "other")
    other = system.json("token", "create", "--account", "other")["token"]
    assert ask(system, "/api/v1/activity", other) == (200, {"activity": [], "next": None})
    assert ask(system, "/api/v1/activity/1", other)[0] == 404
    assert ask(system, "/api/v1/activity/summary", other)[1]["received"] == 0


def test_a_quick_end_loses_no_line_that_was_noted(system: System) -> None:
    """SIGTERM right after the 250: the line is written before the process ends."""
    before = len(system.rows("SELECT id FROM activity"))
    assert system.send(system.rua["example.com"], report_mail("3")) == [(250, "")]
    assert system.stop() == 0
    assert len(system.rows("SELECT id FROM activity")) == before + 1
