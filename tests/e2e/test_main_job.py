"""The main job on the real process: a report mailed in over SMTP is in SQL and on the page a moment later."""

from __future__ import annotations

import datetime as dt
import sys

import pytest
from playwright.sync_api import expect

from tests.support.mails import DAY, document, mail, report_mail
from tests.support.system import System, Visitor, figures, resident, wait_for

YESTERDAY = int(dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()) - DAY


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_idle_it_stays_small(system: System) -> None:
    """The whole system, embedded engine included, comes to rest under 400 MB resident."""
    assert system.get("/healthz")[0] == 200
    assert system.get("/readyz")[0] == 200
    wait_for(lambda: resident(system.process) < 400_000_000, "under 400 MB", 60)


def test_the_first_report_comes_in_live(system: System, visitor: Visitor) -> None:
    """Domain added by command while it runs; a waiting page turns into figures by itself once the mail has its 250."""
    domain = system.add_domain("example.com")
    assert domain["rua"].endswith("@reports.example.net")
    visitor.log_in(system.login_link())
    page = visitor.page
    page.goto(f"{system.http}/domains/example.com")
    expect(page.get_by_text("Waiting for the first report")).to_be_visible()
    assert system.send(domain["rua"], report_mail("first", begin=YESTERDAY)) == [(250, "")]
    expect(page.locator(".figures b").first).to_have_text("5")


def test_sql_and_page_show_the_same_exact_sums(system: System, visitor: Visitor) -> None:
    """Three days of reports: the sums by SQL are what was sent, and the page shows the same."""
    rua = system.rua["example.com"]
    sent = {}
    for back in range(3):
        for number in range(4):
            count = 100 * back + 7 * number + 1
            records = [("192.0.2.1", count, "pass", "fail"), ("2001:db8::7", 2, "fail", "fail")]
            sent[f"{back}-{number}"] = (YESTERDAY - back * DAY, records)
    mails = [report_mail(name, begin=begin, records=records) for name, (begin, records) in sent.items()]
    assert system.send(rua, *mails) == [(250, "")] * 12
    system.settle()
    passed = 3 + sum(records[0][1] for _, records in sent.values())
    failed = 2 + 2 * 12
    rows = system.sql(
        "SELECT SUM(double8) AS messages, SUM(if(double9 = 1 OR double10 = 1, double8, 0)) AS passed,"
        " COUNT() AS records, COUNT(DISTINCT blob1) AS reports FROM dmarc_reports"
    )
    assert [int(rows[0][name]) for name in ("messages", "passed", "records", "reports")] == [
        passed + failed,
        passed,
        26,
        13,
    ]
    page = visitor.page
    page.goto(f"{system.http}/domains/example.com")
    shown = figures(page)
    assert shown["Messages"] == f"{passed + failed:,}"
    assert shown["Failing"] == f"{failed:,}"
    assert shown["Sending addresses"] == "3"


def test_hostile_text_is_text(system: System, visitor: Visitor) -> None:
    """A script as org_name and a path as file name: shown as text, stored inside the objects folder, run nowhere."""
    rua = system.rua["example.com"]
    before = system.total()
    report = document("evil\"'><b>", org_name="<script>alert(1)</script>", begin=YESTERDAY)
    assert system.send(rua, mail(("../../x", report))) == [(250, "")]
    system.settle()
    assert system.total() == before + 5
    stored = [path for path in system.home.rglob("x") if path.is_file()]
    assert [path.read_bytes() for path in stored] == [report]
    assert stored[0].is_relative_to(system.home / "objects")
    assert not (system.home / "x").exists()
    assert not (system.home.parent / "x").exists()
    page = visitor.page
    page.goto(f"{system.http}/domains/example.com")
    expect(page.get_by_text("<script>alert(1)</script>").first).to_be_visible()
    page.goto(f"{system.http}/domains/example.com/reports")
    expect(page.get_by_text("<script>alert(1)</script>").first).to_be_visible()


def test_what_cannot_be_read_is_on_the_problems_page(system: System, visitor: Visitor) -> None:
    """A mail without a report is kept, and a person sees why."""
    rua = system.rua["example.com"]
    assert system.send(rua, b"Subject: <img src=x onerror=alert(2)>\r\n\r\nhello\r\n") == [(250, "")]
    system.settle()
    assert system.problems() == []
    (problem,) = system.other_mail()
    assert problem["reason"] == "no_report"
    assert problem["detail"] in " ".join(system.cli("problems", "show", str(problem["id"]), "--json").stdout.split())
    page = visitor.page
    page.goto(f"{system.http}/problems?state=other")
    expect(page.get_by_text(problem["detail"]).first).to_be_visible()


def test_an_unknown_recipient_is_refused(system: System) -> None:
    """No address, no mail."""
    assert system.send("nobody@reports.example.net", report_mail("x")) == [(550, "5.1.1 No such recipient here")]


def test_a_restart_keeps_everything(system: System, visitor: Visitor) -> None:
    """SIGTERM ends it with status 0; started again it has the same sums, problems, domain, token and login."""
    system.settle()
    before = (system.total(), system.problems(), system.rows("SELECT * FROM domains"))
    assert system.stop() == 0
    assert not (system.home / "running.json").exists()
    system.start()
    assert "First login" not in system.output.read_text()
    assert (system.total(), system.problems(), system.rows("SELECT * FROM domains")) == before
    rua = system.rua["example.com"]
    assert (
        system.send(rua, report_mail("first", begin=YESTERDAY), report_mail("after", begin=YESTERDAY))
        == [(250, "")] * 2
    )
    wait_for(lambda: system.total() == before[0] + 5, "counted")
    system.settle()
    assert system.total() == before[0] + 5
    visitor.page.goto(f"{system.http}/domains/example.com")
    assert figures(visitor.page)["Messages"] == f"{before[0] + 5:,}"
