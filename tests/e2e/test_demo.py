"""`dmarcworks demo` opens with data: what it made up is what SQL says, and its home is gone when it ends."""

from __future__ import annotations

import datetime as dt
import json
import re
import signal
import subprocess
from collections import Counter
from pathlib import Path

from playwright.sync_api import expect

from dmarcworks.cli import demo_data, demo_mails
from dmarcworks.reports.model import AggregateReport
from dmarcworks.reports.read import read_mail
from tests.support.system import COMMAND, System, Visitor, figures, wait_for

LAST = dt.date(2026, 9, 22)
DAYS = 12


def test_the_made_up_reports_are_the_same_for_a_seed() -> None:
    """Same seed, same bytes; another seed, other figures; 90 days hold about a dozen reporters and thirty services."""
    reports = list(demo_data.reports("example.com", LAST))
    assert [demo_mails.mail(report, "rua@x.example") for report in reports[:50]] == [
        demo_mails.mail(report, "rua@x.example") for report in list(demo_data.reports("example.com", LAST))[:50]
    ]
    assert next(demo_data.reports("example.com", LAST, seed=1)) != reports[0]
    assert {report.day for report in reports} == {LAST - dt.timedelta(days=back) for back in range(90)}
    assert 12 <= len({report.reporter.org_name for report in reports}) <= 14
    assert len({row.service for report in reports for row in report.rows}) == 32
    assert Counter(report.policy for report in reports).keys() == {"none", "quarantine"}


def test_every_made_up_mail_is_read_as_it_was_made() -> None:
    """Each reporter's habits are read: same sums, same sources, same verdicts as the generator's own values."""
    for report in demo_data.reports("example.com", LAST, 1):
        reading = read_mail(demo_mails.mail(report, "rua@x.example"))
        assert reading.problems == ()
        (item,) = reading.items
        assert isinstance(item.report, AggregateReport)
        assert (item.report.org_name, item.report.report_id) == (report.reporter.org_name, report.report_id)
        assert (item.report.policy.p, item.report.messages) == (report.policy, report.messages)
        words = ("fail", "pass")
        assert [(r.source_ip, r.count, r.dkim_aligned, r.spf_aligned, r.disposition) for r in item.report.records] == [
            (row.source_ip, row.count, words[row.dkim], words[row.spf], row.disposition) for row in report.rows
        ]


def test_the_demo_opens_with_the_data_that_it_made(tmp_path: Path, visitor: Visitor) -> None:
    """Sums by SQL equal the generator's, the page shows them, and SIGTERM ends it with the throw-away home gone."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    output = tmp_path / "out"
    system = System(tmp_path / "unused")
    environment = {**system.environment, "TMPDIR": str(temporary), "COLUMNS": "200"}
    del environment["DMARCWORKS_HOME"]
    with output.open("wb") as out:
        system.process = subprocess.Popen(
            [*COMMAND, "demo", "--days", str(DAYS)], env=environment, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        wait_for(lambda: "Dashboard, with" in output.read_text() or system._died(), "open with data", 60)
        (system.home,) = temporary.glob("dmarcworks-demo-*")
        system.http = json.loads((system.home / "running.json").read_text())["http"]
        system.add_domains()
        last = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
        reports = list(demo_data.reports("example.com", last, DAYS))
        expected = {
            "messages": sum(report.messages for report in reports),
            "passed": sum(row.count for report in reports for row in report.rows if row.passed),
            "quarantined": sum(
                row.count for report in reports for row in report.rows if row.disposition == "quarantine"
            ),
            "records": sum(len(report.rows) for report in reports),
            "sources": len({row.source_ip for report in reports for row in report.rows}),
            "reports": len(reports),
        }
        (found,) = system.sql(
            "SELECT SUM(double8) AS messages, SUM(if(double9 = 1 OR double10 = 1, double8, 0)) AS passed,"
            " SUM(if(double11 = 1, double8, 0)) AS quarantined, COUNT() AS records, COUNT(DISTINCT blob5) AS sources,"
            " COUNT(DISTINCT blob1) AS reports FROM dmarc_reports"
        )
        assert {name: int(value) for name, value in found.items()} == expected
        problems = [problem["reason"] for problem in system.problems()]
        other = [mail["reason"] for mail in system.other_mail()]
        assert len(problems) + len(other) >= 6
        assert "other_domain" in problems
        assert "no_report" in other

        link = re.search(r"One-time login link: (\S+)", output.read_text())
        assert link
        visitor.log_in(link[1])
        page = visitor.page
        page.goto(f"{system.http}/domains/example.com?days=30")
        expect(page.locator(".figures b").first).to_have_text(f"{expected['messages']:,}")
        assert figures(page)["Sending addresses"] == f"{expected['sources']:,}"
    finally:
        system.process.send_signal(signal.SIGTERM)
        status = system.process.wait(20)
    assert status == 0
    assert list(temporary.glob("dmarcworks-demo-*")) == []
